"""Handing a frame to a link, and saying so where the link does not take it."""

from __future__ import annotations

from ..domain.facts import FrameDropped
from ..ports import Link, Telemetry


def send_frame(telemetry: Telemetry, endpoint: str, link: Link, frame: str | bytes) -> bool:
    """Push ``frame``; ``False``, and a fact, if it will not be sent. Audio goes as ``bytes``.

    Audio is dropped for a peer that lags; any other frame fails the link of such a peer.
    """
    sent = link.push_audio(frame) if isinstance(frame, bytes) else link.push(frame)
    if not sent:
        audio = isinstance(frame, bytes)
        reason = "audio for a peer that lags" if audio else "outbox full or link over"
        telemetry.emit(FrameDropped(endpoint=endpoint, peer=link.peer, reason=reason))
    return sent
