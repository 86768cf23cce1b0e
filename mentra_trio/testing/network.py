"""A network in memory: names, listeners and streams that behave like TCP, in virtual time.

Streams are bounded and first in, first out; nothing in here draws a random number. A
connection can be cut (both ends see a reset), stalled (bytes are swallowed and nobody is told)
and slowed down (latency); an address can refuse, or swallow, every attempt to connect.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import trio

from .streams import CAPACITY, MemoryStream, memory_stream_pair

BACKLOG = 128
"""Connections that wait to be accepted; the next attempt to connect waits."""


@attrs.frozen(kw_only=True)
class MemoryConnection:
    """One connection that was made: who dialled whom, and both ends."""

    origin: str
    address: str
    client: MemoryStream
    server: MemoryStream

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


@attrs.define(eq=False)
class MemoryListener(trio.abc.Listener[MemoryStream]):
    """What accepts the connections to one address of a ``MemoryNetwork``."""

    host: str
    port: int
    _network: MemoryNetwork = attrs.field(repr=False)
    _send: trio.MemorySendChannel[MemoryConnection] = attrs.field(repr=False)
    _receive: trio.MemoryReceiveChannel[MemoryConnection] = attrs.field(repr=False)

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    async def accept(self) -> MemoryStream:
        """The accepting end of the next connection.

        Raises:
            trio.ClosedResourceError: the listener was closed.
        """
        return (await self._receive.receive()).server

    async def offer(self, connection: MemoryConnection) -> None:
        """Put ``connection`` into the backlog, or end it."""
        offered = False
        try:
            await self._send.send(connection)
            offered = True
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise _refused(self.address) from None
        finally:
            if not offered:
                connection.discard()

    async def aclose(self) -> None:
        """Take no more connections; those not accepted yet are reset."""
        self._network.forget(self)
        while True:
            try:
                waiting = self._receive.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                break
            waiting.cut()
            waiting.server.abandon()
        self._send.close()
        self._receive.close()
        await trio.lowlevel.checkpoint()


@attrs.define(eq=False)
class MemoryNetwork:
    """Hosts that can be dialled by name, such as ``server:8002``.

    Attributes:
        latency: seconds that bytes travel, for connections made from now on.
        capacity: bytes each direction holds before its sender waits, likewise.
        connections: every connection ever made, in order.
    """

    latency: float = 0.0
    capacity: int = CAPACITY
    connections: list[MemoryConnection] = attrs.field(factory=list, init=False)
    _listeners: dict[tuple[str, int], MemoryListener] = attrs.field(factory=dict, init=False)
    _hosts: set[str] = attrs.field(factory=set, init=False)
    _black_holes: set[str] = attrs.field(factory=set, init=False)
    _next_port: int = attrs.field(default=49_152, init=False)

    def listen(self, host: str, port: int = 0) -> MemoryListener:
        """Listen at ``host:port``; port 0 picks a free one.

        Raises:
            OSError: somebody listens there already.
        """
        if port == 0:
            port, self._next_port = self._next_port, self._next_port + 1
        if (host, port) in self._listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), f"{host}:{port}")
        send, receive = trio.open_memory_channel[MemoryConnection](BACKLOG)
        listener = MemoryListener(host, port, self, send, receive)
        self._listeners[host, port] = listener
        self._hosts.add(host)
        return listener

    async def dial(self, host: str, port: int, *, origin: str = "") -> MemoryStream:
        """Connect to ``host:port``: a ``Dial`` for clients and webhooks.

        ``origin`` is the name of the host that dials, for ``cut_host``.

        Raises:
            socket.gaierror: nobody has ever listened under the name ``host``.
            ConnectionRefusedError: nobody listens at that port now.
        """
        address = f"{host}:{port}"
        if address in self._black_holes:
            await trio.sleep_forever()
        await trio.sleep(self.latency)
        if host not in self._hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        listener = self._listeners.get((host, port))
        if listener is None:
            raise _refused(address)
        name = f"{origin or 'somebody'} to {address}, number {len(self.connections) + 1}"
        client, server = memory_stream_pair(capacity=self.capacity, latency=self.latency, name=name)
        connection = MemoryConnection(origin=origin, address=address, client=client, server=server)
        await listener.offer(connection)
        self.connections.append(connection)
        return client

    def black_hole(self, address: str) -> None:
        """From now on attempts to connect to ``host:port`` hang."""
        self._black_holes.add(address)

    def open_to(self, address: str) -> list[MemoryConnection]:
        """The connections to ``host:port`` of which an end is still open, oldest first."""
        return [one for one in self.connections if one.address == address and one.is_open]

    def cut(self, address: str) -> None:
        """Reset every open connection to ``host:port``."""
        for connection in self.open_to(address):
            connection.cut()

    def dial_from(self, origin: str) -> Callable[[str, int], Awaitable[MemoryStream]]:
        """A ``Dial`` of the host ``origin``."""
        return partial(self.dial, origin=origin)

    def cut_host(self, host: str) -> None:
        """Reset every open connection from or to ``host``, as if its process had been killed."""
        for connection in self.connections:
            if host in {connection.origin, connection.address.rpartition(":")[0]}:
                connection.cut()

    def forget(self, listener: MemoryListener) -> None:
        """Refuse connections to a listener that is closing."""
        if self._listeners.get((listener.host, listener.port)) is listener:
            del self._listeners[listener.host, listener.port]


def _refused(address: str) -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED), address)
