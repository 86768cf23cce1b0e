"""Moments as peers write them: ISO 8601 text, or milliseconds since 1970."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CHARACTERS_MAX: Final = 64
"""A longer text is no moment."""
SECONDS_BELOW: Final = 100_000_000_000
"""A smaller number counts seconds and not milliseconds: in milliseconds it would be before 1973."""
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_BASIC_DATE_DIGITS: Final = 8
"""``20260131`` is a date, and no number."""


def parse_moment(written: object, zone: tzinfo = UTC) -> datetime | None:
    """The moment that ``written`` names, in UTC; ``None`` if it names none.

    Text is ISO 8601; a date alone is its midnight, and without an offset it is in ``zone``. A
    number, or text that is one, counts milliseconds since 1970, or seconds if it is small.
    """
    if isinstance(written, str):
        text = written.strip()
        if not 0 < len(text) <= CHARACTERS_MAX:
            return None
        if _NUMBER.fullmatch(text) and len(text) != _BASIC_DATE_DIGITS:
            return _from_number(float(text))
        return _from_iso(text, zone)
    if isinstance(written, int | float) and not isinstance(written, bool):
        return _from_number(written)
    return None


def _from_iso(text: str, zone: tzinfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):  # at either end of time an offset leads out of it
        return None


def _from_number(number: float) -> datetime | None:
    scale = 1 if abs(number) < SECONDS_BELOW else 1_000
    try:
        return EPOCH + timedelta(seconds=number / scale)
    except (ValueError, OverflowError):  # not a number, or beyond the calendar
        return None
