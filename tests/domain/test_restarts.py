"""When an app that failed by itself is tried again, and how many crashes are too many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.restarts import (
    CRASH_WINDOW_S,
    CRASHES_MAX,
    is_quarantined,
    recent_crashes,
    retry_delay,
)

jitters = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10_000), st.floats(0.1, 10), st.floats(0.1, 100), jitters)
def test_a_retry_comes_within_the_upper_half_of_a_ceiling_that_doubles(
    failures: int, first: float, most: float, jitter: float
) -> None:
    delay = retry_delay(failures, first_s=first, most_s=most, jitter=jitter)
    ceiling = first
    for _ in range(min(failures, 20) - 1):
        ceiling *= 2
    ceiling = min(ceiling, most)
    assert delay == pytest.approx(ceiling * (1 + jitter) / 2)


def test_the_steps_of_the_protocol() -> None:
    steps = [retry_delay(n, first_s=1, most_s=30, jitter=0) * 2 for n in range(1, 8)]
    assert steps == [1, 2, 4, 8, 16, 30, 30]


def test_the_gaps_of_one_app_never_shrink_before_the_longest() -> None:
    longest = [retry_delay(n, first_s=1, most_s=30, jitter=0.999_999) for n in range(1, 5)]
    shortest = [retry_delay(n, first_s=1, most_s=30, jitter=0) for n in range(2, 6)]
    assert all(before <= after for before, after in zip(longest, shortest, strict=True))


@pytest.mark.parametrize("failures", [0, -1])
def test_failures_are_counted_from_one(failures: int) -> None:
    with pytest.raises(ValueError, match="count from 1"):
        retry_delay(failures, first_s=1, most_s=30, jitter=0)


@given(st.lists(st.floats(0, 1_000)), st.floats(0, 2_000))
def test_a_crash_counts_for_five_minutes(crashes: list[float], now: float) -> None:
    recent = recent_crashes(crashes, now)
    assert recent == tuple(moment for moment in crashes if now - moment < CRASH_WINDOW_S)
    assert recent_crashes((), now) == ()


def test_a_crash_is_forgotten_at_the_end_of_its_window() -> None:
    assert recent_crashes([0.0], CRASH_WINDOW_S - 0.1) == (0.0,)
    assert recent_crashes([0.0], CRASH_WINDOW_S) == ()


def test_more_than_five_are_too_many() -> None:
    assert CRASHES_MAX == 5
    assert not is_quarantined([0.0] * 5)
    assert is_quarantined([0.0] * 6)
