"""Every reason for which a link ends, with the code that the peer sees.

What the SDK does on a code decides which one is used (protocol.md 2.8): after 1000, 1001 and
1008 an app does not come back; after every other code it tries again.
"""

from __future__ import annotations

from typing import Final

import attrs


@attrs.frozen
class CloseReason:
    """Why a link is over: an RFC 6455 close code and a short text (at most 123 bytes of UTF-8)."""

    code: int
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.text}".rstrip()


APP_STOPPED: Final = CloseReason(1000, "App stopped")
USER_SESSION_ENDED: Final = CloseReason(1008, "User session ended")
SUPERSEDED: Final = CloseReason(1008, "Superseded")
GLASSES_REPLACED: Final = CloseReason(4001, "Replaced by a newer connection")
GLASSES_SILENT: Final = CloseReason(1001, "Ping timeout - no pong received")
APP_SILENT: Final = CloseReason(1011, "No pong received")
NOT_YET: Final = CloseReason(1013, "No valid init in time")
SLOW_CONSUMER: Final = CloseReason(1013, "Slow consumer")
UPDATES_OVERFLOW: Final = CloseReason(1013, "Too many subscription updates")
RESTARTING: Final = CloseReason(1012, "Server restarting")
CRASHED: Final = CloseReason(1011, "Internal server error")
TOO_BIG: Final = CloseReason(1009, "Message too big")
PROTOCOL_ERROR: Final = CloseReason(1002, "Protocol error")
NOT_UTF8: Final = CloseReason(1007, "Text is not UTF-8")
BAD_INIT: Final = CloseReason(1008, "First message must be tpa_connection_init")
BAD_API_KEY: Final = CloseReason(1008, "Invalid API key")
STALE_TOKEN: Final = CloseReason(1008, "Reconnect token is not current")
ADDRESS_NOT_ALLOWED: Final = CloseReason(1008, "Address not allowed")
NOT_HERE_YET: Final = CloseReason(1013, "Session not here yet")
NO_SETTINGS: Final = CloseReason(1013, "Settings cannot be read")
NO_REGISTRATION: Final = CloseReason(1013, "Registration cannot be read")
NO_SESSION: Final = CloseReason(1008, "Session not found")
NOT_STARTED: Final = CloseReason(1008, "App not started for this session")
LINK_LOST: Final = CloseReason(1006, "Connection lost")

FINAL_FOR_SDK: Final = frozenset({1000, 1001, 1008})
"""Codes after which an app on SDK 2.1.29 does not reconnect by itself."""
