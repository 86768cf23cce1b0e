"""The glasses as the rest of a user session sees them: there or not, and something to send to."""

from __future__ import annotations

import attrs
import msgspec

from ..ports import Link, Telemetry
from ..wire.codec import encode
from .sending import send_frame


@attrs.define(eq=False, repr=False)
class Eyepiece:
    """Where messages to the user's glasses go; the link behind it comes and goes."""

    telemetry: Telemetry
    _link: Link | None = attrs.field(default=None, init=False)

    @property
    def attached(self) -> bool:
        """Whether glasses are linked now."""
        return self._link is not None

    def attach(self, link: Link) -> None:
        """Send to ``link`` from now on."""
        self._link = link

    def detach(self) -> None:
        """The glasses are gone; what is sent meanwhile is lost."""
        self._link = None

    def send(self, message: msgspec.Struct) -> bool:
        """Send ``message`` to the glasses; ``False`` if there are none or it was not taken."""
        if self._link is None:
            return False
        return send_frame(self.telemetry, "glasses", self._link, encode(message))

    @property
    def last_heard(self) -> float | None:
        """Trio time of the glasses' latest sign of life; ``None`` while there are none."""
        return self._link.last_heard if self._link is not None else None

    @property
    def peer(self) -> str:
        """Who the glasses are, for logs; empty while there are none."""
        return self._link.peer if self._link is not None else ""
