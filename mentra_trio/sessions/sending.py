"""Handing something to a link, and saying so where the link does not take it."""

from __future__ import annotations

from ..domain.facts import FrameDropped
from ..ports import Link, Telemetry


def send_frame(telemetry: Telemetry, endpoint: str, link: Link, frame: str) -> bool:
    """Push ``frame``; ``False``, and a fact, if it will not be sent: then the link fails."""
    sent = link.push(frame)
    if not sent:
        tell_dropped(telemetry, endpoint, link, "outbox full or link over")
    return sent


def tell_dropped(telemetry: Telemetry, endpoint: str, link: Link, reason: str) -> None:
    """Tell that something was not sent over ``link``, and why."""
    telemetry.emit(FrameDropped(endpoint=endpoint, peer=link.peer, reason=reason))
