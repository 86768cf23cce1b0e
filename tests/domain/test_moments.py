"""Moments, as phones of every kind write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.moments import parse_moment

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000Z",
        "2026-01-31T12:00Z",
        " 2026-01-31T12:00:00 ",
        "2026-01-31 12:00:00",
        "2026-01-31T21:00:00+09:00",
        "2026-01-31T04:30:00-07:30",
        "20260131T120000Z",
        NOON.timestamp() * 1_000,
        int(NOON.timestamp()),
        str(int(NOON.timestamp() * 1_000)),
        f"{NOON.timestamp():.3f}",
    ],
)
def test_the_same_moment(written: object) -> None:
    assert parse_moment(written) == NOON


@pytest.mark.parametrize("written", ["2026-01-31", "20260131"])
def test_a_date_is_its_midnight(written: str) -> None:
    assert parse_moment(written) == NOON - timedelta(hours=12)


@pytest.mark.parametrize(
    "written",
    [
        *(None, True, False, [], {}, b"2026-01-31", float("nan"), float("-inf"), 1e300, 10**40),
        *("", "  ", "yesterday", "nan", "1e3", "2026-13-01", "2026-01-31T25:00", "-", "٣"),
        *("0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "9" * 60, "2" * 65),
    ],
)
def test_no_moment(written: object) -> None:
    assert parse_moment(written) is None


@given(st.text() | st.integers() | st.floats() | st.none() | st.booleans())
def test_whatever_it_is_it_is_a_moment_in_utc_or_none(written: object) -> None:
    found = parse_moment(written)
    assert found is None or found.utcoffset() == timedelta(0)


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)),
    st.integers(-12 * 60, 14 * 60),
)
def test_every_offset_is_understood(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_moment(moment.isoformat()) == moment
    milliseconds = round(moment.timestamp() * 1_000)
    found = parse_moment(milliseconds)
    assert found is not None
    if abs(milliseconds) >= 10**11 * 4:  # from September 1982 on there is no doubt
        assert abs((found - moment).total_seconds()) < 0.001
