"""Handing something to a link, and saying so where the link does not take it."""

from __future__ import annotations

from ..domain.facts import FrameDropped
from ..ports import Link, Telemetry
from ..wire.frames import Sound


def send_frame(telemetry: Telemetry, endpoint: str, link: Link, frame: str) -> bool:
    """Push ``frame``; ``False``, and a fact, if it will not be sent: then the link fails."""
    return link.push(frame) or _dropped(telemetry, endpoint, link, "outbox full or link over")


def send_sound(telemetry: Telemetry, endpoint: str, link: Link, sound: Sound) -> bool:
    """Push ``sound``; ``False``, and a fact, if the peer lags and it is dropped."""
    return link.push_audio(sound) or _dropped(
        telemetry, endpoint, link, "audio for a peer that lags"
    )


def _dropped(telemetry: Telemetry, endpoint: str, link: Link, reason: str) -> bool:
    telemetry.emit(FrameDropped(endpoint=endpoint, peer=link.peer, reason=reason))
    return False
