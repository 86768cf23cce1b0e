from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import trio

from mentra_trio.testing.streams import MemoryStream, memory_stream_pair
from mentra_trio.transport.frames import BARE_PONG, FrameScanner
from mentra_trio.transport.gated_stream import GatedStream

Opened = tuple[GatedStream, MemoryStream]
MASKED_TEXT = b"\x81\x88\0\0\0\0ab" + BARE_PONG


@pytest.fixture
async def opened(autojump_clock: object) -> AsyncGenerator[Opened]:
    """The gate of a link whose upgrade was answered, and the peer."""
    inner, peer = memory_stream_pair()
    gate = GatedStream(inner, b"head", FrameScanner(99, 99), lambda frame: True, lambda frame: None)
    assert await gate.receive_some() == b"head"
    await gate.send_all(b"HTTP/1.1 101")
    yield gate, peer
    inner.abandon()
    peer.abandon()


async def test_a_bare_pong_is_heard_and_not_passed_on(
    opened: Opened, autojump_clock: object
) -> None:
    gate, peer = opened
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            assert await gate.receive_some() == MASKED_TEXT

        nursery.start_soon(receive)
        await trio.sleep(5)
        await peer.send_all(BARE_PONG)
        await trio.sleep(1)
        assert gate.last_heard == 5
        await peer.send_all(MASKED_TEXT)


async def test_what_only_looks_like_a_pong_is_passed_on(opened: Opened) -> None:
    gate, peer = opened
    for piece in (MASKED_TEXT[:8], BARE_PONG, b"\x8a\x81\0\0\0\0"):
        await peer.send_all(piece)
        assert await gate.receive_some() == piece


async def test_the_end_after_a_pong_is_an_end(opened: Opened) -> None:
    gate, peer = opened
    await peer.send_all(BARE_PONG)
    await peer.aclose()
    assert await gate.receive_some() == b""
    assert gate.ended_by_peer
