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

    Whoever reads frames and acts on them does it between ``gather`` and ``release``, without any
    ``await``. Then every link that was pushed to sends all of it in one piece.
    """

    gathering: bool = attrs.field(default=False, init=False)
    """Whether somebody will release what is pushed now."""
    links: list[Flushable] = attrs.field(factory=list, init=False)
    """Whoever has something to send adds itself, once, while ``gathering``."""

    def gather(self) -> None:
        """From now on links are written to in ``release`` only."""
        self.gathering = True

    def release(self) -> None:
        """Have every link send what it was given since ``gather``."""
        self.gathering = False
        links, self.links = self.links, []
        for link in links:
            link.flush()
