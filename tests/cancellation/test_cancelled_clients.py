"""Glasses and apps on a network in memory, and what they ask for, given up at any moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from test_cancelled_whole_world import PACKAGE, an_app, use_it
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.app import AppServer
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.dialing import ClientLink, open_websocket, verbatim
from mentra_trio.clients.glasses import Glasses, open_glasses
from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.server import Server
from mentra_trio.testing.world import USER, AppProcess, World, open_world
from mentra_trio.wire.from_glasses import ButtonPress
from mentra_trio.wire.parts import TextWall
from mentra_trio.wire.to_glasses import DisplayEvent


@attrs.define(eq=False)
class Scene:
    """A user who wears glasses and runs an app."""

    world: World
    process: AppProcess[AppServer]
    glasses: Glasses

    @property
    def session(self) -> AppSession:
        return self.process.server.sessions[-1]


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    async with open_world() as world:
        process = await world.add(an_app())
        async with world.glasses() as glasses:
            assert (await world.server.start_app(USER, PACKAGE)).success
            await wait_all_tasks_blocked()
            yield Scene(world, process, glasses)


async def all_of_it_works(scene: Scene) -> None:
    """These glasses and this session are not hurt, or are gone; and others can come."""
    await wait_all_tasks_blocked()
    await trio.sleep(1)
    if scene.world.state(PACKAGE) == "running":
        with trio.fail_after(60), suppress(LinkClosed):
            await scene.glasses.press_button()
            await scene.glasses.until_shown("pressed")
    await scene.glasses.close()
    if not scene.process.is_up:
        await scene.world.run(an_app())
    async with scene.world.glasses():
        await scene.world.server.stop_app(USER, PACKAGE)
    with trio.fail_after(60):
        await use_it(scene.world)


Call = Callable[[Scene], Awaitable[object]]

SAYS: dict[Callable[..., object], Call] = {
    Glasses.start_app: lambda scene: scene.glasses.start_app(PACKAGE),
    Glasses.stop_app: lambda scene: scene.glasses.stop_app("com.t.b"),
    Glasses.say: lambda scene: scene.glasses.say("hello"),
    Glasses.press_button: lambda scene: scene.glasses.press_button(),
    Glasses.touch: lambda scene: scene.glasses.touch("double_tap"),
    Glasses.head: lambda scene: scene.glasses.head("up"),
    Glasses.location: lambda scene: scene.glasses.location(1.0, 2.0),
    Glasses.battery: lambda scene: scene.glasses.battery(50),
    Glasses.connection_state: lambda scene: scene.glasses.connection_state("Even Realities G1"),
    Glasses.send: lambda scene: scene.glasses.send(ButtonPress(button_id="a", press_type="short")),
    Glasses.send_text: lambda scene: scene.glasses.send_text("{}"),
    Glasses.send_audio: lambda scene: scene.glasses.send_audio(b"1234"),
    ClientLink.send: lambda scene: scene.glasses._link.send("{}"),
    AppSession.show_text: lambda scene: scene.session.show_text("one"),
    AppSession.show_two_texts: lambda scene: scene.session.show_two_texts("one", "two"),
    AppSession.show_card: lambda scene: scene.session.show_card("one", "two"),
    AppSession.clear: lambda scene: scene.session.clear(),
    AppSession.show: lambda scene: scene.session.show(TextWall(text="one")),
    AppSession.send: lambda scene: scene.session.send(ButtonPress(button_id="a", press_type="b")),
    AppSession.tell_streams: lambda scene: tell_streams(scene.session),
}


async def tell_streams(session: AppSession) -> None:
    assert session._link is not None
    session.changed.set()
    await session.tell_streams(session._link)


async def until_a_display(scene: Scene) -> None:
    await scene.glasses.press_button()
    await scene.glasses.next(DisplayEvent)
    await scene.glasses.expect("display_event")


async def until_shown(scene: Scene) -> None:
    await scene.glasses.press_button()
    await scene.glasses.until_shown("pressed")


async def until_next_display(scene: Scene) -> None:
    scene.glasses.received()
    await scene.glasses.press_button()
    while "pressed" not in str(await scene.glasses.next_display()):
        pass


async def until_any(scene: Scene) -> None:
    await scene.glasses.press_button()
    async for message in scene.glasses:
        if "pressed" in str(message):
            return


async def until_closed(scene: Scene) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.glasses.close)
        await scene.glasses.until_closed()


async def start_again(scene: Scene) -> None:
    await scene.world.server.stop_app(USER, PACKAGE)
    await scene.world.server.start_app(USER, PACKAGE)


async def release(scene: Scene) -> None:
    session = scene.session
    await session.release()
    await session.close(CloseReason(1000, "moved"))


async def next_session(scene: Scene) -> None:
    await scene.world.server.stop_app(USER, PACKAGE)
    await trio.sleep(1)
    assert scene.process.server.sessions == []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.world.server.start_app, USER, PACKAGE)
        await scene.process.server.next_session()


async def second_webhook(scene: Scene) -> None:
    older = scene.session
    url = f"{scene.world.server.url}/app-ws"
    await scene.process.server.start(session_id=older.session_id, user=USER, url=url)


async def stop_webhook(scene: Scene) -> None:
    session_id = scene.session.session_id
    await scene.process.server.stop(session_id=session_id, reason="user_disabled")


async def other_glasses(scene: Scene) -> None:
    server = scene.world.server
    dial = scene.world.network.dial_from("another phone")
    async with open_glasses(server.url, server.token("u-2@x.org"), dial=dial) as glasses:
        await glasses.press_button()


async def plain_websocket(scene: Scene) -> None:
    server = scene.world.server
    async with open_websocket(
        f"{server.url}/glasses-ws",
        decode=verbatim,
        headers=[("Authorization", f"Bearer {server.token('u-2@x.org')}")],
        dial=scene.world.network.dial,
    ) as link:
        await link.receive()
        await link.close()
        await link.until_closed()


DOES: dict[Callable[..., object], Call] = {
    Glasses.next: until_a_display,
    Glasses.expect: until_a_display,
    Glasses.until_shown: until_shown,
    Glasses.next_display: until_next_display,
    Glasses.__anext__: until_any,
    Glasses.until_closed: until_closed,
    Glasses.close: lambda scene: scene.glasses.close(),
    AppSession.release: release,
    AppSession.close: release,
    AppServer.next_session: next_session,
    AppServer.start: second_webhook,
    AppServer.stop: stop_webhook,
    Server.start_app: start_again,
    Server.stop_app: lambda scene: scene.world.server.stop_app(USER, PACKAGE),
    open_glasses: other_glasses,
    open_websocket: plain_websocket,
    ClientLink.receive: plain_websocket,
    ClientLink.close: plain_websocket,
    ClientLink.until_closed: until_closed,
    AppProcess.kill: lambda scene: scene.process.kill(),
    AppProcess.stop: lambda scene: scene.process.stop(),
}


LONG = {
    AppProcess.kill,
    AppProcess.stop,
    AppServer.next_session,
    AppServer.start,
    ClientLink.close,
    Server.start_app,
    open_glasses,
    open_websocket,
}
"""Too long for every step: an app starts or ends, or somebody shakes hands."""


@pytest.mark.parametrize("function", SAYS, ids=lambda function: function.__qualname__)
@cancels(*SAYS)
async def test_who_gives_up_saying_something(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    assert await cancel_at_every_moment(scene, SAYS[function], all_of_it_works) > 0


@pytest.mark.parametrize("function", DOES, ids=lambda function: function.__qualname__)
@cancels(*DOES)
async def test_who_gives_up_doing_something(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    async def call(scene: Scene) -> None:
        with suppress(LinkClosed):
            await DOES[function](scene)

    short = function in {Glasses.next, Glasses.expect, Glasses.close}
    every = 9 if function in LONG else 2 if short else 4
    assert await cancel_at_every_moment(scene, call, all_of_it_works, every=every) > 0
