"""Audio for a recogniser that may be slow."""

from __future__ import annotations

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.sessions.audio_queue import BYTES_MAX, AudioQueue


async def test_pieces_and_pauses_come_out_in_order(autojump_clock: MockClock) -> None:
    queue = AudioQueue()
    queue.put(b"ab")
    queue.pause()
    queue.pause()
    queue.put(b"cd")
    assert [await queue.next() for _ in range(3)] == [b"ab", None, b"cd"]


async def test_who_waits_gets_the_next(autojump_clock: MockClock) -> None:
    queue, got = AudioQueue(), []

    async def listen() -> None:
        while True:
            got.append(await queue.next())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        for piece in (b"ab", b"cd"):
            await wait_all_tasks_blocked()
            queue.put(piece)
        queue.pause()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert got == [b"ab", b"cd", None]


async def test_a_queue_that_was_cleared_is_empty(autojump_clock: MockClock) -> None:
    queue = AudioQueue()
    queue.put(bytes(BYTES_MAX))
    queue.clear()
    assert queue.put(b"ab") == 0
    assert await queue.next() == b"ab"


@given(st.lists(st.one_of(st.none(), st.integers(1, BYTES_MAX // 2)), max_size=40))
def test_the_oldest_are_given_up_and_counted(course: list[int | None]) -> None:
    queue, given_up, put = AudioQueue(), 0, 0
    for length in course:
        if length is None:
            queue.pause()
        else:
            put += 1
            given_up += queue.put(bytes(length))
    waiting = [piece for piece in queue._waiting if piece is not None]
    lengths = [length for length in course if length is not None]
    assert [len(piece) for piece in waiting] == lengths[given_up:], "the newest are there"
    assert sum(map(len, waiting)) <= BYTES_MAX
    assert len(waiting) + given_up == put


async def test_what_was_taken_takes_no_room(autojump_clock: MockClock) -> None:
    queue = AudioQueue()
    piece = bytes(BYTES_MAX // 3)
    for _ in range(10):
        assert [queue.put(piece) for _ in range(3)] == [0, 0, 0]
        for _ in range(3):
            await queue.next()
