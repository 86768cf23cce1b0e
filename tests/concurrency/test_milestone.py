"""What happens once: everybody who waits for it goes on, and so does who comes later."""

from __future__ import annotations

import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from mentra_trio.concurrency.milestone import Milestone


async def test_everybody_who_waits_goes_on_when_it_has_happened(autojump_clock: MockClock) -> None:
    milestone, went_on = Milestone(), []

    async def wait(who: int) -> None:
        await milestone.wait()
        went_on.append(who)

    async with trio.open_nursery() as nursery:
        for who in range(3):
            nursery.start_soon(wait, who)
        await wait_all_tasks_blocked()
        assert (milestone.is_set(), went_on) == (False, [])
        milestone.set()
        milestone.set()
    assert (milestone.is_set(), sorted(went_on)) == (True, [0, 1, 2])


async def test_who_comes_later_does_not_wait_but_lets_others_run(autojump_clock: MockClock) -> None:
    milestone = Milestone()
    milestone.set()
    with trio.fail_after(0.1), assert_checkpoints():
        await milestone.wait()


async def test_who_stops_waiting_takes_nothing_along(autojump_clock: MockClock) -> None:
    milestone = Milestone()
    with trio.move_on_after(1) as gone:
        await milestone.wait()
    assert gone.cancelled_caught
    assert not milestone.is_set()
    milestone.set()
    with trio.fail_after(0.1):
        await milestone.wait()
