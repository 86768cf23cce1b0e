"""The user's calendar: remembered for apps that ask later (protocol.md 4.11, 6.8)."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import attrs
import msgspec

from ..domain.calendar import Calendar, event_of
from ..domain.streams import Subscription
from ..wire.codec import encode
from ..wire.from_glasses import CalendarEvent
from ..wire.to_app import DataStream
from .delivery import deliver
from .subsystem import GlassesHandlers, Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession

CALENDAR_EVENT: Final = "calendar_event"


@attrs.define(eq=False, repr=False)
class Calendars(Subsystem):
    """Remembers events as the phone wrote them; subscribers hear of them as they come."""

    _calendar: Calendar = attrs.field(factory=Calendar, init=False)

    ON_DEMAND: ClassVar[bool] = True

    def heard(self, message: CalendarEvent, frame: str) -> None:
        """Remember an event, or what is new about it."""
        event = event_of(message.event_id, message.dt_start, frame)
        self._calendar.add(event, self.place.surroundings.environment.utcnow())

    AS_WRITTEN: ClassVar[GlassesHandlers] = MappingProxyType({CalendarEvent: heard})

    def app_listed(self, app: AppSession, added: Collection[Subscription]) -> None:
        """Who is new to the calendar learns all that is known of it, what is to come first."""
        if not any(one.stream == CALENDAR_EVENT for one in added):
            return
        timestamp = self.place.timestamp()
        for event in self._calendar.told(self.place.surroundings.environment.utcnow()):
            message = DataStream(
                session_id=app.session_id,
                stream_type=CALENDAR_EVENT,
                data=msgspec.Raw(event.text.encode()),
                timestamp=timestamp,
            )
            deliver(app, CALENDAR_EVENT, encode(message))
