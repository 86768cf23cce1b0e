"""The use of one borrowed link, from its attachment until something says that it is over."""

from __future__ import annotations

from typing import Any, Protocol

import attrs
import trio

from ..concurrency.offers import Offers
from ..domain.close_reasons import CloseReason
from ..domain.timings import PROOF_S
from ..ports import Handle, Link
from .pulse import Pulse


class Doubt(Protocol):
    """What else may say that a link is dead, although nothing was noticed of it.

    The end of a process closes its links; the end of a machine closes none.
    """

    @property
    def raised(self) -> bool:
        """Whether the peer has to prove that it is alive. Whoever raises it wakes the link."""
        ...

    def dispel(self) -> None:
        """It has proved it."""
        ...


@attrs.define(eq=False, kw_only=True)
class Liveness:
    """Asks a peer for signs of life, and notices when there are none (protocol.md 3.5, 7.1).

    Any frame of the peer is one, not only pongs. Its time to ask comes from the ``Pulse``.

    Attributes:
        interval: seconds between two pings.
        silence: so many seconds after its last sign of life the link is over.
    """

    link: Link
    interval: float
    silence: float
    doubt: Doubt | None
    _doubted_at: float | None = attrs.field(default=None, init=False)

    @property
    def look_at(self) -> float:
        """When ``alive`` is to be asked next: Trio time. It is put off by signs of life."""
        dead_at = self.link.last_heard + self.silence
        if self._doubted_at is not None:
            dead_at = min(dead_at, self._doubted_at + PROOF_S)
        return dead_at

    def ask(self) -> None:
        """Ask for a sign of life; put off the next look, as far as there was one."""
        self.link.ping()
        self.link.prolong(self.look_at)

    def alive(self) -> bool:
        """Whether the peer counts as alive at this moment."""
        now, heard = trio.current_time(), self.link.last_heard
        return now < heard + self.silence and self._proved(now, heard)

    def _proved(self, now: float, heard: float) -> bool:
        """``False`` where there was a doubt, and nothing was heard since."""
        if self.doubt is None or not self.doubt.raised:
            self._doubted_at = None
            return True
        if self._doubted_at is None:
            self._doubted_at = now
            self.link.ping()
        elif now >= self._doubted_at + PROOF_S:
            if heard < self._doubted_at:
                return False
            self._doubted_at = None
            self.doubt.dispel()
        return True


async def use_link(
    link: Link,
    *,
    handle: Handle,
    interval: float,
    silence: float,
    silent: CloseReason,
    offers: Offers[Any, CloseReason],
    pulse: Pulse,
    doubt: Doubt | None = None,
) -> CloseReason:
    """Read ``link`` and watch its life until it ends, fails, or a newer one is offered.

    One task does all of it: what else may end the use wakes it.

    Args:
        handle: takes every frame; it never blocks.
        interval, silence: of the heartbeat, in seconds.
        silent: the reason if the peer was silent for so long.
        offers: where a newer link would be offered.
        pulse: has the peer pinged.
        doubt: where something else may say that the link is dead.

    Returns:
        Why the link is over. Two things may happen in one turn: if a newer link waits, it is
        ``offers.replaced``, whatever else was the case.
    """
    liveness = Liveness(link=link, interval=interval, silence=silence, doubt=doubt)
    beat = pulse.begin(liveness)
    offers.told = link.wake
    reason = None
    try:
        while reason is None and not offers.waiting:
            if liveness.alive():
                reason = await link.listen(handle, liveness.look_at)
            else:
                reason = silent
    finally:
        offers.told = None
        pulse.end(beat)
    return offers.replaced if reason is None or offers.waiting else reason
