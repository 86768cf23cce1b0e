"""What an app may keep for a user: texts by key, and how much of it (protocol.md 6.11).

Lengths are counted as the SDK counts them before it sends anything: in UTF-16 code units, which
is what JavaScript calls the length of a string.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .errors import DecodeError

VALUE_UNITS_MAX: Final = 100_000
"""One value (protocol.md 6.11)."""
KEY_UNITS_MAX: Final = 1_024
TOTAL_UNITS_MAX: Final = 1_048_576
"""All keys and values that one app keeps for one user (protocol.md 6.11: 1 MB)."""
KEYS_MAX: Final = 10_000
"""So many keys of one app and user: each costs the store more than its text."""

CALLS_MAX: Final = 100
"""Requests of one app for one user (protocol.md 6.11) ..."""
CALLS_WITHIN_S: Final = 60.0
"""... in so many seconds."""


def text_units(text: str) -> int:
    """The length of ``text`` as JavaScript tells it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def entry_units(key: str, value: str) -> int:
    """What an entry counts towards the total."""
    return text_units(key) + text_units(value)


def checked_entries(data: object, path: str = "$.data") -> dict[str, str]:
    """``data`` as entries that may be kept.

    Raises:
        DecodeError: it is no object, a key is empty or too long, or a value is no text or too
            long; the message ends in the JSON path of what is wrong.
    """
    if not isinstance(data, Mapping):
        raise DecodeError(f"expected an object of texts - at {path}")
    return {key: checked_value(key, value, f"{path}[{key[:60]!r}]") for key, value in data.items()}


def checked_value(key: str, value: object, path: str) -> str:
    """``value`` as what may be kept under ``key``.

    Raises:
        DecodeError: as ``checked_entries``.
    """
    if not 1 <= text_units(key) <= KEY_UNITS_MAX:
        raise DecodeError(f"a key has 1 to {KEY_UNITS_MAX:,} characters - at {path}")
    if not isinstance(value, str):
        raise DecodeError(f"a value must be a text - at {path}")
    if text_units(value) > VALUE_UNITS_MAX:
        raise DecodeError(f"a value has at most {VALUE_UNITS_MAX:,} characters - at {path}")
    return value


def excess(keys: int, units: int) -> str:
    """Why so many ``keys`` with ``units`` in all are too much; empty if they are not."""
    if units > TOTAL_UNITS_MAX:
        return f"an app keeps at most {TOTAL_UNITS_MAX:,} characters for a user (1 MB)"
    if keys > KEYS_MAX:
        return f"an app keeps at most {KEYS_MAX:,} keys for a user"
    return ""
