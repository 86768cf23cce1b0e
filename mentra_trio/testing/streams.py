"""Byte streams in memory that behave like TCP: bounded, first in first out, in virtual time."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

import attrs
import trio

from .ledger import current_ledger

CAPACITY = 65_536
"""Bytes that a stream takes in before the sender waits for the reader."""


@attrs.define(eq=False)
class _Pipe:
    """One direction of a connection."""

    capacity: int
    latency: float
    ended: bool = False  # the writer sent EOF
    broken: bool = False  # reset: nothing goes through any more
    unread: bool = False  # the reader has closed: a later send is answered by a reset
    stalled: bool = False
    size: int = 0
    ends_at: float = 0.0
    chunks: deque[tuple[float, bytes]] = attrs.field(factory=deque)
    changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def put(self, data: memoryview) -> int:
        """Take in as much as there is room for, and say how much that was."""
        taken = bytes(data[: self.capacity - self.size])
        if taken:
            self.chunks.append((trio.current_time() + self.latency, taken))
            self.size += len(taken)
            self.changed.unpark_all()
        return len(taken)

    def get(self, limit: int) -> bytes:
        """What has arrived by now, at most ``limit`` bytes; empty if nothing has."""
        now = trio.current_time()
        parts: list[bytes] = []
        while self.chunks and limit and self.chunks[0][0] <= now:
            ready_at, chunk = self.chunks.popleft()
            parts.append(chunk[:limit])
            if len(chunk) > limit:
                self.chunks.appendleft((ready_at, chunk[limit:]))
            limit -= len(parts[-1])
        data = b"".join(parts)
        if data:
            self.size -= len(data)
            self.changed.unpark_all()
        return data

    def end(self) -> None:
        """Nothing will be put in any more."""
        if not self.ended:
            self.ended = True
            self.ends_at = trio.current_time() + self.latency
            self.changed.unpark_all()

    def break_(self) -> None:
        """Reset: what is under way is lost."""
        self.broken = True
        self.chunks.clear()
        self.size = 0
        self.changed.unpark_all()

    async def wait(self) -> None:
        """Until something may have changed: more data, more room, or the next arrival."""
        if self.stalled or not (self.chunks or self.ended):
            await self.changed.park()
            return
        next_at = self.chunks[0][0] if self.chunks else self.ends_at
        if next_at <= trio.current_time():
            await self.changed.park()
            return
        with trio.move_on_at(next_at):
            await self.changed.park()


@attrs.define(eq=False)
class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a connection in memory; raises what ``trio.SocketStream`` raises."""

    name: str
    _incoming: _Pipe
    _outgoing: _Pipe
    _closed: bool = attrs.field(default=False, init=False)
    _busy: set[str] = attrs.field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        ledger = current_ledger()
        if ledger is not None:
            ledger.watch_link(f"stream {self.name}", lambda: self.is_open)

    @property
    def peer(self) -> str:
        """Who is at the other end, for logs."""
        return self.name

    @property
    def is_open(self) -> bool:
        """Whether its owner has not closed it yet; a cut alone does not close it."""
        return not self._closed

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``; waits while the reader has ``CAPACITY`` bytes before it."""
        with self._alone("sending"):
            await trio.lowlevel.checkpoint()
            rest = memoryview(bytes(data))
            while True:
                self._check_sendable()
                rest = rest[self._outgoing.put(rest) :]
                if not rest:
                    return
                await self._outgoing.changed.park()

    async def wait_send_all_might_not_block(self) -> None:
        """Until there is room for at least one byte, or sending would fail."""
        with self._alone("sending"):
            await trio.lowlevel.checkpoint()
            while self._sendable and self._outgoing.size >= self._outgoing.capacity:
                await self._outgoing.changed.park()
            if self._closed:
                raise trio.ClosedResourceError("this stream was closed")

    async def send_eof(self) -> None:
        """Tell the reader that nothing more will come."""
        with self._alone("sending"):
            await trio.lowlevel.checkpoint()
            if self._closed:
                raise trio.ClosedResourceError("this stream was closed")
            self._outgoing.end()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes; empty at the end of the stream."""
        limit = CAPACITY if max_bytes is None else operator.index(max_bytes)
        if limit < 1:
            raise ValueError("max_bytes must be at least 1")
        with self._alone("receiving"):
            await trio.lowlevel.checkpoint()
            while True:
                if self._closed:
                    raise trio.ClosedResourceError("this stream was closed")
                if self._incoming.broken:
                    raise trio.BrokenResourceError("connection reset by peer")
                if not self._incoming.stalled:
                    data = self._incoming.get(limit)
                    if data or self._at_end:
                        return data
                await self._incoming.wait()

    async def aclose(self) -> None:
        """Close this end: the peer reads what was sent, then the end."""
        self.abandon()
        await trio.lowlevel.checkpoint()

    def abandon(self) -> None:
        """``aclose`` without the checkpoint."""
        if not self._closed:
            self._closed = True
            self._outgoing.end()
            self._incoming.unread = True
            self._incoming.changed.unpark_all()
            self._outgoing.changed.unpark_all()

    def cut(self) -> None:
        """Reset the connection: both ends fail at once, and what was under way is lost."""
        self._incoming.break_()
        self._outgoing.break_()

    def stall(self) -> None:
        """Let both directions swallow everything, the end of the stream included."""
        self._incoming.stalled = self._outgoing.stalled = True

    def resume(self) -> None:
        """End a stall: what was swallowed arrives now."""
        for pipe in (self._incoming, self._outgoing):
            pipe.stalled = False
            pipe.changed.unpark_all()

    @property
    def _at_end(self) -> bool:
        pipe = self._incoming
        return pipe.ended and not pipe.chunks and pipe.ends_at <= trio.current_time()

    @property
    def _sendable(self) -> bool:
        pipe = self._outgoing
        return not (self._closed or pipe.ended or pipe.broken or self._refused)

    @property
    def _refused(self) -> bool:
        """Whether the peer has closed, and we may know it."""
        return self._outgoing.unread and not self._outgoing.stalled

    def _check_sendable(self) -> None:
        if self._closed or self._outgoing.ended:
            raise trio.ClosedResourceError("this stream was closed for sending")
        if self._outgoing.broken or self._refused:
            raise trio.BrokenResourceError("connection reset by peer")

    @contextmanager
    def _alone(self, doing: str) -> Generator[None]:
        if doing in self._busy:
            raise trio.BusyResourceError(f"another task is already {doing}")
        self._busy.add(doing)
        try:
            yield
        finally:
            self._busy.remove(doing)


def memory_stream_pair(
    *, capacity: int = CAPACITY, latency: float = 0.0, name: str = "memory"
) -> tuple[MemoryStream, MemoryStream]:
    """Two ends of one connection: the dialling one and the accepting one."""
    there, back = _Pipe(capacity, latency), _Pipe(capacity, latency)
    return MemoryStream(f"{name} (dialled)", back, there), MemoryStream(
        f"{name} (accepted)", there, back
    )
