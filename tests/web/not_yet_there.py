"""Routes that are described but not built: none may stay here, and none that is there may."""

from __future__ import annotations

from typing import Final

NOT_YET_THERE: Final = frozenset(
    {
        ("GET", "/api/transcripts/{appSessionId}"),
        ("POST", "/api/app-communication/discover-users"),
    }
)
