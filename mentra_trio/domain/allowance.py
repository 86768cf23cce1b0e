"""How often somebody may ask: so many times in any stretch of time, each caller for itself."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Final

import attrs

CALLERS_MAX: Final = 10_000
"""Callers that are remembered; with more, the one that has been quiet longest is forgotten."""


@attrs.define(eq=False)
class Allowance:
    """``calls`` for each caller within any ``within_s`` seconds; the rest is turned away.

    Only calls that were let through count, so that whoever asks all the time still gets its
    share. Times are any clock that never goes back.
    """

    calls: int
    within_s: float
    _recent: OrderedDict[Hashable, deque[float]] = attrs.field(factory=OrderedDict, init=False)

    def wait(self, caller: Hashable, now: float) -> float:
        """Count a call of ``caller`` and return 0; or how long it has to wait, in seconds."""
        recent = self._recent.pop(caller, None) or deque(maxlen=self.calls)
        self._recent[caller] = recent  # now the last in order
        if len(recent) == self.calls and (left := recent[0] + self.within_s - now) > 0:
            return left
        recent.append(now)
        while len(self._recent) > CALLERS_MAX:
            self._recent.popitem(last=False)
        return 0.0
