"""Where the user is: once, or as it changes, as exactly as the app needs it."""

from __future__ import annotations

from typing import Final

import msgspec

from ..domain.streams import LOCATION_STREAM, LOCATION_TIERS, LOCATIONS
from ..wire import from_app, to_app
from ..wire.from_glasses import LocationUpdate
from .ability import Ability, new_id
from .ears import FromServer, Off
from .hearing import Hears
from .questions import RequestFailed

POLL_S: Final = 15.0
"""How long one location is awaited (protocol.md 6.8)."""

POLLED: Final = "location"
DENIED: Final = "PERMISSION_DENIED"


class Location(Ability):
    """The user's location. Needs the permission ``LOCATION``."""

    async def latest(
        self, accuracy: str = "standard", *, within_s: float = POLL_S
    ) -> LocationUpdate:
        """One location, as fresh as ``accuracy`` demands: known already, or asked of the phone.

        Args:
            accuracy: from ``reduced`` to ``realtime``.

        Raises:
            ValueError: there is no such accuracy.
            RequestFailed: with ``PERMISSION_DENIED``; or as ``Questions.ask``: a server that knows
                nothing does not answer.
        """
        if accuracy not in LOCATION_TIERS:
            raise ValueError(f"{accuracy!r} is not one of {', '.join(LOCATION_TIERS)}")
        correlation_id = new_id("poll")
        found = await self.ask(
            POLLED,
            correlation_id,
            from_app.LocationPollRequest,
            correlation_id=correlation_id,
            accuracy=accuracy,
            within_s=within_s,
        )
        assert isinstance(found, LocationUpdate)
        return found

    def watch(self, handler: Hears[LocationUpdate], accuracy: str = "standard") -> Off:
        """Hear of every change; the finest accuracy that any app wants is what the phone does.

        Raises:
            ValueError: there is no such accuracy.
        """
        return self.session.on_stream(LOCATION_STREAM, handler, rate=accuracy)

    def take(self, message: FromServer) -> None:
        """An answer is a location with the id of its question (protocol.md 4.8).

        Who lacks the permission is told so without it: then no question is ever answered.
        """
        match message:
            case to_app.DataStream(stream_type="location_update"):
                self._answered(message.data)
            case to_app.PermissionError():
                for detail in message.details:
                    if detail.stream in LOCATIONS:
                        denied = RequestFailed(DENIED, detail.message)
                        self.session.questions.answer_all(POLLED, denied)

    def _answered(self, data: msgspec.Raw) -> None:
        try:
            found = msgspec.json.decode(data, type=LocationUpdate)
        except (msgspec.MsgspecError, RecursionError):
            return
        if found.correlation_id is not None:
            self.settle(POLLED, found.correlation_id, found)
