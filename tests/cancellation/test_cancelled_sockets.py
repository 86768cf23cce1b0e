"""Streams over sockets: a cancelled call takes nothing with it that the next one needs."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from every_moment import cancel_at_every_moment, cancels

from mentra_trio.transport.plain_socket import PlainSocket
from mentra_trio.transport.pump import Pump

Pair = tuple[PlainSocket, PlainSocket]


@asynccontextmanager
async def pair() -> AsyncGenerator[Pair]:
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    ours, theirs = (PlainSocket(end, "somebody") for end in ends)
    try:
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


def fill(stream: PlainSocket) -> None:
    with pytest.raises(BlockingIOError):
        while True:
            stream.sock.send(bytes(65_536))


async def read_a_little_later(stream: PlainSocket) -> None:
    await trio.sleep(0.001)
    while stream.receive_nowait(65_536):
        pass


async def receive(ends: Pair) -> None:
    ours, theirs = ends
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"hello")
        await ours.receive_some(5)


async def send(ends: Pair) -> None:
    ours, theirs = ends
    fill(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_a_little_later, theirs)
        await ours.send_all(b"x" * 1_000)


async def wait_until_there_is_room(ends: Pair) -> None:
    ours, theirs = ends
    fill(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_a_little_later, theirs)
        await ours.wait_send_all_might_not_block()


async def end(ends: Pair) -> None:
    await ends[1].send_eof()


async def close(ends: Pair) -> None:
    await ends[1].aclose()


CALLS: dict[Callable[..., object], Callable[[Pair], Awaitable[None]]] = {
    PlainSocket.receive_some: receive,
    PlainSocket.send_all: send,
    PlainSocket.wait_send_all_might_not_block: wait_until_there_is_room,
    PlainSocket.send_eof: end,
    PlainSocket.aclose: close,
}


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__qualname__)
@cancels(*CALLS)
async def test_who_gives_up_does_not_block_the_next(function: Callable[..., object]) -> None:
    async def check(ends: Pair) -> None:
        ours, theirs = ends
        if function is PlainSocket.aclose:
            assert theirs.sock.fileno() < 0, "closed, although cancelled"
            return
        while ours.receive_nowait(65_536) or theirs.receive_nowait(65_536):
            pass
        await ours.send_all(b"still here")
        assert await theirs.receive_some(100) == b"still here"

    assert await cancel_at_every_moment(pair, CALLS[function], check) >= 1


async def watch(ends: Pair) -> None:
    pump, (ours, theirs) = Pump(), ends
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump.run)
        nursery.start_soon(theirs.send_all, b"hello")
        assert await pump.watch(ours.sock.fileno(), lambda now: ours.receive_nowait(5)) == b"hello"
        nursery.cancel_scope.cancel()


@cancels(Pump.watch, Pump.run)
async def test_whoever_watches_is_forgotten() -> None:
    async def check(ends: Pair) -> None:
        while ends[0].receive_nowait(65_536):
            pass
        await watch(ends)

    assert await cancel_at_every_moment(pair, watch, check) >= 3
