"""Many requests, few runs: act a moment after the first of a burst, once for all of it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio


@attrs.define(eq=False)
class Coalesced:
    """Runs ``action`` at most once per ``delay`` seconds, after the first request of a burst.

    A request during the delay joins it; a request after the action begins a new one. So the
    last request is always followed by a run.
    """

    action: Callable[[], None]
    delay: float
    _requested: trio.Event = attrs.field(factory=trio.Event, init=False)

    def request(self) -> None:
        """Ask for a run. Never blocks."""
        self._requested.set()

    async def run(self) -> None:
        """Serve requests until cancelled."""
        while True:
            await self._requested.wait()
            await trio.sleep(self.delay)
            self._requested = trio.Event()
            self.action()
