"""A value that others wait for: who waits sees it as soon as it is as wanted."""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

from mentra_trio.concurrency.watched import Watched


async def test_what_is_the_case_already_is_not_waited_for() -> None:
    assert await Watched(3).until(lambda value: value == 3) == 3


async def test_whoever_waits_looks_again_at_every_change(nursery: trio.Nursery) -> None:
    watched, looked, found = Watched(0), [], []

    def is_big(value: int) -> bool:
        looked.append(value)
        return value > 1

    async def wait() -> None:
        found.append(await watched.until(is_big))

    nursery.start_soon(wait)
    for value in (1, 1, 2):
        await wait_all_tasks_blocked()
        watched.set(value)
    await wait_all_tasks_blocked()
    assert looked == [0, 1, 2], "the same value again is no change"
    assert found == [2]


async def test_all_who_wait_are_woken(nursery: trio.Nursery) -> None:
    watched, found = Watched("away"), []

    async def wait(number: int) -> None:
        await watched.until(lambda value: value == "here")
        found.append(number)

    for number in range(5):
        nursery.start_soon(wait, number)
    await wait_all_tasks_blocked()
    watched.set("here")
    await wait_all_tasks_blocked()
    assert sorted(found) == [0, 1, 2, 3, 4]


async def test_a_value_that_is_gone_before_anybody_can_look_may_be_missed(
    nursery: trio.Nursery,
) -> None:
    watched, found = Watched(0), []

    async def wait() -> None:
        found.append(await watched.until(lambda value: value == 1))

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    watched.set(1)
    watched.set(2)
    await wait_all_tasks_blocked()
    assert found == []
    watched.set(1)
    await wait_all_tasks_blocked()
    assert found == [1]


async def test_a_waiter_that_gives_up_takes_nobody_with_it(nursery: trio.Nursery) -> None:
    watched, found = Watched(0), []

    async def wait() -> None:
        found.append(await watched.until(bool))

    with trio.CancelScope() as impatient:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        impatient.cancel()
        await watched.until(bool)
    watched.set(7)
    await wait_all_tasks_blocked()
    assert found == [7]
