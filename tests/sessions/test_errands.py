"""Errands: tasks that are there only while there is something to do."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.sessions.errands import Errand, Errands


class Work:
    """A job that takes a second, and when it was done."""

    def __init__(self, errands: Errands) -> None:
        self.errand = Errand(errands, self.do, "work")
        self.done_at: list[float] = []

    async def do(self) -> None:
        await trio.sleep(1)
        self.done_at.append(trio.current_time())


def opened(nursery: trio.Nursery) -> Errands:
    errands = Errands()
    errands.open(nursery)
    return errands


async def test_a_burst_is_one_run_and_the_next_one_another(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    work = Work(opened(nursery))
    for _ in range(2):
        for _ in range(5):
            work.errand.begin()
            await trio.sleep(0.1)
        await trio.sleep(4.5)
    assert work.done_at == [pytest.approx(1), pytest.approx(6)]


async def test_who_has_nothing_to_do_has_no_task(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    work = Work(opened(nursery))
    before = len(nursery.child_tasks)
    work.errand.begin()
    assert len(nursery.child_tasks) == before + 1
    await trio.sleep(2)
    assert len(nursery.child_tasks) == before


async def test_nothing_is_begun_before_the_session_is_open_or_once_it_is_over(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    errands = Errands()
    work = Work(errands)
    work.errand.begin()
    errands.open(nursery)
    await trio.sleep(2)
    assert work.done_at == [], "begun before it was open"
    work.errand.begin()
    await trio.sleep(2)
    errands.close()
    work.errand.begin()
    await trio.sleep(2)
    assert len(work.done_at) == 1


async def test_a_job_that_was_cut_short_can_be_begun_again(autojump_clock: MockClock) -> None:
    errands = Errands()
    work = Work(errands)
    async with trio.open_nursery() as nursery:
        errands.open(nursery)
        work.errand.begin()
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    async with trio.open_nursery() as nursery:
        errands.open(nursery)
        work.errand.begin()
    assert work.done_at == [pytest.approx(1)]


async def test_an_errand_that_is_ended_early_leaves_the_others_alone(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    errands, done = opened(nursery), list[str]()

    async def job(name: str) -> None:
        await trio.sleep(1)
        done.append(name)

    ended = errands.begin(partial(job, "one"), name="one")
    errands.begin(partial(job, "two"), name="two")
    ended.cancel()
    await trio.sleep(2)
    assert done == ["two"]
