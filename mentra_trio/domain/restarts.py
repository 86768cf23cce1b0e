"""When an app that failed by itself is tried again, and how often a session may crash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

CRASHES_MAX: Final = 5
"""An app session that crashes more often than this within ``CRASH_WINDOW_S`` is quarantined."""
CRASH_WINDOW_S: Final = 300.0

JITTER_FLOOR: Final = 0.5
"""A retry comes after at least this share of its ceiling, so that the gaps grow visibly."""


def retry_delay(failures: int, *, first_s: float, most_s: float, jitter: float) -> float:
    """How long to wait after the ``failures``-th failed attempt in a row of one app.

    Doubling from ``first_s`` to ``most_s``, of which the upper half is random: an app server
    that answers, but fails for many users at once, does not get them all back at once.

    Args:
        failures: from 1.
        jitter: in ``[0, 1)``; the caller draws it, so that this stays pure.

    Returns:
        Seconds of Trio time.

    Raises:
        ValueError: ``failures`` is less than 1.

    Source: protocol.md 2.12 (1, 2, 4, 8, 15, 30 s); seed 003 ("jittered backoff").
    """
    if failures < 1:
        raise ValueError(f"failures count from 1, got {failures}")
    ceiling = min(most_s, first_s * 2.0 ** min(failures - 1, 32))
    return ceiling * (JITTER_FLOOR + (1 - JITTER_FLOOR) * jitter)


def recent_crashes(crashes: Sequence[float], now: float) -> tuple[float, ...]:
    """Those of ``crashes`` (times) that still count at ``now``."""
    return tuple(moment for moment in crashes if now - moment < CRASH_WINDOW_S)


def is_quarantined(crashes: Sequence[float]) -> bool:
    """Whether so many recent crashes are too many (restart intensity)."""
    return len(crashes) > CRASHES_MAX
