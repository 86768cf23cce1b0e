"""Server, glasses and apps are cancelled at once, down to the bytes: the addresses are free again."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.world import USER, World, open_world

PACKAGE = "com.t.a"


def an_app(*, persistent: bool = False) -> App:
    """It repeats on the display what it hears."""
    app = App(PACKAGE, "key", persistent=persistent)

    @app.session
    async def begin(session: AppSession) -> None:
        async def pressed(_: object) -> None:
            await session.show_text("pressed")

        session.on_button_press(pressed)
        await session.show_two_texts("hello", "world")

    return app


@attrs.define(eq=False)
class Outside:
    """What outlives the world that is cancelled: what is on disk, and the network."""

    store: MemoryStore = attrs.field(factory=MemoryStore)
    network: MemoryNetwork = attrs.field(factory=MemoryNetwork)


@asynccontextmanager
async def outside() -> AsyncGenerator[Outside]:
    yield Outside()


async def everything_once(outside: Outside) -> None:
    async with open_world(store=outside.store, network=outside.network) as world:
        process = await world.add(an_app())
        await use_it(world)
        async with world.glasses():
            await world.server.stop_app(USER, PACKAGE)
        await process.stop()


async def use_it(world: World) -> None:
    async with world.glasses() as glasses:
        result = await world.server.start_app(USER, PACKAGE)
        assert result.success, result
        await glasses.until_shown("hello")
        await glasses.press_button()
        await glasses.until_shown("pressed")


async def a_new_world_works(outside: Outside) -> None:
    assert not [one for one in outside.network.connections if one.is_open]
    async with open_world(store=outside.store, network=outside.network) as world:
        await world.add(an_app())
        await use_it(world)
        async with world.glasses():
            assert await world.server.stop_app(USER, PACKAGE)


async def test_everything_once(autojump_clock: MockClock) -> None:
    moments = await cancel_at_every_moment(
        outside, everything_once, a_new_world_works, every=11
    )
    print(moments)
