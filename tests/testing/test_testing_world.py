from __future__ import annotations

import pytest
import trio

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.domain.facts import AppStateChanged, WebhookCalled
from mentra_trio.domain.lifecycle import AppState
from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.world import USER, World, open_world

APP = "com.t.a"


def captions() -> App:
    app = App(APP, api_key="key")

    @app.session
    async def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))
        await session.show_text("ready")

    return app


async def test_the_main_job_end_to_end(world: World) -> None:
    process = await world.add(captions())
    async with world.glasses() as glasses:
        result = await world.server.start_app(USER, APP)
        assert result.success, result
        await glasses.until_shown("ready", package=APP)
        await glasses.say("hello")
        await glasses.until_shown("hello", package=APP)
        assert world.state(APP) == "running"
        snapshot = world.snapshot(APP)
        assert snapshot is not None
        assert snapshot.subscriptions == ("transcription:en-US",)
        assert len(process.server.sessions) == 1


async def test_the_fixture_runs_in_virtual_time(world: World) -> None:
    async with world.glasses():
        await trio.sleep(3600)
        assert world.server.users()[0].connected


async def test_a_reset_link_is_back_after_a_second_without_a_webhook(world: World) -> None:
    process = await world.add(captions())
    async with world.glasses() as glasses:
        await world.server.start_app(USER, APP)
        await glasses.until_shown("ready", package=APP)
        (session,) = process.server.sessions
        session.cut()
        await world.telemetry.next(AppStateChanged)
        await trio.sleep(0.5)
        assert world.state(APP) == "grace_period"
        await trio.sleep(0.6)
        assert world.state(APP) == "running"
        assert process.server.sessions == [session]
        assert len(world.telemetry.of(WebhookCalled)) == 1
        await glasses.say("still here")
        await glasses.until_shown("still here", package=APP)


async def test_a_killed_process_says_no_goodbye_and_can_be_run_again(world: World) -> None:
    process = await world.add(captions())
    async with world.glasses() as glasses:
        await world.server.start_app(USER, APP)
        await glasses.until_shown("ready", package=APP)
        killed_at = trio.current_time()
        await process.kill()
        assert trio.current_time() == killed_at
        with pytest.raises(ConnectionRefusedError):
            await world.network.dial(APP, 80)
        await trio.sleep(1)
        assert world.state(APP) == "grace_period"
        await world.server.stop_app(USER, APP)
        again = await world.run(process.app)
        result = await world.server.start_app(USER, APP)
        assert result.success, result
        await glasses.until_shown("ready", package=APP)
        assert len(again.server.sessions) == 1


async def test_a_stopped_process_closes_its_sessions_in_order(world: World) -> None:
    process = await world.add(captions())
    async with world.glasses() as glasses:
        await world.server.start_app(USER, APP)
        await glasses.until_shown("ready", package=APP)
        await process.stop()
        assert process.server.sessions == []
        assert world.state(APP) == "grace_period"


async def test_worlds_share_a_network_but_nothing_else(autojump_clock: object) -> None:
    network = MemoryNetwork(latency=0.05)
    async with open_world(network=network) as world:
        with pytest.raises(OSError, match="in use"):
            async with open_world(network=network):
                pass
        async with world.glasses() as glasses:
            assert glasses.ack.session_id == USER
        assert trio.current_time() >= 0.2  # two ways for TCP and upgrade, and back


async def test_facts_can_be_awaited(world: World) -> None:
    await world.add(captions())
    async with world.glasses():
        await world.server.start_app(USER, APP)
        await world.server.stop_app(USER, APP)
        news = [one.new for one in world.telemetry.of(AppStateChanged)]
        assert news[0] is AppState.CONNECTING
        assert news[1] is AppState.RUNNING
