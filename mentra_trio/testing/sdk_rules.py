"""What SDK 2.1.29 does when a connection ends: its rules, pure, with every oddity switchable.

Read off the sources of npm ``@mentra/sdk`` 2.1.29 and seen live (protocol.md 2.2 to 2.10).
"""

from __future__ import annotations

from typing import Final

import attrs

from ..clients.reconnecting import DELAYS_S, is_final
from ..domain.close_reasons import CloseReason

ATTEMPT_S: Final = 5.0
"""How long one attempt to connect waits for its ack (protocol.md 2.9)."""

RELEASE_S: Final = 0.1
"""Between an ``ownership_release`` and the end of the session that sent it (2.10)."""

PATIENCE_S: Final = 127.0
"""How long Linux tries to open a TCP connection; the SDK itself sets no limit."""

PERMANENT: Final = "Connection permanently lost: Maximum reconnection attempts exceeded"
"""The reason of ``onStop`` when the attempts are exhausted."""

USER_SESSION_ENDED: Final = "User session ended"
CLEAN: Final = frozenset({1000, 1001})


@attrs.frozen(kw_only=True)
class SdkQuirks:
    """The odd behaviours of the SDK, one by one. The default is: as 2.1.29 does.

    Attributes:
        hasty_permanent: the 5 s of an attempt run on when the attempt has failed, so that
            ``onStop`` runs 6 s after a loss, before attempt 3, and more than once in one loss.
            Otherwise it runs once, when attempt 3 has failed.
        hung_attempt_waits: an attempt without an ack is not given up: the next one follows only
            when the server closes this one.
        late_ack_counts_not: an ack that comes after those 5 s does not reset the count of
            attempts.
        list_per_change: each change of the handlers sends the whole list, so that N handlers
            are N+1 lists. Otherwise changes of one moment share one.
        transient_list: a switch of language sends the list without any language first.
        releases: a second webhook for a running session releases the first one's ownership.
        ghost_after_failure: after an answer of 500 the session goes on connecting, and lives.
        zombie_after_refusal: after a close that is final but not clean, such as 1008, the
            session is taken for alive, and ``onStop`` does not run.
        double_stop: 1000 "User session ended" runs ``onStop`` twice.
        stop_by_id: ``onStop`` ends whichever session has the id now, be it a newer one.
        silent_exit: on SIGTERM connections are closed without releasing the ownership.
    """

    hasty_permanent: bool = True
    hung_attempt_waits: bool = True
    late_ack_counts_not: bool = True
    list_per_change: bool = True
    transient_list: bool = True
    releases: bool = True
    ghost_after_failure: bool = True
    zombie_after_refusal: bool = True
    double_stop: bool = True
    stop_by_id: bool = True
    silent_exit: bool = True


AS_2_1_29: Final = SdkQuirks()

WELL_BEHAVED: Final = SdkQuirks(
    hasty_permanent=False,
    hung_attempt_waits=False,
    late_ack_counts_not=False,
    list_per_change=False,
    transient_list=False,
    releases=True,
    ghost_after_failure=False,
    zombie_after_refusal=False,
    double_stop=False,
    stop_by_id=False,
    silent_exit=True,
)
"""As an author would expect the SDK to be; what helps the server (releases) stays."""


@attrs.frozen(kw_only=True)
class AfterClose:
    """What follows from the end of a connection.

    Attributes:
        returns: whether the SDK tries again by itself.
        stops: the reasons with which ``onStop`` runs now, in order.
    """

    returns: bool
    stops: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether the app server still takes the session for alive."""
        return not self.stops


def after_close(reason: CloseReason, quirks: SdkQuirks = AS_2_1_29) -> AfterClose:
    """What the SDK does when a connection ends with ``reason`` (protocol.md 2.8)."""
    if not is_final(reason):
        return AfterClose(returns=True)
    stops: tuple[str, ...] = ()
    if reason.code in CLEAN:
        stops = (f"Clean disconnect: {reason.text}",)
    if USER_SESSION_ENDED in reason.text and (quirks.double_stop or not stops):
        stops = (*stops, USER_SESSION_ENDED)
    if not stops and not quirks.zombie_after_refusal:
        stops = (f"Refused: {reason.text}",)
    return AfterClose(returns=False, stops=stops)


def delay_before(attempts: int) -> float | None:
    """Seconds from a failure to the next attempt; ``None`` if there shall be none.

    Args:
        attempts: how many there were since the count was reset, at least 0.
    """
    return DELAYS_S[attempts] if attempts < len(DELAYS_S) else None


def exhausted(attempts: int) -> bool:
    """Whether an attempt that fails now was the last one."""
    return attempts >= len(DELAYS_S)
