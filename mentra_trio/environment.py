"""The three things that Trio does not virtualise: wall time, randomness, and new names."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

import attrs


def _utcnow() -> datetime:
    return datetime.now(UTC)


def _new_token() -> str:
    return secrets.token_urlsafe(18)


@attrs.frozen(kw_only=True)
class Environment:
    """What a server takes from its surroundings; tests replace it to be reproducible.

    Attributes:
        utcnow: the wall clock, timezone-aware. Never used for durations: those are Trio time.
        random: source of jitter. Not a source of secrets.
        perf_counter: a clock for how long the processor was busy, in seconds; ``None``: that is
            not measured.
        new_token: a fresh unguessable URL-safe name, at least 128 bits.
    """

    utcnow: Callable[[], datetime] = _utcnow
    random: random.Random = attrs.field(factory=random.Random)
    perf_counter: Callable[[], float] | None = time.perf_counter
    new_token: Callable[[], str] = _new_token

    def timestamp(self) -> str:
        """Now, as the wire writes it: ISO 8601 in UTC with milliseconds and ``Z``."""
        return wire_time(self.utcnow())


def wire_time(moment: datetime) -> str:
    """``moment`` as JavaScript writes dates in JSON: ``2026-01-31T12:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
