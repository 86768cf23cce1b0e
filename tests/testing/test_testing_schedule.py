from __future__ import annotations

import pytest
import trio

from mentra_trio.testing.schedule import ScheduleNotSeeded, seed_schedule


async def order_of(seed: int) -> list[int]:
    seed_schedule(seed)
    order: list[int] = []

    async def note(number: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            order.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(note, number)
    return order


async def test_the_same_seed_gives_the_same_order() -> None:
    assert await order_of(7) == await order_of(7)
    assert len({tuple(await order_of(seed)) for seed in range(5)}) > 1


def test_a_trio_that_hides_its_generator_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("trio._core._run._r")
    with pytest.raises(ScheduleNotSeeded, match="somewhere else"):
        seed_schedule(1)
