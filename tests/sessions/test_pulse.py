"""One task pings for all: whom, when, and how long others wait for it."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from itertools import pairwise
from typing import Final

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from mentra_trio.concurrency.offers import Offers
from mentra_trio.domain.close_reasons import LINK_LOST, SUPERSEDED, CloseReason
from mentra_trio.domain.timings import PING_SLACK_S
from mentra_trio.ports import Handle
from mentra_trio.sessions.link_service import Doubt, Liveness, use_link
from mentra_trio.sessions.pulse import Pulse
from mentra_trio.testing.links import MemoryLink

DEAD: Final = CloseReason(1011, "silent")
INTERVAL_S: Final = 10
SILENCE_S: Final = 25
IN_A_TURN: Final = 64
"""So many may be pinged at most before others have their turn."""
Asked = list[tuple[float, str]]


@attrs.define(eq=False, kw_only=True)
class Noted(Liveness):
    """Notes when it is asked, and does nothing else."""

    name: str
    asked: Asked

    def ask(self) -> None:
        self.asked.append((round(trio.current_time(), 3), self.name))


@attrs.define(eq=False)
class Wrist:
    """A pulse, and who was asked because of it."""

    pulse: Pulse = attrs.field(factory=Pulse)
    asked: Asked = attrs.field(factory=list)
    link: MemoryLink = attrs.field(factory=MemoryLink)

    def noted(self, name: str, interval: float) -> Noted:
        return Noted(
            link=self.link,
            interval=interval,
            silence=1_000,
            doubt=None,
            name=name,
            asked=self.asked,
        )

    def times(self, name: str) -> list[float]:
        return [at for at, who in self.asked if who == name]


@pytest.fixture
async def wrist(nursery: trio.Nursery) -> Wrist:
    wrist = Wrist()
    wrist.link.cut()
    nursery.start_soon(wrist.pulse.run)
    await trio.testing.wait_all_tasks_blocked()
    return wrist


# -- whom, and when -----------------------------------------------------------------------------


async def test_each_is_asked_at_its_own_interval(wrist: Wrist, autojump_clock: MockClock) -> None:
    for name, interval in (("slow", 10), ("quick", 3), ("middle", 5)):
        wrist.pulse.begin(wrist.noted(name, interval))
    await trio.sleep(10.5)
    assert wrist.asked == [
        (3, "quick"),
        (5, "middle"),
        (6, "quick"),
        (9, "quick"),
        (10, "slow"),
        (10, "middle"),
    ]


async def test_who_began_first_is_asked_first(wrist: Wrist, autojump_clock: MockClock) -> None:
    names = [f"{number}" for number in range(10)]
    for name in names:
        wrist.pulse.begin(wrist.noted(name, 10))
    await trio.sleep(20.5)
    assert wrist.asked == [(at, name) for at in (10, 20) for name in names]


async def test_whose_time_has_nearly_come_is_asked_with_the_others(
    wrist: Wrist, autojump_clock: MockClock
) -> None:
    for name, interval in (("a", 10.0), ("b", 10 + PING_SLACK_S), ("c", 10.1 + PING_SLACK_S)):
        wrist.pulse.begin(wrist.noted(name, interval))
    await trio.sleep(10.5)
    assert wrist.asked == [(10, "a"), (10, "b"), (pytest.approx(10.1 + PING_SLACK_S), "c")]


async def test_whoever_is_asked_early_is_not_asked_more_often(
    wrist: Wrist, autojump_clock: MockClock
) -> None:
    # The quicker one's time is often the earlier by less than the slack.
    quick = 10 - PING_SLACK_S / 2
    wrist.pulse.begin(wrist.noted("quick", quick))
    wrist.pulse.begin(wrist.noted("slow", 10))
    await trio.sleep(10_000.1)
    assert len(wrist.times("slow")) == 1_000
    assert len(wrist.times("quick")) == int(10_000.1 / quick)
    for number, at in enumerate(wrist.times("slow"), 1):
        assert 10 * number - PING_SLACK_S <= at <= 10 * number


async def test_one_who_comes_later_may_be_the_next(wrist: Wrist, autojump_clock: MockClock) -> None:
    wrist.pulse.begin(wrist.noted("slow", 100))
    await trio.sleep(1)
    wrist.pulse.begin(wrist.noted("quick", 5))
    await trio.sleep(1)
    wrist.pulse.begin(wrist.noted("quickest", 2))
    await trio.sleep(3)
    assert wrist.asked == [(4, "quickest")]
    await trio.sleep(1.5)
    assert wrist.asked[1:] == [(6, "quick"), (6, "quickest")]


async def test_the_first_of_all_may_come_late(wrist: Wrist, autojump_clock: MockClock) -> None:
    await trio.sleep(1_000)
    beat = wrist.pulse.begin(wrist.noted("one", 10))
    await trio.sleep(15)
    wrist.pulse.end(beat)
    await trio.sleep(1_000)
    wrist.pulse.begin(wrist.noted("other", 10))
    await trio.sleep(15)
    assert wrist.asked == [(1_010, "one"), (2_025, "other")]


async def test_whose_link_is_over_is_not_asked_any_more(
    wrist: Wrist, autojump_clock: MockClock
) -> None:
    beats = {name: wrist.pulse.begin(wrist.noted(name, 10)) for name in "abcd"}
    await trio.sleep(1)
    wrist.pulse.end(beats["a"])
    wrist.pulse.end(beats["c"])
    await trio.sleep(14)
    wrist.pulse.end(beats["d"])
    await trio.sleep(10)
    assert wrist.asked == [(10, "b"), (10, "d"), (20, "b")]


async def test_what_was_missed_while_the_loop_stood_still_is_asked_once(
    wrist: Wrist, autojump_clock: MockClock
) -> None:
    wrist.pulse.begin(wrist.noted("a", 10))
    await trio.sleep(1)
    autojump_clock.jump(34)
    await trio.sleep(15)
    assert wrist.asked == [(35, "a"), (45, "a")]


# -- how long others wait -----------------------------------------------------------------------


@pytest.mark.parametrize("number", [IN_A_TURN - 1, IN_A_TURN, 1_000])
async def test_others_have_their_turn_while_many_are_asked(
    wrist: Wrist, number: int, autojump_clock: MockClock
) -> None:
    for one in range(number):
        wrist.pulse.begin(wrist.noted(f"{one}", 10))
    await trio.sleep(10)
    seen = [len(wrist.asked)]
    for _ in range(40):
        await trio.lowlevel.checkpoint()
        seen.append(len(wrist.asked))
    assert seen[-1] == number
    assert max(b - a for a, b in pairwise(seen)) <= 2 * IN_A_TURN, "two turns"
    assert trio.current_time() == 10


async def test_one_who_comes_while_many_are_asked_is_not_forgotten(
    wrist: Wrist, autojump_clock: MockClock
) -> None:
    for one in range(10 * IN_A_TURN):
        wrist.pulse.begin(wrist.noted(f"{one}", 10))
    await trio.sleep(10)
    for _ in range(2):
        await trio.lowlevel.checkpoint()
        assert 0 < len(wrist.asked) < 10 * IN_A_TURN
    wrist.pulse.begin(wrist.noted("quick", 2))
    await trio.sleep(3)
    assert wrist.asked[-1] == (12, "quick")


@attrs.define(eq=False)
class Wakes(trio.abc.Instrument):
    """How often each task had its turn."""

    turns: Counter[str] = attrs.field(factory=Counter)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.turns[task.name] += 1


async def test_a_thousand_links_cost_the_event_loop_no_more_than_one(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    pulse, wakes = Pulse(), Wakes()
    nursery.start_soon(pulse.run, name="pulse")
    links = [MemoryLink() for _ in range(1_000)]
    for link in links:
        nursery.start_soon(served, link, pulse, name="use")
    await trio.testing.wait_all_tasks_blocked()
    trio.lowlevel.add_instrument(wakes)
    await trio.sleep(INTERVAL_S * 20 + 5)
    trio.lowlevel.remove_instrument(wakes)
    assert {link.pings for link in links} == {20}
    assert wakes.turns["use"] == 0, "pings and signs of life are no reason to wake anybody"
    assert wakes.turns["pulse"] <= 20 * (1_000 // IN_A_TURN + 3)
    for link in links:
        link.cut()


# -- with the links in use ----------------------------------------------------------------------


async def served(
    link: MemoryLink, pulse: Pulse, handle: Handle = lambda frame: None, doubt: Doubt | None = None
) -> CloseReason:
    return await use_link(
        link,
        handle=handle,
        interval=INTERVAL_S,
        silence=SILENCE_S,
        silent=DEAD,
        offers=Offers[object, CloseReason](SUPERSEDED),
        pulse=pulse,
        doubt=doubt,
    )


async def test_of_many_each_silent_one_is_found_dead_exactly_when_it_was_silent_so_long(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    pulse = Pulse()
    nursery.start_soon(pulse.run)
    dead: dict[int, float] = {}

    async def use(number: int, link: MemoryLink) -> None:
        assert await served(link, pulse) == DEAD
        dead[number] = trio.current_time()
        link.cut()

    links = [MemoryLink() for _ in range(300)]
    for number, link in enumerate(links):
        nursery.start_soon(use, number, link)
    heard: dict[int, float] = {}
    for number, link in enumerate(links):
        await trio.sleep(0.37)
        if number % 2:
            link.say("my last words")
        link.answers_pings = False
        heard[number] = link.last_heard
    await trio.sleep(2 * SILENCE_S)
    assert dead == {number: pytest.approx(at + SILENCE_S) for number, at in heard.items()}
    assert len(set(heard.values())) > 100


@attrs.define(eq=False)
class CountedLink(MemoryLink):
    """Counts how often it was listened to."""

    listened: int = 0

    async def listen(self, handle: Handle, until: float) -> CloseReason | None:
        self.listened += 1
        return await MemoryLink.listen(self, handle, until)


async def test_who_answers_is_listened_to_without_a_break(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    pulse = Pulse()
    nursery.start_soon(pulse.run)
    link = CountedLink()
    nursery.start_soon(served, link, pulse)
    await trio.sleep(10_000)
    assert link.listened == 1
    link.answers_pings = False
    await trio.sleep(SILENCE_S - INTERVAL_S)
    link.say("late, but alive")
    await trio.sleep(SILENCE_S - 0.01)
    assert link.is_open
    link.cut()


@attrs.define(eq=False)
class NoDoubt:
    """There is none; but a link in use holds it, so that it tells whether that is kept alive."""

    raised: bool = False

    def dispel(self) -> None:
        raise AssertionError("nothing to dispel")


async def test_nothing_of_a_link_that_is_over_is_kept(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    pulse = Pulse()
    nursery.start_soon(pulse.run)
    kept = []
    for end in ("cut", "cancelled"):
        link, doubt = MemoryLink(), NoDoubt()
        kept.append(weakref.ref(doubt))
        with trio.move_on_after(3):
            if end == "cut":
                link.cut()
            assert await served(link, pulse, doubt=doubt) == LINK_LOST
        link.cut()
        del link, doubt
    await trio.sleep(0.1)
    gc.collect()
    assert [one() for one in kept] == [None, None], "long before its next beat"
