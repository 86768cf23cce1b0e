"""Streams, listeners and look-ups: who gives up leaves the line and the address free."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.domain.errors import WebhookFailed
from mentra_trio.testing.network import BACKLOG, MemoryListener, MemoryNetwork
from mentra_trio.testing.streams import MemoryStream, Travel, memory_stream_pair
from mentra_trio.transport.accepting import EagerListener
from mentra_trio.transport.replayed_stream import ReplayedStream
from mentra_trio.transport.tcp import bound_address, open_listeners
from mentra_trio.webhooks.client import HttpWebhooks
from mentra_trio.webhooks.connecting import CheckedDial
from mentra_trio.webhooks.look_up import LookUp

PIECE = 100


@attrs.define(eq=False)
class Pair:
    """A connection whose one direction is full."""

    here: MemoryStream
    there: MemoryStream


@asynccontextmanager
async def pair() -> AsyncGenerator[Pair]:
    here, there = memory_stream_pair(Travel(window=PIECE))
    async with here, there:
        await here.send_all(b"x" * PIECE)
        yield Pair(here, there)


STREAMS: dict[Callable[..., object], Callable[[Pair], Awaitable[object]]] = {
    MemoryStream.wait_send_all_might_not_block: (
        lambda pair: pair.here.wait_send_all_might_not_block()
    ),
    MemoryStream.send_eof: lambda pair: pair.there.send_eof(),
    ReplayedStream.wait_send_all_might_not_block: (
        lambda pair: ReplayedStream(pair.here, b"").wait_send_all_might_not_block()
    ),
    ReplayedStream.aclose: lambda pair: ReplayedStream(pair.there, b"").aclose(),
}


@pytest.mark.parametrize("function", STREAMS, ids=lambda function: function.__qualname__)
@cancels(*STREAMS)
async def test_a_stream_goes_on(function: Callable[..., object], autojump_clock: MockClock) -> None:
    async def read_soon(pair: Pair) -> None:
        await trio.sleep(0.1)
        assert await pair.there.receive_some(PIECE) == b"x" * PIECE

    async def call(pair: Pair) -> None:
        async with trio.open_nursery() as nursery:
            if "wait" in function.__name__:
                nursery.start_soon(read_soon, pair)
            await STREAMS[function](pair)

    async def check(pair: Pair) -> None:
        if not pair.there.is_open:
            return  # closed, as was asked for
        with suppress(trio.WouldBlock), trio.move_on_after(0.1):
            await pair.there.receive_some(PIECE)
        await pair.here.send_all(b"y" * PIECE)
        assert await pair.there.receive_some(PIECE) == b"y" * PIECE

    assert await cancel_at_every_moment(pair, call, check) > 0


@cancels(MemoryListener.aclose)
async def test_an_address_is_free_again(autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[MemoryNetwork]:
        yield MemoryNetwork()

    async def call(network: MemoryNetwork) -> None:
        async with network.listen("server", 1), await network.dial("server", 1):
            pass

    assert await cancel_at_every_moment(world, call, call) > 1


@cancels(MemoryListener.offer)
async def test_who_gives_up_dialling_leaves_no_place_in_the_backlog(
    autojump_clock: MockClock,
) -> None:
    network = MemoryNetwork()

    @asynccontextmanager
    async def world() -> AsyncGenerator[MemoryListener]:
        async with network.listen("server", 1) as listener:
            for _ in range(BACKLOG):
                async with await network.dial("server", 1):
                    pass
            yield listener

    async def call(listener: MemoryListener) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept_soon, listener)
            async with await network.dial("server", 1):
                pass

    async def accept_soon(listener: MemoryListener) -> None:
        await trio.sleep(0.1)
        async with await listener.accept():
            pass

    async def check(listener: MemoryListener) -> None:
        async with await listener.accept():
            pass
        async with await network.dial("server", 1):
            pass

    assert await cancel_at_every_moment(world, call, check) > 2


# -- real sockets, which nobody waits for ------------------------------------------------------


async def listen_and_connect(dial: CheckedDial | None = None) -> None:
    [listener] = await open_listeners("127.0.0.1", 0)
    async with listener:
        host, port = bound_address([listener])
        dial = dial or CheckedDial(allow_private_networks=True)
        async with await dial(host, port), await listener.accept():
            pass


@cancels(
    open_listeners,
    EagerListener.accept,
    EagerListener.aclose,
    CheckedDial.__call__,
    LookUp.__call__,
)
async def test_sockets_are_closed() -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[None]:
        yield

    async def call(_: None) -> None:
        await listen_and_connect()

    async def check(_: None) -> None:
        await listen_and_connect()

    assert await cancel_at_every_moment(world, call, check) > 3


@cancels(HttpWebhooks.health)
async def test_a_question_for_health(autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[MemoryNetwork]:
        yield MemoryNetwork()

    async def answer(stream: MemoryStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def call(network: MemoryNetwork) -> None:
        webhooks = HttpWebhooks(
            allow_private_networks=True, connect_s=1, read_s=1, dial=network.dial
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, answer, [network.listen("app", 80)])
            with suppress(WebhookFailed):
                await webhooks.health("http://app")
            nursery.cancel_scope.cancel("done")

    async def check(network: MemoryNetwork) -> None:
        assert not [one for one in network.connections if one.is_open]
        await call(network)

    assert await cancel_at_every_moment(world, call, check) > 10
