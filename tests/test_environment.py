"""Wall time as the wire writes it, once for each millisecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.environment import Environment, wire_time

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-3.5)), ZoneInfo("Europe/Berlin")])
STEPS_US = st.integers(-3_000, 3_000) | st.integers(-(10**12), 10**12)


def as_javascript(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@given(st.lists(st.tuples(STEPS_US, ZONES), min_size=1))
def test_it_is_the_time_that_the_clock_shows(steps: list[tuple[int, timezone]]) -> None:
    now = NOON
    environment = Environment(utcnow=lambda: now)
    for microseconds, zone in steps:
        now = (now.astimezone(UTC) + timedelta(microseconds=microseconds)).astimezone(zone)
        assert environment.timestamp() == as_javascript(now) == wire_time(now)
        assert environment.stamp().encoded.decode() == environment.timestamp()


def test_it_is_written_once_for_each_millisecond() -> None:
    now = NOON
    environment = Environment(utcnow=lambda: now)
    first = environment.stamp().encoded
    now = NOON + timedelta(microseconds=999)
    assert environment.stamp().encoded is first
    now = NOON + timedelta(microseconds=1000)
    assert environment.stamp().encoded != first


@pytest.mark.parametrize("fold", [0, 1])
def test_an_hour_that_comes_twice_is_told_apart(fold: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=1 - fold)
    environment = Environment(utcnow=lambda: now)
    environment.timestamp()
    now = now.replace(fold=fold)
    assert environment.timestamp() == f"2026-10-25T0{fold}:30:00.000Z"


def test_the_clock_of_the_machine_is_asked_once_in_a_millisecond_and_believed() -> None:
    environment = Environment()
    for _ in range(3_000):  # some milliseconds
        before = wire_time(datetime.now(UTC))
        told = environment.timestamp()
        assert before <= told <= wire_time(datetime.now(UTC))
