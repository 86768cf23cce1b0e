"""The user's calendar as far as it is known: what is remembered, and in which order it is told."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs

from .moments import parse_moment

EVENTS_MAX: Final = 100
"""So many events are remembered (protocol.md 6.8)."""
CHARACTERS_MAX: Final = 16_384
"""A longer event is handed on, but not remembered."""


@attrs.frozen(kw_only=True)
class Event:
    """One entry: ``starts`` is ``None`` where its start cannot be read.

    ``text`` is the message as the phone wrote it.
    """

    event_id: str
    starts: datetime | None
    text: str


def event_of(event_id: str, start: object, text: str) -> Event:
    """An event that starts at ``start``, in any form that ``parse_moment`` takes."""
    return Event(event_id=event_id, starts=parse_moment(start), text=text)


def in_order(events: list[Event], now: datetime) -> list[Event]:
    """Those to come first, soonest first, then those that have begun, newest first (4.11).

    Last come those of which nobody knows when they are.
    """

    def place(event: Event) -> tuple[int, float]:
        if event.starts is None:
            return (2, 0.0)
        seconds = (event.starts - now).total_seconds()
        return (0, seconds) if seconds >= 0 else (1, -seconds)

    return sorted(events, key=place)


@attrs.define(eq=False)
class Calendar:
    """What is remembered; an event is told apart by its id and its start (protocol.md 6.8)."""

    _events: dict[tuple[str, datetime | None], Event] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: Event, now: datetime) -> None:
        """Remember ``event``, or what is new about it.

        Where there is no room, the one is forgotten that would be told last.
        """
        if len(event.text) > CHARACTERS_MAX:
            return
        key = (event.event_id, event.starts)
        self._events.pop(key, None)
        self._events[key] = event
        if len(self._events) > EVENTS_MAX:
            last = self.told(now)[-1]
            del self._events[last.event_id, last.starts]

    def told(self, now: datetime) -> list[Event]:
        """What a new subscriber hears, in order."""
        return in_order(list(self._events.values()), now)
