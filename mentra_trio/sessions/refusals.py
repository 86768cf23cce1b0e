"""Answers to requests of an app that this server cannot serve: at once, and without a close.

An app that waits for the SDK's own time-out learns nothing for half a minute; one whose socket
is closed for such a reason becomes a zombie (protocol.md 3.6).
"""

from __future__ import annotations

import msgspec

from ..wire import from_app as asked
from ..wire import to_app as answer
from ..wire.from_app import FromApp

NOT_HERE = "not available on this server"


def refusal_of(message: FromApp, timestamp: str) -> msgspec.Struct | None:
    """What to answer to ``message``; ``None`` where the protocol has no answer for it."""
    match message:
        case asked.AudioPlayRequest(request_id=request):
            return answer.AudioPlayResponse(
                request_id=request, success=False, error=f"audio {NOT_HERE}", timestamp=timestamp
            )
        case asked.RtmpStreamRequest():
            return answer.RtmpStreamStatus(
                status="error", error_details=f"streaming {NOT_HERE}", timestamp=timestamp
            )
        case asked.ManagedStreamRequest():
            return answer.ManagedStreamStatus(
                status="error", message=f"streaming {NOT_HERE}", timestamp=timestamp
            )
        case asked.StreamStatusCheck():
            return answer.StreamStatusCheckResponse(has_active_stream=False, timestamp=timestamp)
        case _:
            return None
