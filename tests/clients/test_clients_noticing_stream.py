from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from mentra_trio.clients.frame_bounds import BARE_PONG
from mentra_trio.clients.noticing_stream import NoticingStream
from mentra_trio.testing.streams import MemoryStream, Travel, memory_stream_pair
from mentra_trio.wire.frames import PING_FRAME, encode_message

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n"
Opened = tuple[NoticingStream, MemoryStream]


@pytest.fixture
async def opened(autojump_clock: object) -> AsyncGenerator[Opened]:
    """A client's stream whose upgrade was answered, and its peer."""
    inner, peer = memory_stream_pair()
    stream = NoticingStream(inner)
    await peer.send_all(HEAD)
    assert await stream.receive_some() == HEAD
    yield stream, peer
    inner.abandon()
    peer.abandon()


async def test_a_bare_ping_is_answered_and_not_passed_on(opened: Opened) -> None:
    stream, peer = opened
    message = encode_message("hello")
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            assert await stream.receive_some() == message

        nursery.start_soon(receive)
        for _ in range(3):
            await peer.send_all(PING_FRAME)
            assert await peer.receive_some() == BARE_PONG
        await peer.send_all(message)


async def test_what_only_looks_like_a_ping_is_passed_on(opened: Opened) -> None:
    stream, peer = opened
    message = encode_message(b"a" + PING_FRAME + b"b")
    for piece in (message[:3], PING_FRAME, b"b"):
        await peer.send_all(piece)
        assert await stream.receive_some() == piece
    with trio.move_on_after(1) as waiting:
        await peer.receive_some()
    assert waiting.cancelled_caught, "nothing was answered"


async def test_before_the_upgrade_is_answered_nothing_is_a_ping(autojump_clock: object) -> None:
    inner, peer = memory_stream_pair()
    stream = NoticingStream(inner)
    async with inner, peer:
        for piece in (PING_FRAME, HEAD[:10], HEAD[10:] + encode_message("x")[:1]):
            await peer.send_all(piece)
            assert await stream.receive_some() == piece
        await peer.send_all(PING_FRAME)  # the middle of a frame that began behind the head
        assert await stream.receive_some() == PING_FRAME


async def test_an_answer_waits_for_what_is_being_sent(autojump_clock: object) -> None:
    inner, peer = memory_stream_pair(Travel(window=4))
    stream = NoticingStream(inner)
    async with inner, peer, trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, b"x" * 10)
        await wait_all_tasks_blocked()
        nursery.start_soon(stream.send_all, BARE_PONG)
        received = b""
        while len(received) < 16:
            received += await peer.receive_some()
    assert received == b"x" * 10 + BARE_PONG


async def test_the_end_is_noticed(opened: Opened) -> None:
    stream, peer = opened
    await peer.aclose()
    assert await stream.receive_some() == b""
    await stream.until_over()
