"""Closing: an event, and the end of every wait for something new."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from mentra_trio.concurrency.closing import Closing


async def test_whoever_is_idle_is_let_go_when_it_closes(autojump_clock: MockClock) -> None:
    closing = Closing()
    over: list[float] = []

    async def be_idle() -> None:
        with closing.idle(100):
            await trio.sleep_forever()
        over.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(be_idle)
        await trio.sleep(1)
        assert not closing.is_set()
        closing.set()
        closing.set()
        await closing.wait()
    assert closing.is_set()
    assert over == [1, 1, 1]


async def test_nobody_is_idle_for_longer_than_it_says(autojump_clock: MockClock) -> None:
    closing = Closing()
    with closing.idle(5):
        await trio.sleep_forever()
    assert trio.current_time() == pytest.approx(5)
    closing.set()
    with closing.idle(5):
        await trio.sleep_forever()
    assert trio.current_time() == pytest.approx(5), "it is closing already"


async def test_who_is_not_idle_any_more_is_left_alone(autojump_clock: MockClock) -> None:
    closing = Closing()
    with closing.idle(5):
        await trio.sleep(1)
    with pytest.raises(ValueError, match="planted"), closing.idle(5):
        raise ValueError("planted")
    closing.set()
    await trio.sleep(10)
    assert trio.current_time() == pytest.approx(11)


async def test_what_came_in_the_same_turn_is_not_lost(autojump_clock: MockClock) -> None:
    closing = Closing()
    with closing.idle(5):
        closing.set()
        came = True
    assert came


async def test_cancellation_from_outside_passes(autojump_clock: MockClock) -> None:
    closing = Closing()
    with trio.move_on_after(1) as outer:
        with closing.idle(5):
            await trio.sleep_forever()
        raise AssertionError("the outer one ends it all")
    assert outer.cancelled_caught
