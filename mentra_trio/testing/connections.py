"""A connection of a ``MemoryNetwork``: who dialled whom, and both ends."""

from __future__ import annotations

import attrs

from .streams import MemoryStream, Travel


@attrs.frozen(kw_only=True, eq=False)
class MemoryConnection:
    """One connection that was made: who dialled whom, and both ends.

    Attributes:
        number: counted from 1 in the order of their making.
        travel: how bytes get through it where nothing is wrong.
    """

    number: int
    origin: str
    address: str
    travel: Travel
    client: MemoryStream
    server: MemoryStream

    @property
    def host(self) -> str:
        """Who was dialled."""
        return self.address.rpartition(":")[0]

    @property
    def is_open(self) -> bool:
        """Whether at least one end is still to be closed by its owner."""
        return self.client.is_open or self.server.is_open

    def discard(self) -> None:
        """Reset the connection and close both ends: nobody has got hold of them."""
        self.cut()
        self.client.abandon()
        self.server.abandon()

    def cut(self) -> None:
        """As ``MemoryStream.cut``."""
        self.client.cut()

    def stall(self) -> None:
        """As ``MemoryStream.stall``."""
        self.client.stall()
