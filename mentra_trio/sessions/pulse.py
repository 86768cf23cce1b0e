"""Pings for all links in use, sent by one task: a task each would cost more than all the rest of
an idle server. Whether a peer is alive is not decided here, but where its link is used."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Final

import attrs
import trio

from ..domain.timings import PING_SLACK_S

if TYPE_CHECKING:
    from .link_service import Liveness

PINGS_AT_ONCE: Final = 64
"""So many are sent before others have their turn."""


@attrs.define(eq=False)
class Beat:
    """When a peer is to be asked for a sign of life next; ``liveness`` goes when its link does."""

    at: float
    number: int
    liveness: Liveness | None

    def __lt__(self, other: Beat) -> bool:
        return (self.at, self.number) < (other.at, other.number)


@attrs.define(eq=False)
class Pulse:
    """Everybody's beats, in the order of their times. ``run`` must be running."""

    _beats: list[Beat] = attrs.field(factory=list, init=False)
    _numbers: count[int] = attrs.field(factory=count, init=False)
    _sooner: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when a beat comes before all others."""

    def begin(self, liveness: Liveness) -> Beat:
        """Have ``liveness`` asked every ``interval`` seconds, until ``end``."""
        beat = Beat(trio.current_time() + liveness.interval, next(self._numbers), liveness)
        self._put(beat)
        return beat

    def end(self, beat: Beat) -> None:
        """Its link is not used any more."""
        beat.liveness = None

    async def run(self) -> None:
        """Ask whoever is to be asked, for ever."""
        while True:
            self._sooner = trio.Event()
            if not self._beats:
                await self._sooner.wait()
            with trio.move_on_at(self._beats[0].at):
                await self._sooner.wait()
            self._ask_some()

    def _put(self, beat: Beat) -> None:
        heappush(self._beats, beat)
        if self._beats[0] is beat:
            self._sooner.set()

    def _ask_some(self) -> None:
        """Ask those whose time it is, or nearly; of many the others have the next turn."""
        now = trio.current_time()
        for _ in range(PINGS_AT_ONCE):
            if not self._beats or self._beats[0].at > now + PING_SLACK_S:
                return
            beat = heappop(self._beats)
            if beat.liveness is not None:
                beat.liveness.ask()
                beat.at = max(beat.at, now) + beat.liveness.interval
                heappush(self._beats, beat)
