"""The conditions on a network: which faults are on now, and what they do to each connection."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import attrs
import trio

from .connections import MemoryConnection
from .faults import (
    SERVER,
    WAY,
    Bandwidth,
    Cut,
    DuplicateConnect,
    Fault,
    Latency,
    Refuse,
    Reorder,
    SlowClose,
    SlowReader,
    Stall,
    Webhook,
)
from .streams import MemoryStream, Travel

Relay = Callable[[MemoryStream, str, int], None]
"""Takes over a stream that was to go to a host and port."""


@attrs.define(eq=False)
class Active:
    """A fault that is on.

    Attributes:
        random: what is drawn for it.
        relay: for a ``Webhook``: who answers instead of the app.
    """

    fault: Fault
    random: Random
    relay: Relay | None = None
    over: trio.Event = attrs.field(factory=trio.Event, init=False)
    late: set[int] = attrs.field(factory=set, init=False)
    """For a ``DuplicateConnect``: numbers of the connections whose words come later."""
    copies: list[MemoryStream] = attrs.field(factory=list, init=False)
    _drawn: dict[int, float] = attrs.field(factory=dict, init=False)

    @property
    def copy_first(self) -> bool:
        """For a ``DuplicateConnect``: whether the copy is the older connection."""
        return isinstance(self.fault, DuplicateConnect) and self.fault.copy_first

    def concerns(self, connection: MemoryConnection) -> bool:
        """Whether it concerns ``connection``."""
        return self.fault.concerns(
            origin=connection.origin, host=connection.host, number=connection.number
        )

    def drawn_for(self, number: int) -> float:
        """A number in ``[0, 1)`` that belongs to one connection."""
        if number not in self._drawn:
            self._drawn[number] = self.random.random()
        return self._drawn[number]


@attrs.define(eq=False)
class Conditions:
    """What is on now; faults of several plans may be."""

    _connections: Callable[[], Iterable[MemoryConnection]]
    _active: list[Active] = attrs.field(factory=list, init=False)

    @asynccontextmanager
    async def during(
        self, fault: Fault, random: Random, relay: Relay | None = None
    ) -> AsyncGenerator[Active]:
        """Have ``fault`` on while the block runs."""
        active = Active(fault, random, relay)
        self._active.append(active)
        self._begin(active)
        try:
            yield active
        finally:
            self._active.remove(active)
            active.over.set()
            self._end(active)

    def _begin(self, active: Active) -> None:
        for connection in self._concerned(active):
            self.settle(connection)
            self._strike(active, connection)

    def _end(self, active: Active) -> None:
        for copy in active.copies:
            copy.abandon()
        for connection in self._concerned(active):
            self.settle(connection)
            if isinstance(active.fault, Stall) and not any(self._on(connection, Stall)):
                connection.client.resume()

    def _concerned(self, active: Active) -> Iterator[MemoryConnection]:
        return (one for one in self._connections() if one.is_open and active.concerns(one))

    # --- for the network ---

    def settle(self, connection: MemoryConnection) -> None:
        """Have bytes of ``connection`` travel as they should now."""
        out = back = connection.travel
        for active in self._active:
            if active.concerns(connection):
                out = _travel(out, active, connection, reader=connection.host)
                back = _travel(back, active, connection, reader=connection.origin, back=True)
        connection.client.travels(out=out, back=back)

    def strike(self, connection: MemoryConnection) -> None:
        """Do to a connection that was just made what is done to those that are there."""
        for active in list(self._active):
            if active.concerns(connection):
                self._strike(active, connection)

    def _strike(self, active: Active, connection: MemoryConnection) -> None:
        match active.fault:
            case Stall(heals=heals):
                connection.client.stall(for_good=not heals)
            case Cut():
                connection.client.cut()

    async def until_passable(self, origin: str, host: str, number: int) -> None:
        """Return when an attempt to connect gets through.

        Raises:
            ConnectionRefusedError: it is refused.
        """
        while True:
            for active in self._active:
                if active.fault.concerns(origin=origin, host=host, number=number):
                    match active.fault:
                        case Refuse(hangs=False):
                            raise ConnectionRefusedError(
                                errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED), host
                            )
                        case Refuse() | Stall():
                            break
            else:
                return
            await active.over.wait()

    def delay(self, origin: str, host: str, number: int) -> float:
        """Seconds that connecting takes longer."""
        seconds = 0.0
        for active in self._active:
            if active.fault.concerns(origin=origin, host=host, number=number):
                match active.fault:
                    case Latency():
                        seconds += _drawn_latency(active.fault, active.random)
                    case Reorder():
                        seconds += active.fault.seconds * active.drawn_for(number)
        return seconds

    def duplicate(self, connection: MemoryConnection) -> Active | None:
        """What makes a second connection of this one, if anything does."""
        return next(self._on(connection, DuplicateConnect), None)

    def relay(self, connection: MemoryConnection) -> Callable[[MemoryStream], None] | None:
        """Who takes the accepting end instead of the host, if anybody does: only of a call."""
        if connection.origin != SERVER:
            return None
        for active in self._on(connection, Webhook):
            if active.relay is not None:
                port = int(connection.address.rpartition(":")[2])
                return partial(_handed_over, active.relay, connection.host, port)
        return None

    def _on(self, connection: MemoryConnection, kind: type[Fault]) -> Iterator[Active]:
        return (
            active
            for active in self._active
            if isinstance(active.fault, kind) and active.concerns(connection)
        )


def _travel(
    travel: Travel, active: Active, connection: MemoryConnection, *, reader: str, back: bool = False
) -> Travel:
    """``travel`` under one more fault, in the direction in which ``reader`` reads."""
    match active.fault:
        case Latency(seconds=seconds, jitter=jitter):
            return attrs.evolve(
                travel,
                latency=travel.latency + seconds,
                jitter=travel.jitter + jitter,
                random=active.random,
            )
        case Reorder(seconds=seconds):
            own = seconds * active.drawn_for(connection.number)
            return attrs.evolve(travel, latency=travel.latency + own)
        case Bandwidth(bytes_per_s=rate):
            return attrs.evolve(travel, bytes_per_s=_slower(travel.bytes_per_s, rate))
        case SlowReader(bytes_per_s=rate, window=window):
            if _reads(active.fault, reader, connection):
                return attrs.evolve(
                    travel,
                    bytes_per_s=_slower(travel.bytes_per_s, rate),
                    window=min(travel.window, window),
                )
        case SlowClose(seconds=seconds):
            return attrs.evolve(travel, closes_after=travel.closes_after + seconds)
        case DuplicateConnect(apart=apart) if connection.number in active.late and not back:
            return attrs.evolve(travel, latency=travel.latency + apart)
    return travel


def _reads(fault: Fault, reader: str, connection: MemoryConnection) -> bool:
    """Whether the slow reader is the one in this direction.

    Where a fault names hosts they are the readers; where it names a connection, or a way of
    dialling, it is who was dialled.
    """
    if isinstance(fault.where, str) and WAY not in fault.where:
        return fault.concerns_host(reader)
    return reader == connection.host


def _slower(now: int, rate: int) -> int:
    return min(now, rate) if now else rate


def _drawn_latency(fault: Latency, random: Random) -> float:
    return fault.seconds + (fault.jitter * random.random() if fault.jitter else 0.0)


def _handed_over(relay: Relay, host: str, port: int, stream: MemoryStream) -> None:
    relay(stream, host, port)
