"""Loans, offers and one-shots: who has what, and who is told when it is over."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.concurrency.loan import Loan
from mentra_trio.concurrency.offers import Offers
from mentra_trio.concurrency.oneshot import OneShot


async def test_everybody_gets_the_same_object_and_the_first_result_is_kept(
    autojump_clock: MockClock,
) -> None:
    shot: OneShot[list[int]] = OneShot()
    got: list[list[int]] = []

    async def wait() -> None:
        got.append(await shot.wait())

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        assert shot.peek() is None
        first: list[int] = [1]
        assert shot.settle(first)
        assert not shot.settle([2])
    assert len(got) == 10
    assert all(value is first for value in got)
    assert await shot.wait() is first, "late waiters too"


async def test_a_cancelled_waiter_harms_nobody(autojump_clock: MockClock) -> None:
    shot: OneShot[str] = OneShot()
    with trio.move_on_after(1) as gone:
        await shot.wait()
    assert gone.cancelled_caught
    shot.settle("x")
    assert await shot.wait() == "x"


async def test_a_loan_is_given_back_once_with_its_first_reason(autojump_clock: MockClock) -> None:
    loan: Loan[str, str] = Loan("link")
    states = [loan.over]
    loan.give_back("first")
    loan.give_back("second")
    states.append(loan.over)
    assert states == [False, True]
    assert await loan.returned() == "first"


async def test_the_newest_offer_wins_and_the_displaced_one_is_given_back(
    autojump_clock: MockClock,
) -> None:
    offers: Offers[str, str] = Offers("replaced")
    first, second = offers.offer("one"), offers.offer("two")
    assert await first.returned() == "replaced"
    await offers.until_offered()
    assert offers.take() is second
    assert not offers.waiting
    assert not second.over


async def test_a_withdrawn_offer_does_not_wake_the_borrower(autojump_clock: MockClock) -> None:
    offers: Offers[str, str] = Offers("replaced")
    offers.offer("gone").give_back("lender ended")
    assert not offers.waiting
    with trio.move_on_after(1) as waited:
        await offers.until_offered()
    assert waited.cancelled_caught
    offers.offer("here")
    await offers.until_offered()


async def test_until_offered_is_woken_by_an_offer(autojump_clock: MockClock) -> None:
    offers: Offers[str, str] = Offers("replaced")
    woken: list[float] = []

    async def wait() -> None:
        await offers.until_offered()
        woken.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.sleep(3)
        offers.offer("link")
    assert woken == [3.0, 3.0]


async def test_a_refused_offer_is_given_back(autojump_clock: MockClock) -> None:
    offers: Offers[str, str] = Offers("replaced")
    loan = offers.offer("link")
    offers.refuse("over")
    offers.refuse("again")
    assert await loan.returned() == "over"
    with pytest.raises(AssertionError):
        offers.take()
