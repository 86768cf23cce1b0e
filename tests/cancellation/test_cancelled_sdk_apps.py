"""Simulated apps on the SDK, and what their authors wrote, are given up at any moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from test_cancelled_whole_world import Outside, outside
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.app_webhook import WebhookEndpoint, read_body, respond
from mentra_trio.clients.noticing_stream import NoticingStream
from mentra_trio.testing import sdk_script
from mentra_trio.testing.app_server import SdkApp, SdkAppServer
from mentra_trio.testing.sdk_diary import Answered, Began, Dialled, Diary, Heard
from mentra_trio.testing.sdk_script import (
    AuthorError,
    Disconnect,
    Draw,
    Pause,
    Say,
    Script,
    Step,
    Subscribe,
    SwitchLanguage,
    Throw,
    Unsubscribe,
)
from mentra_trio.testing.sdk_session import SdkSession
from mentra_trio.testing.sdk_socket import SdkSocket
from mentra_trio.testing.world import USER, AppProcess, World, open_world
from mentra_trio.wire.from_app import OwnershipRelease

PACKAGE: Final = "com.t.a"
BUTTON: Final = Subscribe("button_press")
SAY: Final = Say(OwnershipRelease(reason="clean_shutdown"))
EVERYTHING: Final = Script(
    steps=(BUTTON, SwitchLanguage("en-US"), SwitchLanguage("de-DE"), Draw("ready"), Pause(0.2)),
    later=(Unsubscribe("transcription:de-DE"), SAY, Pause(0.2), Disconnect("moved"), Throw()),
    stop_takes_s=0.1,
)
SIMPLE: Final = Script(steps=(BUTTON, Draw("ready")), tool_reply="done")


@attrs.define(eq=False)
class Scene:
    """A user who wears glasses and runs an app on the SDK."""

    world: World
    process: AppProcess[SdkAppServer]

    @property
    def server(self) -> SdkAppServer:
        return self.process.server

    @property
    def session(self) -> SdkSession:
        return self.server.session_of(USER)


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    async with open_world() as world:
        process = await world.add(SdkApp(PACKAGE, "key", script=SIMPLE))
        async with world.glasses():
            await start(world)
            yield Scene(world, process)


async def start(world: World) -> None:
    result = await world.server.start_app(USER, PACKAGE)
    assert result.success, result
    await wait_all_tasks_blocked()


async def is_well(scene: Scene) -> None:
    """The app goes on or is called again, and nothing of it is left when its process ends."""
    await trio.sleep(20)
    assert not scene.server.crashes
    await scene.world.server.stop_app(USER, PACKAGE)
    await trio.sleep(1)
    await start(scene.world)
    assert scene.session.is_open
    await scene.process.stop()
    await trio.sleep(1)
    assert not [one for one in scene.world.network.connections if one.is_open and is_apps(one)]


def is_apps(connection: object) -> bool:
    return getattr(connection, "origin", "") == PACKAGE


# -- a whole life -------------------------------------------------------------------------------


async def a_life(outside: Outside) -> None:
    """A session begins, does all that an author can write, is lost, and begins again."""
    async with open_world(store=outside.store, network=outside.network) as world:
        process = await world.add(SdkApp(PACKAGE, "key", script=EVERYTHING))
        async with world.glasses() as glasses:
            await start(world)
            await glasses.press_button()
            await process.server.diary.until(Heard)
            await trio.sleep(1)
            await world.server.stop_app(USER, PACKAGE)
            await start(world)
            process.server.session_of(USER).cut()
            await trio.sleep(1.5)
        await process.stop()


async def another_life(outside: Outside) -> None:
    assert not [one for one in outside.network.connections if one.is_open]
    async with open_world(store=outside.store, network=outside.network) as world:
        process = await world.add(SdkApp(PACKAGE, "key", script=SIMPLE))
        async with world.glasses() as glasses:
            await start(world)
            await glasses.press_button()
            with trio.fail_after(5):
                await process.server.diary.until(Heard)


@cancels(
    SdkApp.serve,
    SdkSession.run,
    SdkSocket.run,
    SdkAppServer.start,
    WebhookEndpoint.__call__,
    NoticingStream.receive_some,
    NoticingStream.send_all,
    NoticingStream.until_over,
)
async def test_a_life_of_an_app_on_the_sdk(autojump_clock: MockClock) -> None:
    assert await cancel_at_every_moment(outside, a_life, another_life, every=17) > 300


# -- a line of the author's code ----------------------------------------------------------------

LINES: Final[dict[Callable[..., object], Step]] = {
    Subscribe.carry_out: Subscribe("head_position"),
    Unsubscribe.carry_out: Unsubscribe("button_press"),
    SwitchLanguage.carry_out: SwitchLanguage("en-US"),
    Draw.carry_out: Draw("more"),
    Say.carry_out: SAY,
    sdk_script.Pause.carry_out: Pause(0.2),
    Throw.carry_out: Throw(),
    Disconnect.carry_out: Disconnect("moved"),
    SdkSession.release: Disconnect("moved"),
}


@pytest.mark.parametrize("function", LINES, ids=lambda function: function.__qualname__)
@cancels(*LINES)
async def test_a_line_of_a_script(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    async def call(scene: Scene) -> None:
        with suppress(AuthorError):
            await LINES[function].carry_out(scene.session)

    assert await cancel_at_every_moment(scene, call, is_well) > 0


# -- what is asked of it ------------------------------------------------------------------------


async def second_webhook(scene: Scene) -> None:
    url = scene.server.diary.of(Dialled)[-1].url
    await scene.server.start(session_id=scene.session.session_id, user=USER, url=url)


async def stop_webhook(scene: Scene) -> None:
    await scene.server.stop(session_id=scene.session.session_id, reason="user_disabled")


async def until_it_began_again(scene: Scene) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(second_webhook, scene)
        await scene.server.diary.until(Began, number=2)


ASKS: Final[dict[Callable[..., object], Callable[[Scene], Awaitable[None]]]] = {
    SdkAppServer.start: second_webhook,
    SdkAppServer.stop: stop_webhook,
    Diary.until: until_it_began_again,
}


@pytest.mark.parametrize("function", ASKS, ids=lambda function: function.__qualname__)
@cancels(*ASKS)
async def test_who_asks_and_does_not_wait_for_the_answer(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    call = "stop_request" if function is SdkAppServer.stop else "session_request"

    async def is_answered_and_well(scene: Scene) -> None:
        await trio.sleep(20)
        answered = [one.call for one in scene.server.diary.of(Answered)]
        assert answered[:2] == ["session_request", call], "it goes on without the one who asked"
        await is_well(scene)

    every = 1 if function is SdkAppServer.stop else 13
    moments = await cancel_at_every_moment(scene, ASKS[function], is_answered_and_well, every=every)
    assert moments > 0


BODY: Final = b'{"toolId":"t","userId":"u-1@x.org"}'
HEAD: Final = b"POST /tool HTTP/1.1\r\nHost: app\r\nContent-Length: %d\r\n\r\n" % len(BODY)


@cancels(
    WebhookEndpoint.__call__, SdkAppServer.call_tool, read_body, respond, NoticingStream.aclose
)
async def test_a_tool_call_whose_app_ends(autojump_clock: MockClock) -> None:
    """In the app's own tasks: its process is what is cancelled."""

    async def call(outside: Outside) -> None:
        app = SdkApp(PACKAGE, "key", script=SIMPLE)
        listeners = [outside.network.listen("app", 80)]
        async with app.serve(listeners=listeners), await outside.network.dial("app", 80) as stream:
            noticing = NoticingStream(stream)
            async with noticing:
                await noticing.send_all(HEAD)
                await trio.sleep(0.1)
                await noticing.send_all(BODY)
                assert (await noticing.receive_some()).startswith(b"HTTP/1.1 200")

    async def check(outside: Outside) -> None:
        assert not [one for one in outside.network.connections if one.is_open]
        await call(outside)

    assert await cancel_at_every_moment(outside, call, check) > 10
