"""How fast newcomers are let in: one after the other at a rate, a few at once, or not now."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Pace:
    """The bounds, and when the line of those who were let in ends.

    Attributes:
        per_s: so many in a second, on average.
        burst: so many at once, after a while without any.
        wait_s: who would have to wait longer is turned away.
        ends_at: time at which the last one of the line is through.
    """

    per_s: float
    burst: float
    wait_s: float
    ends_at: float = 0.0

    def wait(self, now: float) -> float:
        """How long a newcomer at time ``now`` would have to wait; 0 for at once."""
        return max(0.0, self.ends_at - now - (self.burst - 1) / self.per_s)

    def admits(self, now: float) -> bool:
        """Whether a newcomer at time ``now`` may wait for its turn."""
        return self.wait(now) <= self.wait_s

    def after(self, now: float, cost: float = 1.0) -> Pace:
        """The same with one more in the line (generic cell rate algorithm, ITU-T I.371).

        One that is admitted may take more than its place: those after it wait for that.
        """
        return Pace(  # by hand: `attrs.evolve` looks at every class anew, for every connection
            per_s=self.per_s,
            burst=self.burst,
            wait_s=self.wait_s,
            ends_at=max(now, self.ends_at) + cost / self.per_s,
        )
