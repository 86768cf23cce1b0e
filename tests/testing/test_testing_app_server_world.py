"""An app on the SDK and our server, in one world: what the oddities of the SDK do to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx
import pytest
import trio

from mentra_trio.domain.facts import WebhookCalled
from mentra_trio.testing.app_server import SdkApp, SdkAppServer
from mentra_trio.testing.sdk_diary import Began, Dialled, Sent
from mentra_trio.testing.sdk_script import Draw, Pause, Script, Subscribe, SwitchLanguage, Throw
from mentra_trio.testing.world import USER, AppProcess, World

APP = "com.t.a"
SESSION = f"{USER}-{APP}"
BUTTON, HEAD = Subscribe("button_press"), Subscribe("head_position")
STEPS = (BUTTON, SwitchLanguage("en-US"), HEAD, SwitchLanguage("de-DE"), Draw("ready"))
WANTED = {"button_press", "head_position", "transcription:de-DE"}

Process = AppProcess[SdkAppServer]


async def running(world: World, *steps: Any) -> Process:
    """The app, started for the user."""
    process = await world.add(SdkApp(APP, "key", script=Script(steps=steps or STEPS)))
    result = await world.server.start_app(USER, APP)
    assert result.success, result
    await trio.sleep(0.5)
    return process


def wanted(world: World) -> set[str]:
    snapshot = world.snapshot(APP)
    assert snapshot is not None
    return set(snapshot.subscriptions)


def webhooks(world: World) -> int:
    return len(world.telemetry.of(WebhookCalled))


def live_links(world: World) -> int:
    return len([one for one in world.network.open_to("server:8002") if one.origin == APP])


async def test_the_lists_settle_at_the_last_one(world: World) -> None:
    async with world.glasses() as glasses:
        process = await running(world)
        await glasses.until_shown("ready", package=APP)
        assert world.state(APP) == "running"
        assert len(process.server.diary.lists()) == 6, "none, four handlers, and one on the way"
        assert wanted(world) == WANTED
        await SwitchLanguage("fr-FR").carry_out(process.server.session_of(USER))
        await trio.sleep(0.5)
        assert wanted(world) == (WANTED - {"transcription:de-DE"}) | {"transcription:fr-FR"}


async def test_a_loss_is_over_after_a_second_without_a_webhook(world: World) -> None:
    async with world.glasses():
        process = await running(world)
        process.server.session_of(USER).cut()
        await trio.sleep(0.9)
        assert world.state(APP) == "grace_period"
        await trio.sleep(0.5)
        assert world.state(APP) == "running"
        assert (wanted(world), webhooks(world)) == (WANTED, 1)
        assert len(process.server.diary.of(Began)) == 1


async def call_webhook(world: World, process: Process) -> int:
    """Call the app's webhook once more, as a proxy that repeats requests would."""
    url = process.server.diary.of(Dialled)[-1].url
    body = {
        "type": "session_request",
        "sessionId": SESSION,
        "userId": USER,
        "mentraOSWebsocketUrl": url,
    }
    data = httpx.Request("POST", "http://x", json=body).content
    head = f"POST /webhook HTTP/1.1\r\nHost: {APP}\r\nConnection: close\r\n"
    async with await world.network.dial(APP, 80) as stream:
        await stream.send_all(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        answer = b""
        while some := await stream.receive_some():
            answer += some
    return int(answer.split()[1])


async def test_a_second_webhook_hands_over_and_the_session_goes_on(world: World) -> None:
    async with world.glasses() as glasses:
        process = await running(world)
        assert await call_webhook(world, process) == 200
        await trio.sleep(30)
        assert world.state(APP) == "running"
        assert live_links(world) == 1
        assert wanted(world) == WANTED
        assert webhooks(world) == 1, "the server calls nobody"
        await glasses.say("hallo", language="de-DE")
        await trio.sleep(0.5)
        assert len(process.server.diary.sent("ownership_release")) == 1
        assert process.server.diary.stops() == []


async def test_a_session_whose_onsession_fails_is_served_as_any(world: World) -> None:
    async with world.glasses():
        process = await running(world, BUTTON, Throw())
        assert process.server.diary.answers() == [500]
        assert (world.state(APP), wanted(world)) == ("running", {"button_press"})
        process.server.session_of(USER).cut()
        await trio.sleep(1.5)
        assert (world.state(APP), wanted(world)) == ("running", {"button_press"})
        assert webhooks(world) == 1
        assert await world.server.stop_app(USER, APP)
        await trio.sleep(30)
        assert live_links(world) == 0
        assert world.state(APP) in {None, "stopped"}
        assert webhooks(world) == 2, "that of the start, and that of the stop"


@pytest.mark.parametrize("takes_s", [12.0, 40.0])
async def test_an_onsession_that_takes_longer_than_anybody_waits(
    world: World, takes_s: float
) -> None:
    async with world.glasses() as glasses:
        process = await running(world, BUTTON, Pause(takes_s), Draw("at last"))
        assert world.state(APP) == "running"
        await trio.sleep(takes_s + 5)
        await glasses.until_shown("at last", package=APP)
        assert (world.state(APP), webhooks(world)) == ("running", 1)
        assert len(process.server.diary.of(Began)) == 1


@pytest.mark.parametrize("down_s", [25.0, 170.0])
async def test_an_app_that_was_down_is_back_with_all_that_it_wanted(
    world: World, down_s: float
) -> None:
    async with world.glasses() as glasses:
        process = await running(world)
        killed_at = trio.current_time()
        await process.kill()
        assert trio.current_time() == killed_at
        await trio.sleep(down_s)
        assert world.state(APP) != "running"
        again = await world.run(process.app)
        with trio.fail_after(35):
            await again.server.diary.until(Began, SESSION)
        await trio.sleep(1)
        assert (world.state(APP), wanted(world)) == ("running", WANTED)
        assert live_links(world) == 1
        assert again.server.diary.answers() == [200]
        await glasses.until_shown("ready", package=APP)


async def test_an_app_that_is_deployed_anew_comes_back(world: World) -> None:
    async with world.glasses():
        process = await running(world)
        await process.stop()
        assert world.state(APP) == "grace_period"
        assert process.server.diary.sent("ownership_release") == []
        again = await world.run(process.app)
        await trio.sleep(10)
        assert (world.state(APP), wanted(world)) == ("running", WANTED)
        assert len(again.server.diary.of(Began)) == 1


async def test_a_network_that_is_gone_for_longer_than_the_sdk_tries(world: World) -> None:
    async with world.glasses():
        process = await running(world)
        server = process.server
        dial = world.network.dial_from(APP)
        server.dial = refused
        server.session_of(USER).cut()
        await trio.sleep(20)
        assert world.state(APP) != "running"
        server.dial = dial
        await trio.sleep(40)
        assert (world.state(APP), wanted(world)) == ("running", WANTED)
        assert live_links(world) == 1
        assert len(server.sessions) == 1


async def refused(host: str, port: int) -> trio.abc.Stream:
    await trio.lowlevel.checkpoint()
    raise ConnectionRefusedError(f"{host}:{port}")


async def test_the_end_of_the_user_session_runs_onstop_once(world: World) -> None:
    async with world.glasses():
        process = await running(world)
    await trio.sleep(120)
    assert process.server.diary.stops() == ["User session ended"]
    assert process.server.sessions == process.server.ghosts == []


async def test_messages_carry_the_time_of_the_world(world: World) -> None:
    async with world.glasses():
        process = await running(world)
        process.server.session_of(USER).cut()
        await trio.sleep(3)
        told = [one.message["timestamp"] for one in process.server.diary.of(Sent)]
        assert told == sorted(told)
        first, last = (datetime.fromisoformat(told[number]) for number in (0, -1))
        assert (last - first).total_seconds() == pytest.approx(1.5, abs=0.1)
