"""What was pushed to links while frames were read, so that each of them is written to only once."""

from __future__ import annotations

from typing import Protocol

import attrs


class Flushable(Protocol):
    """A link that can send at once what it has."""

    def flush(self) -> None:
        """Send what waits, as far as the peer takes it now. Never raises."""
        ...


@attrs.define(eq=False)
class Outbound:
    """The links of one port that have something to send.

    Whoever reads frames and acts on them sets ``gathering`` before and calls ``release`` after it,
    without any ``await`` in between. Then every link that was pushed to sends all of it in one
    piece.
    """

    gathering: bool = attrs.field(default=False, init=False)
    """Whether somebody will release what is pushed now. A link is written to only then."""
    links: list[Flushable] = attrs.field(factory=list, init=False)
    """Whoever has something to send adds itself, once, while ``gathering``."""

    def release(self) -> None:
        """Have every link send what it was given since ``gathering`` was set."""
        self.gathering = False
        if self.links:
            links, self.links = self.links, []
            for link in links:
                link.flush()
