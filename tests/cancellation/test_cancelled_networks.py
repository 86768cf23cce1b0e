"""Streams, listeners and look-ups: who gives up leaves the line and the address free."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.clients.app import App
from mentra_trio.clients.app_port import answering, listening
from mentra_trio.domain.errors import WebhookFailed
from mentra_trio.ports import AppCall
from mentra_trio.testing.certification.rest import answer_rest
from mentra_trio.testing.conditions import Conditions
from mentra_trio.testing.faults import (
    DuplicateConnect,
    Fault,
    Latency,
    Refuse,
    Reorder,
    Stall,
)
from mentra_trio.testing.network import BACKLOG, MemoryListener, MemoryNetwork
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.streams import MemoryStream, Travel, memory_stream_pair
from mentra_trio.transport.accepting import EagerListener
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


@pytest.mark.parametrize("copy_first", [True, False])
@cancels(MemoryListener.offer)
async def test_who_gives_up_dialling_twice_leaves_neither_connection(
    copy_first: bool, autojump_clock: MockClock
) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[tuple[MemoryNetwork, MemoryListener]]:
        network = MemoryNetwork()
        async with network.listen("server", 1) as listener:
            for _ in range(BACKLOG):
                async with await network.dial("server", 1):
                    pass
            yield network, listener
        assert not [one for one in network.connections if one.is_open]

    async def call(full: tuple[MemoryNetwork, MemoryListener]) -> None:
        network, listener = full
        fault = DuplicateConnect(copy_first=copy_first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept_soon, listener)
            async with (
                network.conditions.during(fault, Random(0)),
                await network.dial("server", 1),
            ):
                pass

    async def accept_soon(listener: MemoryListener) -> None:
        for _ in range(2):
            await trio.sleep(0.1)
            async with await listener.accept():
                pass

    async def check(full: tuple[MemoryNetwork, MemoryListener]) -> None:
        async with await full[1].accept():
            pass

    assert await cancel_at_every_moment(world, call, check) > 4


async def welcome(listener: MemoryListener) -> None:
    """Accept everybody, and hear them out."""

    async def hear_out(stream: MemoryStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass

    await trio.serve_listeners(hear_out, [listener])


@pytest.mark.parametrize("fault", [Refuse(hangs=True), Stall(), Stall(heals=False)], ids=repr)
@cancels(Conditions.until_passable)
async def test_who_gives_up_dialling_where_nobody_gets_through_leaves_nothing(
    fault: Fault, autojump_clock: MockClock
) -> None:
    assert await dialled_while_it_is_on(fault) > 5


@pytest.mark.parametrize(
    "fault",
    [Latency(), Reorder(), DuplicateConnect(), DuplicateConnect(copy_first=False)],
    ids=repr,
)
async def test_who_gives_up_dialling_where_something_is_wrong_leaves_nothing(
    fault: Fault, autojump_clock: MockClock
) -> None:
    assert await dialled_while_it_is_on(fault) > 5


async def dialled_while_it_is_on(fault: Fault) -> int:
    """How many moments there were at which somebody could give up."""

    @asynccontextmanager
    async def world() -> AsyncGenerator[MemoryNetwork]:
        network = MemoryNetwork()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(welcome, network.listen("server", 1))
            yield network
            nursery.cancel_scope.cancel("done")

    async def call(network: MemoryNetwork) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dial, network, 0.1)
            async with (
                network.conditions.during(fault, Random(0)),
                trio.open_nursery() as dialling,
            ):
                dialling.start_soon(dial, network, 0.0)
                await trio.sleep(0.5)
                dialling.cancel_scope.cancel("it is over")

    async def dial(network: MemoryNetwork, after: float) -> None:
        await trio.sleep(after)
        async with await network.dial("server", 1) as stream:
            await stream.send_all(b"hello")

    async def check(network: MemoryNetwork) -> None:
        await trio.sleep(1)
        assert not [one for one in network.connections if one.is_open]
        with trio.fail_after(1):
            await dial(network, 0.0)

    return await cancel_at_every_moment(world, call, check)


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


@cancels(listening, answering)
async def test_an_app_that_listens_at_a_socket() -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[None]:
        yield

    async def call(_: None) -> None:
        listeners, url = await listening("127.0.0.1", 0, None)
        async with answering(answer_rest, listeners, RecordingTelemetry()):
            assert url.startswith("http://127.0.0.1:")
            await trio.sleep(0.001)

    async def serve(_: None) -> None:
        async with App("com.t.a", "key").serve():
            await trio.sleep(0.001)

    assert await cancel_at_every_moment(world, call, serve) > 1
    assert await cancel_at_every_moment(world, serve, call) > 1


CALLS: dict[Callable[..., object], Callable[[HttpWebhooks], Awaitable[object]]] = {
    HttpWebhooks.health: lambda webhooks: webhooks.health("http://app"),
    HttpWebhooks.post: lambda webhooks: webhooks.post(
        AppCall(url="http://app", path="/settings", body={})
    ),
}


@pytest.mark.parametrize("method", CALLS, ids=lambda method: method.__name__)
@cancels(*CALLS)
async def test_a_question_to_an_app_server(
    method: Callable[..., object], autojump_clock: MockClock
) -> None:
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
                await CALLS[method](webhooks)
            nursery.cancel_scope.cancel("done")

    async def check(network: MemoryNetwork) -> None:
        assert not [one for one in network.connections if one.is_open]
        await call(network)

    assert await cancel_at_every_moment(world, call, check) > 10
