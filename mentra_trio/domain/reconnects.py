"""What an app of SDK v3 is told when its ``reconnect`` is refused (protocol.md, appendix A)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .close_reasons import (
    APP_STOPPED,
    NO_SESSION,
    NOT_STARTED,
    STALE_TOKEN,
    SUPERSEDED,
    USER_SESSION_ENDED,
    CloseReason,
)

AWAITING_RESTORE: Final = "AWAITING_APP_RESTORE"
"""The answer has to wait: the user's session is not here yet."""

UNAUTHENTICATED: Final = "SESSION_NOT_FOUND"
"""For a peer that has not said in headers who it is, as those of v2 never do."""

FINAL: Final = frozenset({"NOT_RUNNING", "BOOT_TIMEOUT"})
"""Codes after which the SDK gives up; after every other one it says who it is anew."""

_CODES: Final[Mapping[CloseReason, str]] = MappingProxyType(
    {
        NOT_STARTED: "NOT_RUNNING",
        NO_SESSION: "SESSION_NOT_FOUND",
        APP_STOPPED: "SESSION_STOPPED",
        USER_SESSION_ENDED: "SESSION_EXPIRED",
        SUPERSEDED: "SESSION_EXPIRED",
        STALE_TOKEN: "SESSION_EXPIRED",
    }
)


def rejection_code(close: CloseReason) -> str | None:
    """The ``code`` of a ``reconnect_rejected`` where an init would have been closed with ``close``.

    ``None`` where that was meant as "later": then the close says it better.
    """
    return _CODES.get(close)
