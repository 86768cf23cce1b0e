"""The pace at the door."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.pace import Pace

PACE = Pace(per_s=10, burst=3, wait_s=1)


def test_a_few_come_in_at_once_and_the_others_one_after_the_other() -> None:
    pace, waits = PACE, []
    for _ in range(6):
        waits.append(round(pace.wait(100.0), 3))
        pace = pace.after(100.0)
    assert waits == [0, 0, 0, 0.1, 0.2, 0.3]


def test_who_would_wait_too_long_is_not_let_in() -> None:
    pace = PACE
    for _ in range(13):
        assert pace.admits(100.0)
        pace = pace.after(100.0)
    assert not pace.admits(100.0)
    assert pace.admits(100.2)


def test_after_a_quiet_time_a_few_come_in_at_once_again() -> None:
    pace = PACE
    for _ in range(10):
        pace = pace.after(100.0)
    assert pace.wait(101.0) == 0
    assert [round(p.wait(101.0), 3) for p in (pace, pace.after(101.0))] == [0, 0]


@given(st.lists(st.floats(0, 0.3), min_size=1, max_size=100))
def test_over_any_time_no_more_are_let_in_than_the_rate_and_the_burst(gaps: list[float]) -> None:
    pace, now, entered = PACE, 0.0, []
    for gap in gaps:
        now += gap
        if pace.admits(now):
            entered.append(now + pace.wait(now))
            pace = pace.after(now)
    for first in range(len(entered)):
        for last in range(first, len(entered)):
            allowed = PACE.burst + (entered[last] - entered[first]) * PACE.per_s
            assert last - first + 1 <= allowed + 1e-6


@given(st.lists(st.floats(0, 1), max_size=50))
def test_turns_come_in_the_order_of_arrival(gaps: list[float]) -> None:
    pace, now, turns = PACE, 0.0, []
    for gap in gaps:
        now += gap
        turns.append(now + pace.wait(now))
        pace = pace.after(now)
    assert turns == sorted(turns)


def test_one_that_costs_more_is_let_in_and_those_after_it_wait() -> None:
    pace = PACE.after(100.0, 20)
    assert round(pace.wait(100.0), 3) == 1.8
    assert not pace.admits(100.0)
    assert pace.admits(101.0)
