"""race: the first part to return ends the others."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from mentra_trio.concurrency.race import race


async def after(seconds: float, result: str, log: list[str] | None = None) -> str:
    try:
        await trio.sleep(seconds)
    finally:
        if log is not None:
            log.append(result)
    return result


async def test_the_first_to_return_wins_and_the_others_are_over(autojump_clock: MockClock) -> None:
    log: list[str] = []
    began = trio.current_time()
    result = await race(
        lambda: after(5, "slow", log),
        lambda: after(1, "quick", log),
        lambda: after(9, "slower", log),
    )
    assert result == "quick"
    assert trio.current_time() - began == pytest.approx(1)
    assert sorted(log) == ["quick", "slow", "slower"], "the losers were awaited, not abandoned"


async def test_two_in_one_turn_have_one_winner(autojump_clock: MockClock) -> None:
    assert await race(lambda: after(1, "a"), lambda: after(1, "b")) in {"a", "b"}


async def test_an_error_cancels_the_rest_and_propagates(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def fail() -> str:
        await trio.sleep(1)
        raise ValueError("planted")

    with pytest.RaisesGroup(ValueError):
        await race(fail, lambda: after(60, "other", log))
    assert log == ["other"]


async def test_cancelling_the_race_cancels_every_part(autojump_clock: MockClock) -> None:
    log: list[str] = []
    with trio.move_on_after(1):
        await race(lambda: after(60, "a", log), lambda: after(60, "b", log))
    assert sorted(log) == ["a", "b"]
