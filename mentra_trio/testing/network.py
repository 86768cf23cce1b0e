"""A network in memory: names, listeners and streams that behave like TCP, in virtual time.

Streams are bounded and first in, first out. A connection can be cut (both ends see a reset),
stalled (bytes are swallowed and nobody is told) and slowed down (latency); an address can refuse,
or swallow, every attempt to connect. A ``FaultPlan`` does this and more through ``conditions``.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import trio

from .conditions import Active, Conditions
from .connections import MemoryConnection
from .streams import CAPACITY, MemoryStream, Travel, memory_stream_pair

BACKLOG = 128
"""Connections that wait to be accepted; the next attempt to connect waits."""


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
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self, *, unseen: bool = False) -> None:
        """``aclose`` without the checkpoint.

        ``unseen``: those not accepted yet hear nothing, ever.
        """
        self._network.forget(self)
        while True:
            try:
                waiting = self._receive.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
                break
            if unseen:
                waiting.client.stall(for_good=True)
            else:
                waiting.cut()
            waiting.server.abandon()
        self._send.close()
        self._receive.close()


@attrs.define(eq=False)
class MemoryNetwork:
    """Hosts that can be dialled by name, such as ``server:8002``.

    Attributes:
        latency: seconds that bytes travel, for connections made from now on.
        capacity: bytes each direction holds before its sender waits, likewise.
        connections: every connection ever made, in order.
        conditions: the faults that are on.
    """

    latency: float = 0.0
    capacity: int = CAPACITY
    connections: list[MemoryConnection] = attrs.field(factory=list, init=False)
    conditions: Conditions = attrs.field(init=False)
    _listeners: dict[tuple[str, int], MemoryListener] = attrs.field(factory=dict, init=False)
    _hosts: set[str] = attrs.field(factory=set, init=False)
    _black_holes: set[str] = attrs.field(factory=set, init=False)
    _vanished: dict[str, trio.Event] = attrs.field(factory=dict, init=False)
    _next_port: int = attrs.field(default=49_152, init=False)
    _made: int = attrs.field(default=0, init=False)

    @conditions.default
    def _fair(self) -> Conditions:
        return Conditions(lambda: self.connections)

    def listen(self, host: str, port: int = 0) -> MemoryListener:
        """Listen at ``host:port``; port 0 picks a free one.

        Raises:
            OSError: somebody listens there already.
        """
        if port == 0:
            port, self._next_port = self._next_port, self._next_port + 1
        self.must_be_free(host, port)
        send, receive = trio.open_memory_channel[MemoryConnection](BACKLOG)
        listener = MemoryListener(host, port, self, send, receive)
        self._listeners[host, port] = listener
        self._hosts.add(host)
        self.reappear(host)
        return listener

    def must_be_free(self, host: str, port: int) -> None:
        """Return if nobody listens at ``host:port``.

        Raises:
            OSError: somebody does.
        """
        if (host, port) in self._listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), f"{host}:{port}")

    async def dial(
        self, host: str, port: int, *, origin: str = "", directly: bool = False
    ) -> MemoryStream:
        """Connect to ``host:port``: a ``Dial`` for clients and webhooks.

        ``origin`` is the name of the host that dials, for ``cut_host``; ``directly`` goes past
        those who stand between, as in a ``Webhook`` fault.

        Raises:
            socket.gaierror: nobody has ever listened under the name ``host``.
            ConnectionRefusedError: nobody listens at that port now.
        """
        address = f"{host}:{port}"
        if address in self._black_holes:
            await trio.sleep_forever()
        self._made += 1
        number = self._made
        await self.conditions.until_passable(origin, host, number)
        await trio.sleep(self.latency + self.conditions.delay(origin, host, number))
        while (vanished := self._vanished.get(host)) is not None:
            await vanished.wait()
        if host not in self._hosts:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        listener = self._listeners.get((host, port))
        if listener is None:
            raise _refused(address)
        return await self._connect(listener, origin, number, directly=directly)

    async def _connect(
        self, listener: MemoryListener, origin: str, number: int, *, directly: bool
    ) -> MemoryStream:
        """Make a connection, and what the conditions make of it."""
        connection = self._pair(listener.address, origin, number)
        self.connections.append(connection)
        relay = None if directly else self.conditions.relay(connection)
        if relay is not None:
            relay(connection.server)
        elif (duplicate := self.conditions.duplicate(connection)) is not None:
            await self._connect_twice(listener, connection, duplicate)
        else:
            await listener.offer(connection)
        self.conditions.settle(connection)
        self.conditions.strike(connection)
        return connection.client

    async def _connect_twice(
        self, listener: MemoryListener, connection: MemoryConnection, duplicate: Active
    ) -> None:
        self._made += 1
        copy = self._pair(listener.address, connection.origin, self._made)
        self.connections.append(copy)
        duplicate.copies.append(copy.client)
        connection.client.copy_to(copy.client)
        duplicate.late.add(connection.number if duplicate.copy_first else copy.number)
        offered = False
        try:
            for one in (copy, connection):
                self.conditions.settle(one)
                await listener.offer(one)
            offered = True
        finally:
            if not offered:
                connection.discard()  # also where it was the copy that nobody took

    def _pair(self, address: str, origin: str, number: int) -> MemoryConnection:
        travel = Travel(latency=self.latency, window=self.capacity)
        name = f"{origin or 'somebody'} to {address}, number {number}"
        client, server = memory_stream_pair(travel, name=name)
        return MemoryConnection(
            number=number,
            origin=origin,
            address=address,
            travel=travel,
            client=client,
            server=server,
        )

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
        for connection in self._of_host(host):
            connection.cut()

    def vanish(self, host: str) -> None:
        """Take ``host`` from the network, and nobody is told: its connections are half-open for
        ever, and attempts to connect wait until somebody listens there again."""
        self._vanished.setdefault(host, trio.Event())
        for connection in self._of_host(host):
            connection.client.stall(for_good=True)
        self._close_listeners(host, unseen=True)

    def crash(self, host: str) -> None:
        """Let ``host`` die: its connections are reset, and it refuses new ones."""
        self.cut_host(host)
        self._close_listeners(host, unseen=False)

    def reappear(self, host: str) -> None:
        """End what ``vanish`` began, for new connections."""
        vanished = self._vanished.pop(host, None)
        if vanished is not None:
            vanished.set()

    def _close_listeners(self, host: str, *, unseen: bool) -> None:
        for listener in [one for one in self._listeners.values() if one.host == host]:
            listener.close(unseen=unseen)

    def _of_host(self, host: str) -> list[MemoryConnection]:
        return [one for one in self.connections if one.is_open and host in {one.origin, one.host}]

    def forget(self, listener: MemoryListener) -> None:
        """Refuse connections to a listener that is closing."""
        if self._listeners.get((listener.host, listener.port)) is listener:
            del self._listeners[listener.host, listener.port]


def _refused(address: str) -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED), address)
