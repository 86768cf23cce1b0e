"""What carries the bytes of a connection in tests: memory, or a socket of the kernel.

Both work in virtual time: what one end of a local socket sends can be read at the other at once.
"""

from __future__ import annotations

import socket
from abc import abstractmethod
from typing import Any, Final, Protocol

import attrs
import trio
import trio.testing

from mentra_trio.transport.plain_socket import PlainSocket
from mentra_trio.transport.websocket_link import WebSocketLink

FILLER: Final = b"filler"
"""What the pings say that fill up a peer who does not read."""


class Wire(Protocol):
    """One connection, both of its ends."""

    @property
    @abstractmethod
    def client(self) -> trio.abc.Stream: ...

    @property
    @abstractmethod
    def server(self) -> trio.abc.Stream: ...

    def stall(self, link: WebSocketLink) -> None:
        """From now on the client takes nothing of what ``link`` sends."""

    def go_on(self) -> None:
        """It takes everything again, as soon as it reads."""

    def cut(self) -> None:
        """From now on nothing that the server sends arrives."""

    def discard(self) -> None:
        """End of the test."""


@attrs.define(eq=False)
class MemoryWire:
    """Streams in memory: the server's link is a ``StreamLink``."""

    client: Any = attrs.field(init=False)
    server: Any = attrs.field(init=False)
    _pump: Any = attrs.field(default=None, init=False)
    _go_on: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self.client, self.server = trio.testing.memory_stream_pair()

    def stall(self, link: WebSocketLink) -> None:
        self._pump = self.server.send_stream.send_all_hook
        self.server.send_stream.send_all_hook = self._go_on.wait

    def go_on(self) -> None:
        self.server.send_stream.send_all_hook = self._pump
        self._go_on.set()

    def cut(self) -> None:
        async def broken() -> None:
            raise trio.BrokenResourceError("reset")

        self.server.send_stream.send_all_hook = broken

    def discard(self) -> None:
        pass


@attrs.define(eq=False)
class SocketWire:
    """Sockets of the kernel, with small buffers: the server's link is a ``SocketLink``."""

    buffer_bytes: int = 0
    """Of the server's socket; 0: as the kernel has it."""
    kind: type[socket.socket] = socket.socket
    client: PlainSocket = attrs.field(init=False)
    server: PlainSocket = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        ours, theirs = socket.socketpair()
        if self.kind is not socket.socket:
            ours = self.kind(fileno=ours.detach())
        if self.buffer_bytes:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer_bytes)
        for end in (ours, theirs):
            end.setblocking(False)
        self.server, self.client = PlainSocket(ours, "peer"), PlainSocket(theirs, "server")

    def stall(self, link: WebSocketLink) -> None:
        while not link.unsent_bytes:
            link._queue(b"\x89\x06" + FILLER)
            link.flush()

    def go_on(self) -> None:
        pass

    def cut(self) -> None:
        self.client.close()

    def discard(self) -> None:
        self.client.close()


@attrs.define(eq=False)
class PumpedWire(SocketWire):
    """The same, where a ``Pump`` reads for the server's link."""


WIRES: Final[dict[str, Any]] = {
    "memory": MemoryWire,
    "sockets": SocketWire,
    "pump": PumpedWire,
}
