"""Assembly: what is opened, in which order it ends, and how it is embedded."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import mentra_trio
from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.dialing import UpgradeRefused
from mentra_trio.clients.glasses import open_glasses
from mentra_trio.domain.close_reasons import RESTARTING, CloseReason
from mentra_trio.domain.errors import LinkClosed, StoreFailed
from mentra_trio.domain.facts import ServerDraining, ServerStarted
from mentra_trio.domain.ids import UserId
from mentra_trio.domain.timings import LAST_CLOSE_S, Lifecycle
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.world import World, open_world

PACKAGE = "com.t.a"


def echo() -> App:
    app = App(PACKAGE, api_key="a key")

    @app.session
    def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))

    return app


async def test_a_whole_round_trip(world: World) -> None:
    await world.add(echo())
    async with world.glasses() as glasses:
        assert (await world.server.start_app("u-1@x.org", PACKAGE)).success
        await wait_all_tasks_blocked()
        await glasses.say("hello")
        await glasses.until_shown("hello", package=PACKAGE)
        assert [user.user for user in world.server.users()] == ["u-1@x.org"]
        assert await world.server.stop_app("U-1@X.ORG", PACKAGE), "ids are canonical at the edge"


async def test_an_app_that_dies_and_returns_within_grace(world: World) -> None:
    process = await world.add(echo())
    async with world.glasses() as glasses:
        await world.server.start_app("u-1@x.org", PACKAGE)
        session = process.server.sessions[0]
        await wait_all_tasks_blocked()
        session.cut()
        await wait_all_tasks_blocked()
        assert world.state(PACKAGE) == "grace_period"
        await trio.sleep(1.2)
        assert world.state(PACKAGE) == "running"
        await glasses.say("still subscribed")
        await glasses.until_shown("still subscribed")


async def test_an_app_process_that_is_killed_is_called_after_grace_and_comes_back(
    world: World,
) -> None:
    process = await world.add(echo())
    async with world.glasses() as glasses:
        await world.server.start_app("u-1@x.org", PACKAGE)
        await process.kill()
        await trio.sleep(4.9)
        assert world.state(PACKAGE) == "grace_period"
        await trio.sleep(1)
        assert world.state(PACKAGE) == "backoff"
        await world.run(echo())
        await trio.sleep(2)
        assert world.state(PACKAGE) == "running"
        await glasses.say("here again")
        await glasses.until_shown("here again")


async def test_two_servers_in_one_run_are_independent(autojump_clock: MockClock) -> None:
    async with AsyncExitStack() as opened:
        one = await opened.enter_async_context(open_world(network=MemoryNetwork()))
        async with open_world(network=MemoryNetwork()) as two:
            for world in (one, two):
                await world.add(echo())
            async with one.glasses() as glasses:
                async with two.glasses():
                    assert (await one.server.start_app("u-1@x.org", PACKAGE)).success
                    assert (await two.server.start_app("u-1@x.org", PACKAGE)).success
                await wait_all_tasks_blocked()
                assert two.state(PACKAGE) == "running"
        # The second server is closed; the first does not notice.
        async with one.glasses() as glasses:
            await wait_all_tasks_blocked()
            await glasses.say("on its own")
            await glasses.until_shown("on its own")


async def test_leaving_the_block_closes_every_link_so_that_peers_come_back(
    autojump_clock: MockClock,
) -> None:
    network = MemoryNetwork()
    closed: list[CloseReason] = []

    async def wear(world: World, *, task_status: trio.TaskStatus[None]) -> None:
        async with world.glasses() as glasses:
            task_status.started()
            closed.append(await glasses.until_closed())

    async with trio.open_nursery() as wearers, open_world(network=network) as world:
        await world.add(echo())
        await wearers.start(wear, world)
        await world.server.start_app("u-1@x.org", PACKAGE)
        telemetry = world.telemetry
    assert closed == [RESTARTING]
    assert len(telemetry.of(ServerStarted)) == len(telemetry.of(ServerDraining)) == 1
    with pytest.raises(OSError, match="refused"):
        await network.dial("server", 8002)


@pytest.mark.parametrize("after", [0.0, 0.001, 0.5, 5.0, 30.0])
async def test_cancelling_the_embedder_leaves_nothing_behind(
    after: float, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(after) as scope:
        async with open_world() as world:
            await world.add(echo())
            async with world.glasses():
                await world.server.start_app("u-1@x.org", PACKAGE)
                await trio.sleep_forever()
    assert scope.cancelled_caught


class UnreadableStore(MemoryStore):
    async def saved_users(self) -> Sequence[UserId]:
        raise StoreFailed("the disk is gone")


async def test_a_server_that_cannot_be_opened_closes_the_listeners_it_was_given(
    autojump_clock: MockClock,
) -> None:
    network = MemoryNetwork()
    with pytest.RaisesGroup(StoreFailed, allow_unwrapped=True, flatten_subgroups=True):
        async with open_world(network=network, store=UnreadableStore()):
            raise AssertionError("it was opened all the same")
    network.listen("server", 8002)  # or else the address is in use for ever


@pytest.mark.parametrize("turns", range(25))
async def test_cancelling_while_glasses_connect(turns: int, autojump_clock: MockClock) -> None:
    with trio.fail_after(120):
        async with trio.open_nursery() as outer:

            async def wear(world: World) -> None:
                try:
                    async with world.glasses():
                        await trio.sleep_forever()
                except (LinkClosed, UpgradeRefused, OSError):
                    pass  # the server is gone

            with trio.CancelScope() as embedder:
                async with open_world() as world:
                    outer.start_soon(wear, world)
                    for _ in range(turns):
                        await trio.lowlevel.checkpoint()
                    embedder.cancel()
                    await trio.lowlevel.checkpoint()
            outer.cancel_scope.cancel()
    assert embedder.cancelled_caught


async def test_glasses_that_do_not_answer_do_not_delay_the_end(autojump_clock: MockClock) -> None:
    network = MemoryNetwork()
    async with trio.open_nursery() as outer:

        async def wear(world: World) -> None:
            async with world.glasses():
                await trio.sleep_forever()

        async with open_world(network=network) as world:
            outer.start_soon(wear, world)
            await wait_all_tasks_blocked()
            (connection,) = network.open_to("server:8002")
            connection.stall()
            began = trio.current_time()
        assert trio.current_time() - began == pytest.approx(LAST_CLOSE_S)
        outer.cancel_scope.cancel()


async def test_an_error_in_the_block_propagates_and_everything_is_closed(
    autojump_clock: MockClock,
) -> None:
    network = MemoryNetwork()
    with pytest.RaisesGroup(ValueError, flatten_subgroups=True):
        async with open_world(network=network) as world:
            await world.add(echo())
            async with world.glasses():
                raise ValueError("planted")
    assert network.open_to("server:8002") == []


async def test_the_settings_reach_the_sessions(autojump_clock: MockClock) -> None:
    config = mentra_trio.Config(lifecycle=Lifecycle(grace_s=1, grace_jitter_s=0, user_grace_s=2))
    async with open_world(config) as world:
        process = await world.add(echo())
        async with world.glasses():
            await world.server.start_app("u-1@x.org", PACKAGE)
            await process.kill()
            await trio.sleep(1.1)
            assert world.state(PACKAGE) == "backoff"
        await trio.sleep(2.1)
        assert world.server.users() == []


async def test_the_ten_lines_of_the_library(tmp_path: Path) -> None:
    config = mentra_trio.Config(data_dir=tmp_path, port=0)
    async with mentra_trio.open_server(config) as server:
        await server.apps.add("com.example.captions", url="http://127.0.0.1:7010", api_key="secret")
        assert server.url.startswith("ws://127.0.0.1:")
        async with open_glasses(server.url, server.token("me@x.org")) as glasses:
            assert glasses.ack.session_id == "me@x.org"
    async with mentra_trio.open_server(config) as server:
        (registration,) = await server.apps.list()
        assert registration.package == "com.example.captions", "it is in the data folder"
        assert registration.key_hash != "secret"


async def test_what_a_user_wants_survives_a_restart_of_the_server(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    async with open_world(store=store) as world:
        await world.add(echo())
        async with world.glasses():
            await world.server.start_app("u-1@x.org", PACKAGE)
    async with open_world(store=store) as world:
        await world.run(echo())
        async with world.glasses() as glasses:
            await trio.sleep(1)
            assert world.state(PACKAGE) == "grace_period", "it may be alive, and come by itself"
            await trio.sleep(6)
            assert world.state(PACKAGE) == "running"
            await glasses.stop_app(PACKAGE)
            await trio.sleep(1)
    async with open_world(store=store) as world, world.glasses():
        await trio.sleep(1)
        assert world.state(PACKAGE) is None
