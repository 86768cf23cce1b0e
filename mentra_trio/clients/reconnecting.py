"""When an app comes back after its connection ended: the schedule of SDK 2.1.29."""

from __future__ import annotations

from typing import Final

from ..domain.close_reasons import FINAL_FOR_SDK, CloseReason

DELAYS_S: Final = (1.0, 2.0, 4.0)
"""Before the first, second and third attempt after a loss, each counted from the failure of the
one before it (protocol.md 2.9)."""

FINAL_TEXTS: Final = ("App stopped", "User session ended")
"""A reason that contains one of these is final whatever its code (protocol.md 2.8)."""


def reconnect_delay(reason: CloseReason, failures: int) -> float | None:
    """How long to wait before the next attempt; ``None`` if there shall be none.

    Args:
        reason: why the last connection, or the last attempt, ended.
        failures: attempts that have failed since the last acknowledged connection.

    Returns:
        Seconds, counted from that end.
    """
    if reason.code in FINAL_FOR_SDK or any(text in reason.text for text in FINAL_TEXTS):
        return None
    return DELAYS_S[failures] if failures < len(DELAYS_S) else None
