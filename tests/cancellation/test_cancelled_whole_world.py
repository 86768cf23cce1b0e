"""Server, glasses and apps are cancelled at once, down to the bytes: addresses are free again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.clients.app import App
from mentra_trio.clients.app_connection import AppConnection
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.app_webhook import WebhookEndpoint
from mentra_trio.server import open_server
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.network import MemoryListener, MemoryNetwork
from mentra_trio.testing.streams import MemoryStream
from mentra_trio.testing.world import USER, World, open_world
from mentra_trio.transport.app_admission import AppAdmission
from mentra_trio.transport.http_bridge import run_app
from mentra_trio.transport.http_connection import HandedOver, HttpConnection
from mentra_trio.transport.outbox import Outbox
from mentra_trio.transport.port import Port
from mentra_trio.transport.stream_link import StreamLink, writing
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.transport.websocket_link import WebSocketLink
from mentra_trio.webhooks.client import HttpWebhooks
from mentra_trio.webhooks.connecting import Connections, open_connections

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


@pytest.mark.timeout(120)
@cancels(
    open_server,
    open_world,
    World.add,
    World.run,
    App.serve,
    AppConnection.run,
    AppSession.handle_events,
    WebhookEndpoint.__call__,
    HttpWebhooks.start,
    HttpWebhooks.stop,
    open_connections,
    Connections.connect_tcp,
    MemoryNetwork.dial,
    MemoryListener.accept,
    Port.listen,
    Port.serve,
    AppAdmission.admit,
    writing,
    StreamLink.write,
    WebSocketLink.listen,
    WebSocketLink.close,
    Outbox.take,
    Outbox.until_over,
    run_app,
    HttpConnection.read_more,
    HttpConnection.next_body_event,
    HttpConnection.send,
    MemoryStream.send_all,
    MemoryStream.receive_some,
    MemoryStream.aclose,
)
async def test_everything_once(autojump_clock: MockClock) -> None:
    moments = await cancel_at_every_moment(outside, everything_once, a_new_world_works, every=3)
    assert moments > 300


KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = (
    b"GET /%s HTTP/1.1\r\nHost: server\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY + b"\r\n\r\n"
)
RAW: dict[Callable[..., object], bytes] = {
    HttpConnection.next_request: b"GET / HTT",
    HttpConnection.answer: b"hello\r\n\r\n",
    HandedOver.refuse: UPGRADE % b"nowhere",
    HttpConnection.linger: b"hello\r\n\r\n" + b"x" * 1000,
    Upgrade.reject: UPGRADE % b"nowhere",
    WebSocketLink.receive: UPGRADE % b"app-ws",
}
"""What a peer sends so that one of these has something to wait for."""


@pytest.mark.parametrize("function", RAW, ids=lambda function: function.__qualname__)
@cancels(*RAW)
async def test_a_raw_request(function: Callable[..., object], autojump_clock: MockClock) -> None:
    async def call(outside: Outside) -> None:
        async with open_world(store=outside.store, network=outside.network) as world:
            await ask(world, RAW[function])

    brief = function in {HttpConnection.answer, HttpConnection.next_request}
    every = 1 if brief else 5
    assert await cancel_at_every_moment(outside, call, a_new_world_works, every=every) > 10


async def ask(world: World, request: bytes) -> None:
    stream = await world.network.dial("server", 8002)
    async with stream:
        await stream.send_all(request)
        await stream.receive_some(100)
        await stream.send_eof()
        with trio.move_on_after(5), suppress(trio.BrokenResourceError):
            while await stream.receive_some():
                pass
