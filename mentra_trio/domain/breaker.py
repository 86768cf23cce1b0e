"""Whether an app server answers: a circuit breaker as a fold over time and signs.

One breaker serves all users of an app server. While it is open, a single trial at a time finds
out whether the server is back; how long to wait between two of them is ``probe_delay``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from .errors import WebhookFailure
from .timings import Lifecycle

PROBE_JITTER: Final = 0.05

STRIKES: Final = 3
"""So many failures of single sessions in a row, with no good sign between, are the server's."""

CALL_EVERY: Final = 5
"""Of so many trials of a server that is away, one is a call without a question before it."""


class BreakerState(enum.Enum):
    """What is known of an app server. The value is what the outside sees."""

    CLOSED = "closed"
    """It answers, as far as is known."""
    OPEN = "open"
    """It does not; it is tried now and then."""
    HALF_OPEN = "half_open"
    """It did not; it is being tried."""


class Sign(enum.Enum):
    """What an event says about an app server."""

    GOOD = "good"
    """It is there: an app of it presented a valid key, or it answered a call."""
    AWAY = "away"
    """Refused, timed out, 502, 503, 504, TLS reset: it will come back."""
    FAILED = "failed"
    """It answered, but did not start this app for this user. Not the server's fault, if it is
    the only one."""
    GONE = "gone"
    """404, 410, or a name that does not resolve: somebody has to do something."""
    MISCONFIGURED = "misconfigured"
    """Other 4xx, or an address that must not be called: likewise."""


SIGNS: Final[Mapping[WebhookFailure, Sign]] = MappingProxyType(
    {
        WebhookFailure.REFUSED: Sign.AWAY,
        WebhookFailure.TIMEOUT: Sign.AWAY,
        WebhookFailure.UNAVAILABLE: Sign.AWAY,
        WebhookFailure.UNRESOLVED: Sign.GONE,
        WebhookFailure.GONE: Sign.GONE,
        WebhookFailure.BLOCKED: Sign.MISCONFIGURED,
        WebhookFailure.MISCONFIGURED: Sign.MISCONFIGURED,
        WebhookFailure.ERROR: Sign.FAILED,
    }
)


def sign_of(failure: WebhookFailure) -> Sign:
    """What a failed webhook says about the server."""
    return SIGNS[failure]


@attrs.frozen(kw_only=True)
class Breaker:
    """What is known of one app server.

    Attributes:
        down_since: time of the first failure since it last answered; ``None`` while closed.
        failed_at: time of the latest failure, of whatever age.
        good_at: time of the latest good sign.
        failures: failures since it last answered well.
        sign: of the latest failure, while open.
    """

    down_since: float | None = None
    failed_at: float | None = None
    good_at: float | None = None
    failures: int = 0
    sign: Sign = Sign.GOOD

    @property
    def is_open(self) -> bool:
        """Whether it did not answer when it was last tried."""
        return self.down_since is not None

    @property
    def asks_first(self) -> bool:
        """Whether a server that was away is asked whether it is there before it is called again.

        Now and then it is called without: it may start apps and not know the question.
        """
        return self.is_open and self.sign is Sign.AWAY and self.failures % CALL_EVERY > 0

    def after(self, sign: Sign, now: float) -> Breaker:
        """What is known after ``sign`` at time ``now``."""
        if sign is Sign.GOOD:
            return Breaker(good_at=now, failed_at=self.failed_at)
        if sign is Sign.FAILED and not self.is_open and self.failures + 1 < STRIKES:
            return attrs.evolve(self, failed_at=now, failures=self.failures + 1)
        return attrs.evolve(
            self,
            down_since=now if self.down_since is None else self.down_since,
            failed_at=now,
            failures=self.failures + 1,
            sign=sign,
        )

    def heard(self, at: float) -> Breaker:
        """What is known after an app of it was alive at time ``at``.

        An outage that was found before is over, if it was one and not the trouble of a single
        session. Whether apps are started is still to be seen: this vouches for nobody.
        """
        if not self.is_open or self.failed_at is None or at <= self.failed_at:
            return self
        return Breaker(failed_at=self.failed_at)

    def vouches_for(self, lost_at: float) -> bool:
        """Whether the server has been heard of since ``lost_at``, and was not down since."""
        return not self.is_open and self.good_at is not None and self.good_at > lost_at


def probe_delay(
    breaker: Breaker, lifecycle: Lifecycle, *, tried_at: float, now: float, jitter: float
) -> float:
    """How long after the start of one trial of an open breaker the next one is due.

    Every ``probe_s`` for the first ``probe_fast_for_s``, every ``probe_slow_s`` up to the budget
    of resurrections, counted from the first failure; from then on every ``probe_rare_s``. A
    server that is gone or misconfigured is not tried fast at all.

    Args:
        tried_at: when that trial began. It decides whether the next one comes soon, so that the
            last of the fast ones is followed as soon as the others.
        now: decides whether the budget is over, so that nobody is called right after it.
        jitter: in ``[0, 1)``. It shortens the time only, by at most 5 %: the longest time is a
            promise, and a longer jitter would mean more calls in vain.
    """
    began = tried_at if breaker.down_since is None else breaker.down_since
    slow = tried_at - began >= lifecycle.probe_fast_for_s
    if now - began >= lifecycle.resurrection_budget_s:
        delay = lifecycle.probe_rare_s
    elif slow or breaker.sign in {Sign.GONE, Sign.MISCONFIGURED}:
        delay = lifecycle.probe_slow_s
    else:
        delay = lifecycle.probe_s
    return delay * (1 - PROBE_JITTER * jitter)
