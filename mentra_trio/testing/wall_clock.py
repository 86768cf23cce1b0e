"""The wall clock of a simulated server: it follows Trio's clock until it is told not to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import attrs
import trio

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""What a wall clock shows at first."""


@attrs.define(eq=False)
class WallClock:
    """A clock that can be wrong; the server reads it, and waits by Trio's."""

    _shown: datetime = EPOCH
    _since: float = attrs.field(factory=trio.current_time)
    _rate: float = 1.0

    def now(self) -> datetime:
        """What it shows."""
        return self._shown + timedelta(seconds=(trio.current_time() - self._since) * self._rate)

    @property
    def rate(self) -> float:
        """Seconds that pass on it in one of Trio's."""
        return self._rate

    def run_at(self, rate: float) -> None:
        """From now on let ``rate`` seconds pass in one of Trio's."""
        self._shown, self._since, self._rate = self.now(), trio.current_time(), rate

    def jump(self, seconds: float) -> None:
        """Put it on by ``seconds``, or back."""
        self._shown += timedelta(seconds=seconds)
