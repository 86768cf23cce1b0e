"""Routes that are described but not built: none may stay here, and none that is there may."""

from __future__ import annotations

from typing import Final

NOT_YET_THERE: Final = frozenset(
    {
        ("GET", "/api/tts"),
        ("GET", "/api/transcripts/{appSessionId}"),
        ("POST", "/api/app-communication/discover-users"),
        ("POST", "/api/client/calendar"),
        ("POST", "/api/client/location"),
        ("POST", "/api/client/location/poll-response/{correlationId}"),
        ("POST", "/api/client/notifications"),
        ("POST", "/api/client/notifications/dismissed"),
        ("POST", "/api/client/photo/response"),
        ("POST", "/api/hardware/button-press"),
        ("POST", "/api/user-data/set-datetime"),
    }
)
