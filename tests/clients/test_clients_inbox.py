from __future__ import annotations

import pytest
import trio
import trio.testing

from mentra_trio.clients.inbox import Inbox
from mentra_trio.domain.close_reasons import LINK_LOST
from mentra_trio.domain.errors import LinkClosed


async def test_taking_by_a_condition_leaves_the_rest() -> None:
    inbox: Inbox[int] = Inbox()
    for number in (1, 2, 3, 4):
        inbox.put(number)
    assert await inbox.take(lambda number: number > 2) == 3
    assert await inbox.take() == 1
    assert list(inbox) == [2, 4]
    assert len(inbox) == 2


async def test_two_waiters_get_what_each_waits_for(autojump_clock: object) -> None:
    inbox: Inbox[int] = Inbox()
    taken: dict[str, int] = {}

    async def wait(name: str, odd: bool) -> None:
        taken[name] = await inbox.take(lambda number: number % 2 == odd)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, "odd", True)
        nursery.start_soon(wait, "even", False)
        await trio.testing.wait_all_tasks_blocked()
        inbox.put(2)
        inbox.put(1)
    assert taken == {"odd": 1, "even": 2}


async def test_the_oldest_is_forgotten() -> None:
    inbox: Inbox[int] = Inbox(2)
    for number in range(5):
        inbox.put(number)
    assert (list(inbox), inbox.dropped) == ([3, 4], 3)


async def test_the_end_comes_after_what_is_kept(autojump_clock: object) -> None:
    inbox: Inbox[int] = Inbox()
    inbox.put(1)
    inbox.end(lambda: LinkClosed(LINK_LOST))
    inbox.end(lambda: ValueError("a second end is none"))
    assert await inbox.take() == 1
    for _ in range(2):
        with pytest.raises(LinkClosed):
            await inbox.take()


async def test_the_end_wakes_who_waits(autojump_clock: object) -> None:
    inbox: Inbox[int] = Inbox()
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(LinkClosed):
                await inbox.take()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        inbox.end(lambda: LinkClosed(LINK_LOST))


async def test_a_cancelled_waiter_takes_nothing(autojump_clock: object) -> None:
    inbox: Inbox[int] = Inbox()
    with trio.move_on_after(1):
        await inbox.take()
    inbox.put(1)
    assert list(inbox) == [1]


def test_there_is_room_for_one_at_least() -> None:
    with pytest.raises(ValueError, match="must be >= 1"):
        Inbox(0)
