"""The three things that Trio does not virtualise: wall time, randomness, and new names."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

import attrs

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_utcnow: Callable[[], datetime] = partial(datetime.now, UTC)


def _new_token() -> str:
    return secrets.token_urlsafe(18)


@attrs.define(eq=False)
class Stamp:
    """The millisecond in which it was ``at`` last, and how the wire writes it.

    Most of the text is written once in a second, and all of it at most once in a millisecond.
    """

    text: str = attrs.field(default="", init=False)
    encoded: bytes = attrs.field(default=b"", init=False)
    good_until: float = attrs.field(default=0.0, init=False)
    """Until then another clock vouches for it; see ``Environment.stamp``."""
    _begins: datetime = attrs.field(default=_LONG_AGO, init=False)
    _ends: datetime = attrs.field(default=_LONG_AGO, init=False)
    """The first and the last microsecond of the second."""
    _of_second: str = attrs.field(default="", init=False)
    _millisecond: int = attrs.field(default=-1, init=False)

    def at(self, moment: datetime) -> Stamp:
        """This stamp, for ``moment``."""
        millisecond = moment.microsecond // 1000
        if not self._begins <= moment <= self._ends:
            self._begins = moment.astimezone(UTC).replace(microsecond=0)
            self._ends = self._begins.replace(microsecond=999_999)
            self._of_second = self._begins.isoformat().replace("+00:00", ".")
        elif millisecond == self._millisecond:
            return self
        self._millisecond = millisecond
        self.text = f"{self._of_second}{millisecond:03d}Z"
        self.encoded = self.text.encode()
        return self


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
    _stamp: Stamp = attrs.field(factory=Stamp, init=False, eq=False, repr=False)

    def timestamp(self) -> str:
        """Now, as the wire writes it: ISO 8601 in UTC with milliseconds and ``Z``."""
        return self.stamp().text

    def stamp(self) -> Stamp:
        """Now, as the wire writes it. Good for this turn: the next call changes it.

        The machine's wall clock is not asked again while a quicker clock says that the
        millisecond lasts.
        """
        if self.utcnow is not _utcnow:
            return self._stamp.at(self.utcnow())
        ticks = time.perf_counter()
        if ticks >= self._stamp.good_until:
            moment = _utcnow()
            self._stamp.at(moment)
            self._stamp.good_until = ticks + (999 - moment.microsecond % 1000) / 1e6
        return self._stamp


def wire_time(moment: datetime) -> str:
    """``moment`` as JavaScript writes dates in JSON: ``2026-01-31T12:00:00.000Z``."""
    return Stamp().at(moment).text
