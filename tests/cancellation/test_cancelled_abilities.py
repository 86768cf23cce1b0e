"""Whoever asks for something, in an app or with glasses, may give up at any moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from test_cancelled_clients import Call, Scene, all_of_it_works, scene
from test_cancelled_whole_world import PACKAGE
from trio.testing import MockClock

from mentra_trio.clients.ability import Ability
from mentra_trio.clients.answering import Answering
from mentra_trio.clients.app import AppServer
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.audio_out import AudioOut
from mentra_trio.clients.camera import Camera
from mentra_trio.clients.connecting import connect
from mentra_trio.clients.dashboard import Dashboard
from mentra_trio.clients.glasses import Glasses
from mentra_trio.clients.http_calls import RestDoor, call_http
from mentra_trio.clients.leds import Leds
from mentra_trio.clients.live_streams import LiveStreams
from mentra_trio.clients.location import Location
from mentra_trio.clients.messages import Messages
from mentra_trio.clients.phone import Phone
from mentra_trio.clients.questions import Questions, RequestFailed
from mentra_trio.clients.storage import Storage
from mentra_trio.clients.tools import ToolCall
from mentra_trio.testing.processes import APP_PORT
from mentra_trio.testing.world import USER
from mentra_trio.wire import to_glasses

SHORT_S = 0.05
UPLOAD = f"http://{PACKAGE}:{APP_PORT}/photo-upload"
PHOTO = to_glasses.PhotoRequest(request_id="r", app_id=PACKAGE, webhook_url=UPLOAD)
SOUND = to_glasses.AudioPlayRequest(request_id="r", audio_url="http://a")
LIGHT = to_glasses.RgbLedControl(request_id="r", action="on")
PLACE = to_glasses.RequestSingleLocation(accuracy="high", correlation_id="c")
ALIVE = to_glasses.KeepRtmpStreamAlive(stream_id="s", ack_id="a")


def of_session(call: Callable[[AppSession], Awaitable[object]]) -> Call:
    return lambda scene: call(scene.session)


def of_glasses(call: Callable[[Glasses], Awaitable[object]]) -> Call:
    return lambda scene: call(scene.glasses)


def briefly(call: Callable[[AppSession], Awaitable[object]]) -> Call:
    """Without an answer it is given up soon."""

    async def ask(scene: Scene) -> None:
        with trio.move_on_after(SHORT_S):
            await call(scene.session)

    return ask


TELLS: dict[Callable[..., object], Call] = {
    AppSession.show_columns: of_session(lambda s: s.show_columns("a", "b")),
    AppSession.show_bitmap: of_session(lambda s: s.show_bitmap("Qk0=")),
    AppSession.show_animation: of_session(lambda s: s.show_animation(["Qk0="], interval_ms=9)),
    AppSession.request_wifi_setup: of_session(lambda s: s.request_wifi_setup()),
    Ability.tell: of_session(lambda s: s.leds.turn_off()),
    AudioOut.stop: of_session(lambda s: s.audio.stop()),
    Camera.send_photo_to: of_session(lambda s: s.camera.send_photo_to("http://x")),
    Dashboard.write: of_session(lambda s: s.dashboard.write("a")),
    Dashboard.set_mode: of_session(lambda s: s.dashboard.set_mode("main")),
    Dashboard.write_section: of_session(lambda s: s.dashboard.write_section("topLeft", "a")),
    Leds.turn_on: of_session(lambda s: s.leds.turn_on()),
    Leds.turn_off: of_session(lambda s: s.leds.turn_off()),
    LiveStreams.stop_rtmp: of_session(lambda s: s.streams.stop_rtmp()),
    LiveStreams.stop_managed: of_session(lambda s: s.streams.stop_managed()),
    Messages.broadcast: of_session(lambda s: s.messages.broadcast(1)),
    Messages.leave: of_session(lambda s: s.messages.leave("r")),
    Phone.voice: of_glasses(lambda g: g.voice(True)),
    Phone.phone_battery: of_glasses(lambda g: g.phone_battery(7)),
    Phone.core_status: of_glasses(lambda g: g.core_status({})),
    Phone.vps: of_glasses(lambda g: g.vps(1, 2, 3)),
    Phone.calendar_event: of_glasses(lambda g: g.calendar_event("e", "a", "2026-01-01")),
    Phone.notify: of_glasses(lambda g: g.notify("a")),
    Phone.dismiss: of_glasses(lambda g: g.dismiss("a")),
    Phone.ask_for_settings: of_glasses(lambda g: g.ask_for_settings()),
    Phone.stream_status: of_glasses(lambda g: g.stream_status("active")),
    Answering.photo_failed: of_glasses(lambda g: g.answer.photo_failed(PHOTO, "X", "x")),
    Answering.audio: of_glasses(lambda g: g.answer.audio(SOUND)),
    Answering.led: of_glasses(lambda g: g.answer.led(LIGHT)),
    Answering.location: of_glasses(lambda g: g.answer.location(PLACE, 1, 2)),
    Answering.keep_alive: of_glasses(lambda g: g.answer.keep_alive(ALIVE)),
}


async def keep_alive(scene: Scene) -> None:
    with trio.move_on_after(SHORT_S):
        await scene.glasses.answer.keep_streams_alive()


async def use_a_tool(scene: Scene) -> None:
    async def tool(call: ToolCall) -> str:
        await trio.sleep(SHORT_S)
        return "done"

    scene.process.server._tool = tool
    assert await scene.process.server.call_tool("t", {}, USER, None) == "done"


async def call_anything(scene: Scene) -> None:
    url = f"{scene.world.server.http_url}/health"
    assert (await call_http("GET", url, dial=scene.world.network.dial)).ok


ASKS: dict[Callable[..., object], Call] = {
    Ability.ask: briefly(lambda s: s.audio.play("http://a")),
    Questions.ask: briefly(lambda s: s.audio.play("http://a")),
    AudioOut.play: briefly(lambda s: s.audio.play("http://a")),
    AudioOut.speak: briefly(lambda s: s.audio.speak("a")),
    Camera.request_photo: briefly(lambda s: s.camera.request_photo()),
    LiveStreams.start_rtmp: briefly(lambda s: s.streams.start_rtmp("rtmp://a/b")),
    LiveStreams.start_managed: briefly(lambda s: s.streams.start_managed()),
    LiveStreams.check: briefly(lambda s: s.streams.check()),
    Location.latest: briefly(lambda s: s.location.latest()),
    Messages.send: briefly(lambda s: s.messages.send("u-2@x.org", 1)),
    Messages.join: briefly(lambda s: s.messages.join("r")),
    Answering.keep_streams_alive: keep_alive,
    AppServer.call_tool: use_a_tool,
}

CALLS: dict[Callable[..., object], Call] = {
    Messages.discover: of_session(lambda s: s.messages.discover()),
    Storage.all: of_session(lambda s: s.storage.all()),
    Storage.get: of_session(lambda s: s.storage.get("a")),
    Storage.set: of_session(lambda s: s.storage.set("a", "1")),
    Storage.set_many: of_session(lambda s: s.storage.set_many({"a": "1"})),
    Storage.delete: of_session(lambda s: s.storage.delete("a")),
    Storage.clear: of_session(lambda s: s.storage.clear()),
    Glasses.device_state: of_glasses(lambda g: g.device_state(modelName="Mentra Live")),
    Glasses.settings: of_glasses(lambda g: g.settings()),
    Glasses.change_settings: of_glasses(lambda g: g.change_settings(brightness=1)),
    Answering.photo: of_glasses(lambda g: g.answer.photo(PHOTO, b"x" * 1_000)),
    RestDoor.call: of_glasses(lambda g: g.settings()),
    call_http: call_anything,
    connect: call_anything,
}


async def given_up(function: Any, calls: dict[Callable[..., object], Call], every: int) -> None:
    async def call(scene: Scene) -> None:
        with suppress(RequestFailed):
            await calls[function](scene)

    async def check(scene: Scene) -> None:
        for session in scene.process.server.sessions:
            assert len(session.questions) == 0
        await all_of_it_works(scene)

    assert await cancel_at_every_moment(scene, call, check, every=every) > 0


@pytest.mark.parametrize("function", TELLS, ids=lambda function: function.__qualname__)
@cancels(*TELLS)
async def test_who_gives_up_telling_something(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    await given_up(function, TELLS, every=1)


@pytest.mark.parametrize("function", ASKS, ids=lambda function: function.__qualname__)
@cancels(*ASKS)
async def test_who_gives_up_asking_for_something(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    short = function in {Answering.keep_streams_alive, AppServer.call_tool}
    await given_up(function, ASKS, every=1 if short else 3)


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__qualname__)
@cancels(*CALLS)
async def test_who_gives_up_a_call_over_http(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    await given_up(function, CALLS, every=1 if function is connect else 5)
