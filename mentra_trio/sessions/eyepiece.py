"""The glasses as the rest of a user session sees them: there or not, and something to send to."""

from __future__ import annotations

import attrs
import msgspec

from ..ports import Link
from ..wire.codec import encode


@attrs.define(eq=False, repr=False)
class Eyepiece:
    """Where messages to the user's glasses go; the link behind it comes and goes."""

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
        return self._link is not None and self._link.push(encode(message))
