"""The use of one link: whatever may end it, in whatever order, and at which moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import pytest
import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from mentra_trio.concurrency.offers import Offers
from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    LINK_LOST,
    SLOW_CONSUMER,
    SUPERSEDED,
    CloseReason,
)
from mentra_trio.domain.timings import PROOF_S
from mentra_trio.sessions.link_service import use_link
from mentra_trio.sessions.pulse import Pulse
from mentra_trio.testing.links import MemoryLink

DEAD: Final = CloseReason(1011, "silent")
SILENCE_S: Final = 20
INTERVAL_S: Final = 10


@attrs.define(eq=False)
class Rumour:
    """A ``Doubt`` that the test raises."""

    link: MemoryLink
    raised: bool = False
    dispelled: list[float] = attrs.field(factory=list)

    def spread(self) -> None:
        self.raised = True
        self.link.wake()

    def dispel(self) -> None:
        self.raised = False
        self.dispelled.append(trio.current_time())


@attrs.define(eq=False)
class Use:
    """One use of a link in memory, and what came of it when."""

    answers_pings: bool = False
    handle: Callable[[str | bytes], CloseReason | None] = lambda message: None
    link: MemoryLink = attrs.field(init=False)
    rumour: Rumour = attrs.field(init=False)
    offers: Offers[str, CloseReason] = attrs.field(factory=lambda: Offers(SUPERSEDED))
    outcome: tuple[CloseReason, float] | None = None

    def __attrs_post_init__(self) -> None:
        self.link = MemoryLink(answers_pings=self.answers_pings)
        self.rumour = Rumour(self.link)

    async def run(self) -> None:
        pulse = Pulse()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pulse.run)
            reason = await use_link(
                self.link,
                handle=self.handle,
                interval=INTERVAL_S,
                silence=SILENCE_S,
                silent=DEAD,
                offers=self.offers,
                pulse=pulse,
                doubt=self.rumour,
            )
            nursery.cancel_scope.cancel()
        self.outcome = reason, trio.current_time()
        self.link.close(reason)
        self.offers.refuse(APP_STOPPED)


def ended(reason: CloseReason, at: float) -> tuple[CloseReason, object]:
    return reason, pytest.approx(at)


# -- doubts -------------------------------------------------------------------------------------


async def test_a_doubted_link_that_does_not_answer_is_dead(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    use = Use()
    nursery.start_soon(use.run)
    await trio.sleep(3)
    use.link.say("a sign of life before the doubt proves nothing")
    await trio.sleep(1)
    use.rumour.spread()
    await trio.sleep(0.1)
    assert use.link.pings == 1
    await trio.sleep(PROOF_S)
    assert use.outcome == ended(DEAD, 4 + PROOF_S)


async def test_one_that_answers_is_believed_until_the_next_doubt(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    use = Use(answers_pings=True)
    nursery.start_soon(use.run)
    for at in (1, 12):
        await trio.sleep(at - trio.current_time())
        use.rumour.spread()
        await trio.sleep(PROOF_S + 0.1)
    assert use.rumour.dispelled == [pytest.approx(1 + PROOF_S), pytest.approx(12 + PROOF_S)]
    use.link.answers_pings = False
    use.rumour.spread()
    spread_at = trio.current_time()
    await trio.sleep(PROOF_S + 0.1)
    assert use.outcome == ended(DEAD, spread_at + PROOF_S)


async def test_any_frame_is_an_answer(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    use = Use()
    nursery.start_soon(use.run)
    await trio.sleep(1)
    use.rumour.spread()
    await trio.sleep(PROOF_S - 0.5)
    use.link.say("here I am")
    await trio.sleep(1)
    assert use.rumour.dispelled == [pytest.approx(1 + PROOF_S)]
    await trio.sleep(60)
    assert use.outcome == ended(DEAD, 1 + PROOF_S - 0.5 + SILENCE_S)


async def test_a_doubt_from_before_the_use_counts(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    use = Use()
    await trio.sleep(1)
    use.rumour.spread()
    nursery.start_soon(use.run)
    await trio.sleep(PROOF_S + 1)
    assert use.link.pings == 1
    assert use.outcome == ended(DEAD, 1 + PROOF_S)


async def test_a_doubt_that_somebody_else_dispels_is_forgotten(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    use = Use()
    nursery.start_soon(use.run)
    await trio.sleep(1)
    use.rumour.spread()
    await trio.sleep(1)
    use.rumour.raised = False
    await trio.sleep(PROOF_S + 1)
    assert use.outcome is None
    use.link.say("x")
    await trio.sleep(1)
    use.rumour.spread()
    spread_at = trio.current_time()
    await trio.sleep(PROOF_S + 1)
    assert use.outcome == ended(DEAD, spread_at + PROOF_S), "the new doubt has its own time"


EVENTS = st.lists(
    st.tuples(st.integers(0, 60), st.sampled_from(["say", "doubt", "offer", "cut", "withdraw"])),
    max_size=12,
)


@given(events=EVENTS)
@example(events=[(1, "doubt"), (2, "say"), (3, "doubt")])
@example(events=[(1, "say"), (2, "doubt"), (3, "offer")])
@settings(max_examples=150, deadline=None)
def test_doubts_signs_of_life_offers_and_the_end_in_any_order(
    events: list[tuple[int, str]],
) -> None:
    # Each in a hundredth of a second of its own: what happens when is never in question.
    at = sorted((second + 0.01 * n, what) for n, (second, what) in enumerate(events, 1))
    trio.run(replay, at, clock=MockClock(autojump_threshold=0))


async def replay(events: list[tuple[float, str]]) -> None:
    use = Use()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(use.run)
        await trio.testing.wait_all_tasks_blocked()
        for when, what in events:
            await trio.sleep(when - trio.current_time())
            if use.outcome is not None:
                break
            if what == "say":
                use.link.say("x")
            elif what == "doubt":
                use.rumour.spread()
            elif what == "cut":
                use.link.cut()
            elif what == "offer":
                use.offers.offer("a newer link")
            await trio.testing.wait_all_tasks_blocked()
    assert use.outcome == ended(*expected(events))


def expected(events: list[tuple[float, str]]) -> tuple[CloseReason, float]:
    """The same in plain words: a link is dead when it was silent too long, or has not proved
    within its time that it is alive."""
    heard, doubted = 0.0, None
    for when, what in [*events, (1_000.0, "end")]:
        while doubted is not None and doubted + PROOF_S <= min(when, heard + SILENCE_S):
            if heard < doubted:
                return DEAD, doubted + PROOF_S
            doubted = None
        if heard + SILENCE_S <= when:
            return DEAD, heard + SILENCE_S
        if what == "offer":
            return SUPERSEDED, when
        if what == "cut":
            return LINK_LOST, when
        if what == "say":
            heard = when
        elif what == "doubt" and doubted is None:
            doubted = when
    raise AssertionError("silence ends it")


# -- offers -------------------------------------------------------------------------------------


async def test_an_offer_from_before_the_use_ends_it_at_once(autojump_clock: MockClock) -> None:
    use = Use(handle=lambda message: pytest.fail("was listened to"))
    use.link.say("x")
    use.offers.offer("a newer link")
    await use.run()
    assert use.outcome == ended(SUPERSEDED, 0)
    assert use.offers.told is None


async def test_an_offer_during_the_use_ends_it_in_the_same_moment(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    use = Use()
    nursery.start_soon(use.run)
    await trio.sleep(3)
    use.offers.offer("a newer link")
    await trio.sleep(1)
    assert use.outcome == ended(SUPERSEDED, 3)


async def test_an_offer_withdrawn_in_the_same_turn_ends_nothing(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    heard: list[str | bytes] = []
    use = Use(handle=heard.append)
    nursery.start_soon(use.run)
    await trio.sleep(3)
    use.offers.offer("a newer link").give_back(LINK_LOST)
    await trio.sleep(1)
    use.link.say("still heard")
    await trio.sleep(1)
    assert heard == ["still heard"]
    assert use.outcome is None
    use.link.cut()


@pytest.mark.parametrize("verdict", [None, APP_STOPPED])
async def test_an_offer_wins_over_what_a_frame_of_the_same_turn_says(
    verdict: CloseReason | None, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    def handle(message: str | bytes) -> CloseReason | None:
        use.offers.offer("a newer link")
        return verdict

    use = Use(handle=handle)
    nursery.start_soon(use.run)
    await trio.sleep(3)
    use.link.say("x")
    await trio.sleep(1)
    assert use.outcome == ended(SUPERSEDED, 3)


async def test_an_offer_after_the_use_wakes_nobody(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    use = Use()
    use.link.cut()
    await use.run()
    assert use.outcome == ended(LINK_LOST, 0)
    use.offers.offer("a newer link")
    assert use.offers.told is None
    assert use.offers.waiting


async def test_a_crash_of_the_handler_leaves_nothing_behind(autojump_clock: MockClock) -> None:
    def handle(message: str | bytes) -> CloseReason | None:
        raise ValueError("a bug")

    use = Use(handle=handle)
    use.link.say("x")
    with pytest.RaisesGroup(pytest.RaisesExc(ValueError, match="a bug")):
        await use.run()
    assert use.offers.told is None
    use.link.cut()


# -- other ends ---------------------------------------------------------------------------------


async def test_what_a_frame_says_ends_the_use(autojump_clock: MockClock) -> None:
    use = Use(handle=lambda message: APP_STOPPED if message == "two" else None)
    use.link.say("one", "two", "three")
    await use.run()
    assert use.outcome == ended(APP_STOPPED, 0)


async def test_a_link_that_takes_no_more_ends_the_use(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    use = Use()
    use.link.room = 0
    nursery.start_soon(use.run)
    await trio.sleep(2)
    assert not use.link.push("x")
    await trio.sleep(1)
    assert use.outcome == ended(SLOW_CONSUMER, 2)


async def test_who_talks_all_the_time_is_pinged_all_the_same(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    use = Use()
    nursery.start_soon(use.run)
    for _ in range(105):
        use.link.say("x")
        await trio.sleep(1)
    assert use.link.pings == 10, "one per interval, whatever woke it in between"
    for _ in range(100):
        use.link.wake()
        await trio.sleep(0.01)
    assert use.link.pings == 10
    use.link.cut()
