"""Liveness of a link: ask for a sign of life, and notice when there is none."""

from __future__ import annotations

import trio

from ..domain.close_reasons import CloseReason
from ..ports import Link


async def heartbeat(
    link: Link, *, interval: float, silence: float, verdict: CloseReason
) -> CloseReason:
    """Ping ``link`` every ``interval`` seconds until it was silent for ``silence`` seconds.

    Any frame of the peer counts as a sign of life, not only pongs. It decides nothing by
    itself: its caller races it against the reader and acts on whichever ends first.

    Returns:
        ``verdict``, exactly ``silence`` seconds after the last sign of life.

    Source: protocol.md 3.5, 7.1.
    """
    next_ping = trio.current_time() + interval
    while True:
        dead_at = link.last_heard + silence
        await trio.sleep_until(min(next_ping, dead_at))
        now = trio.current_time()
        if now >= link.last_heard + silence:
            return verdict
        if now >= next_ping:
            link.ping()
            next_ping = now + interval
