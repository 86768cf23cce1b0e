"""The three things that Trio does not virtualise: wall time, randomness, and new names."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import attrs

_utcnow: Callable[[], datetime] = partial(datetime.now, UTC)


def _new_token() -> str:
    return secrets.token_urlsafe(18)


@attrs.frozen(eq=False)
class Stamp:
    """One millisecond, and how the wire writes it: as text, and encoded.

    ``begins`` and ``ends`` are the first and the last microsecond of it, in UTC.
    """

    begins: datetime
    ends: datetime
    text: str
    encoded: bytes


def stamp_of(moment: datetime) -> Stamp:
    """The millisecond in which ``moment`` is, written as JavaScript writes dates in JSON."""
    begins = moment.astimezone(UTC)
    begins = begins.replace(microsecond=begins.microsecond // 1000 * 1000)
    text = begins.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ends = begins.replace(microsecond=begins.microsecond + 999)
    return Stamp(begins=begins, ends=ends, text=text, encoded=text.encode())


@attrs.define(eq=False)
class _Latest:
    """The stamp that was asked for last."""

    stamp: Stamp | None = None


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
    _latest: _Latest = attrs.field(factory=_Latest, init=False, eq=False, repr=False)

    def timestamp(self) -> str:
        """Now, as the wire writes it: ISO 8601 in UTC with milliseconds and ``Z``."""
        return self.stamp().text

    def stamp(self) -> Stamp:
        """Now, as the wire writes it. Written once for all that happens in one millisecond."""
        now = self.utcnow()
        stamp = self._latest.stamp
        if stamp is None or not stamp.begins <= now <= stamp.ends:
            stamp = self._latest.stamp = stamp_of(now)
        return stamp


def wire_time(moment: datetime) -> str:
    """``moment`` as JavaScript writes dates in JSON: ``2026-01-31T12:00:00.000Z``."""
    return stamp_of(moment).text
