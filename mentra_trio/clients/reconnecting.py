"""When an app comes back after its connection ended: as SDK 2.1.29 does, or with more patience."""

from __future__ import annotations

from random import Random
from typing import Final

import attrs

from ..domain.close_reasons import FINAL_FOR_SDK, CloseReason

DELAYS_S: Final = (1.0, 2.0, 4.0)
"""Before the first, second and third attempt after a loss, each counted from the failure of the
one before it (protocol.md 2.9)."""

PATIENT_FIRST_S: Final = 8.0
PATIENT_MAX_S: Final = 60.0
"""A persistent app waits a random part of this at most, and of ``PATIENT_FIRST_S`` at first."""

ASKED_MIN_S: Final = 1.0
ASKED_MAX_S: Final = 10.0
"""A server that wants us back later than that would have forgotten us by then: its wish is not
heeded. One that wants us back at once gets this much peace all the same."""
ASKED_IN_A_ROW_MAX: Final = 10
"""So often a wait that the server asked for is no failure; more often, and it is one."""

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
    if is_final(reason):
        return None
    return DELAYS_S[failures] if failures < len(DELAYS_S) else None


def is_final(reason: CloseReason) -> bool:
    """Whether a connection that ended so is the last one, for whoever heeds the protocol."""
    return reason.code in FINAL_FOR_SDK or any(text in reason.text for text in FINAL_TEXTS)


@attrs.frozen(kw_only=True)
class Ending:
    """How a connection, or an attempt at one, ended.

    Attributes:
        acked: whether it was acknowledged before.
        reason: why it ended.
        asked_s: after how many seconds the server wants us back; ``None`` if it has not said so.
    """

    acked: bool
    reason: CloseReason
    asked_s: float | None = None


@attrs.define(eq=False, kw_only=True)
class Comeback:
    """When one session is connected anew, from one ending to the next.

    Attributes:
        persistent: whether to go on after the three attempts of the SDK, for as long as no
            ending is final.
        random: source of jitter: apps that were lost together shall not come back together. One
            that follows from the session's name is enough for that, and can be replayed.
    """

    persistent: bool = False
    random: Random = attrs.field(factory=Random)
    _failures: int = attrs.field(default=0, init=False)
    _asked: int = attrs.field(default=0, init=False)

    def delay(self, ending: Ending) -> float | None:
        """Seconds from ``ending`` to the next attempt; ``None`` if there shall be none."""
        if ending.acked:
            self._failures = self._asked = 0
        if is_final(ending.reason):
            return None
        if ending.asked_s is not None and self._heeds(ending.asked_s):
            self._asked += 1
            return max(ending.asked_s, ASKED_MIN_S)
        delay = reconnect_delay(ending.reason, self._failures)
        if delay is None and self.persistent:
            doublings = min(self._failures - len(DELAYS_S), 32)
            ceiling = min(PATIENT_MAX_S, PATIENT_FIRST_S * 2.0**doublings)
            delay = ceiling * self.random.random()
        self._failures += 1
        return delay

    def _heeds(self, asked_s: float) -> bool:
        return asked_s <= ASKED_MAX_S and self._asked < ASKED_IN_A_ROW_MAX
