"""The user's date and time, as the phone says it, for apps that show it (protocol.md 1.6, 6.8)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import attrs

from ..domain.ids import PackageName
from ..domain.streams import StreamEvent, Subscription
from ..wire.codec import encode
from ..wire.to_app import CustomMessage
from .subsystem import Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession

CUSTOM_MESSAGE: Final = StreamEvent(stream="custom_message")
ACTION: Final = "update_datetime"
SECTION: Final = "topLeft"
"""Where a dashboard shows it."""


@attrs.define(eq=False, repr=False)
class Clock(Subsystem):
    """Tells the apps that take custom messages; each once, and again when it has changed.

    It is not kept for an app that is away: what it gets on its return is the latest.
    """

    _datetime: str | None = attrs.field(default=None, init=False)
    _told: dict[PackageName, str] = attrs.field(factory=dict, init=False)

    def time_told(self, text: str) -> None:
        """It is handed on as it is."""
        self._datetime = text
        for app in self.place.apps():
            self._tell(app)

    def _tell(self, app: AppSession) -> None:
        if self._datetime is None or not app.subscriptions.matching(CUSTOM_MESSAGE):
            return
        message = CustomMessage(
            session_id=app.session_id,
            action=ACTION,
            payload={"datetime": self._datetime, "section": SECTION},
            timestamp=self.place.timestamp(),
        )
        if app.send(encode(message)):
            self._told[app.package] = self._datetime

    def app_listed(self, app: AppSession, added: Collection[Subscription]) -> None:
        """Who is new to custom messages learns it, if it is known."""
        if any(one.stream == CUSTOM_MESSAGE.stream for one in added):
            self._tell(app)

    def app_attached(self, app: AppSession) -> None:
        """An app that is back learns it if it has changed meanwhile, or was not known before."""
        if self._told.get(app.package) != self._datetime:
            self._tell(app)

    def app_over(self, package: PackageName) -> None:
        """What it was told does not matter any more."""
        self._told.pop(package, None)
