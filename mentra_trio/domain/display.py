"""Display rules: how often a frame may go out, and whether it is still worth showing."""

from __future__ import annotations

from typing import Any

import attrs

from .ids import PackageName


@attrs.frozen(kw_only=True)
class Frame:
    """One request of an app to show something.

    ``layout`` is the JSON object as the app sent it. ``duration_ms`` is in milliseconds, and
    ``None`` where the app gave none or 0: the frame then stays until it is replaced.
    ``shown_at`` is in seconds of the clock with which ``expired`` is asked.
    """

    package: PackageName
    view: str
    layout: Any
    duration_ms: float | None
    shown_at: float


def wait_before_next(now: float, last_sent: float | None, throttle: float) -> float:
    """Seconds until another frame may go out; 0 if it may go now (protocol.md 5.3).

    The first frame ever is never delayed.
    """
    if last_sent is None:
        return 0.0
    return max(0.0, last_sent + throttle - now)


def expired(frame: Frame, now: float) -> bool:
    """Whether the time that the app asked for is over."""
    return frame.duration_ms is not None and now >= frame.shown_at + frame.duration_ms / 1000
