"""The outbox: order, bounds, and the end."""

from __future__ import annotations

from typing import Any

import trio

from mentra_trio.transport.outbox import BATCH_BYTES, Outbox


def outbox(bytes_max: int = 100, frames_max: int = 10) -> Outbox:
    return Outbox(bytes_max, frames_max)


async def test_frames_come_out_in_order_and_joined(autojump_clock: Any) -> None:
    box = outbox()
    for piece in (b"a", b"b", b"c"):
        assert box.put(piece)
    assert await box.take() == b"abc"


async def test_bytes_are_bounded_and_count_until_sent(autojump_clock: Any) -> None:
    box = outbox()
    assert box.put(b"x" * 60)
    assert box.put(b"x" * 40)
    assert not box.put(b"x")
    await box.take()
    assert not box.put(b"x")
    box.put(b"")
    await box.take()
    assert box.unsent_bytes == 0
    assert box.put(b"x" * 100)


async def test_frames_are_bounded(autojump_clock: Any) -> None:
    box = outbox(frames_max=2)
    assert box.put(b"1")
    assert box.put(b"2")
    assert not box.put(b"3")


async def test_finish_sends_the_rest_and_the_last_word(autojump_clock: Any) -> None:
    box = outbox(bytes_max=3)
    box.put(b"abc")
    box.finish(b"last")
    box.finish(b"never")
    assert not box.put(b"d")
    assert await box.take() == b"abclast"
    assert await box.take() is None


async def test_a_waiting_writer_wakes_at_the_end(autojump_clock: Any) -> None:
    box = outbox()
    seen: list[bytes | None] = []

    async def writer() -> None:
        while (batch := await box.take()) is not None:
            seen.append(batch)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer)
        await trio.sleep(1)
        box.put(b"a")
        await trio.sleep(1)
        box.finish()
    assert seen == [b"a"]


async def test_discard_forgets_what_was_not_taken(autojump_clock: Any) -> None:
    box = outbox()
    box.put(b"x" * 30)
    await box.take()
    box.put(b"y" * 30)
    box.discard()
    assert box.unsent_bytes == 30
    box.finish(b"end")
    assert await box.take() == b"end"


async def test_batches_are_bounded_but_a_big_frame_goes_whole(autojump_clock: Any) -> None:
    box = outbox(bytes_max=1_000_000)
    half = b"x" * (BATCH_BYTES // 2)
    for _ in range(3):
        box.put(half)
    box.put(b"y" * (2 * BATCH_BYTES))
    assert len(await box.take() or b"") == BATCH_BYTES
    assert len(await box.take() or b"") == BATCH_BYTES // 2
    assert len(await box.take() or b"") == 2 * BATCH_BYTES
