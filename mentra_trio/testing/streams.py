"""Byte streams in memory that behave like TCP: bounded, first in first out, in virtual time."""

from __future__ import annotations

import operator
from collections import deque
from random import Random

import attrs
import trio

from .ledger import current_ledger

CAPACITY = 65_536
"""Bytes that a stream takes in before the sender waits for the reader."""

PIECES_PER_S = 10
"""Where bytes pass slowly they arrive in pieces, so many in a second."""


@attrs.frozen(kw_only=True)
class Travel:
    """How bytes get through one direction of a connection.

    Attributes:
        latency: seconds that every byte is under way.
        jitter: up to so many seconds more, drawn for each piece; order is kept.
        bytes_per_s: so many pass in a second; 0: no limit.
        closes_after: seconds that the end of the stream is under way beyond that.
        window: bytes taken in before the sender waits for the reader.
        random: what jitter is drawn from.
    """

    latency: float = 0.0
    jitter: float = 0.0
    bytes_per_s: int = 0
    closes_after: float = 0.0
    window: int = CAPACITY
    random: Random = attrs.field(factory=lambda: Random(0), eq=False, repr=False)

    @property
    def is_instant(self) -> bool:
        """Whether what is sent is there at once."""
        return not (self.latency or self.jitter or self.bytes_per_s)

    def delay(self) -> float:
        """Seconds until the next piece arrives."""
        return self.latency + (self.jitter * self.random.random() if self.jitter else 0.0)


@attrs.define(eq=False)
class _Pipe:
    """One direction of a connection."""

    travel: Travel
    ended: bool = False  # the writer sent EOF
    broken: bool = False  # reset: nothing goes through any more
    stalled: bool = False
    dead: bool = False  # stalled, and no end of the stall will be seen
    swallows: bool = False  # nobody will ever read: what is sent is gone
    refuses_at: float | None = None  # the reader has closed: a later send is answered by a reset
    size: int = 0
    ends_at: float = 0.0
    last_at: float = 0.0
    """When the last byte so far arrives; 0 if it is there. What follows does not overtake it."""
    passing_until: float = 0.0
    """When the last byte so far has passed, where only so many pass in a second."""
    copy: _Pipe | None = None
    chunks: deque[tuple[float, bytes]] = attrs.field(factory=deque)
    changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot)

    def put(self, data: bytes | memoryview) -> int:
        """Take in as much as there is room for, and say how much that was."""
        room = self.travel.window - self.size
        if room <= 0 or not data:
            return 0
        taken = bytes(data[:room])
        if self.copy is not None and self.copy.put(taken) < len(taken):
            self.copy = None  # half a message would be another message
        if self.swallows:
            return len(taken)
        self.size += len(taken)
        if self.travel.is_instant:
            self.chunks.append((self.last_at, taken))
        else:
            self._send_off(taken)
        self.wake()
        return len(taken)

    def _send_off(self, data: bytes) -> None:
        now, rate = trio.current_time(), self.travel.bytes_per_s
        step = max(1, rate // PIECES_PER_S) if rate else len(data)
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            passed_at = now
            if rate:
                passed_at = max(now, self.passing_until) + len(piece) / rate
                self.passing_until = passed_at
            self.last_at = max(self.last_at, passed_at + self.travel.delay())
            self.chunks.append((self.last_at, piece))

    def change(self, travel: Travel) -> None:
        """From now on bytes travel so; what is under way arrives no later than if sent now.

        So does the end, but for what ``closes_after`` it has been given.
        """
        if travel == self.travel:
            return
        soonest = trio.current_time() + travel.latency
        if travel.bytes_per_s == 0 and self.last_at > soonest:
            self.chunks = deque((min(at, soonest), piece) for at, piece in self.chunks)
            self.last_at = self.passing_until = soonest
        if self.ended:
            late = max(soonest + self.travel.closes_after, self.last_at)
            self.ends_at = min(self.ends_at, late)
        self.travel = travel
        self.wake()

    def get(self, limit: int) -> bytes:
        """What has arrived by now, at most ``limit`` bytes; empty if nothing has."""
        if not self.chunks:
            return b""
        now = trio.current_time() if self.last_at else 0.0
        parts: list[bytes] = []
        while self.chunks and limit and self.chunks[0][0] <= now:
            ready_at, chunk = self.chunks.popleft()
            if len(chunk) > limit:
                self.chunks.appendleft((ready_at, chunk[limit:]))
                chunk = chunk[:limit]
            parts.append(chunk)
            limit -= len(chunk)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if data:
            self.size -= len(data)
            self.wake()
        if not self.chunks and self.last_at <= now:
            self.last_at = 0.0
        return data

    def end(self) -> None:
        """Nothing will be put in any more."""
        if not self.ended:
            self.ended = True
            sent_at = trio.current_time() + self.travel.latency + self.travel.closes_after
            self.ends_at = max(sent_at, self.last_at)
            self.copy = None
            self.wake()

    @property
    def at_end(self) -> bool:
        """Whether everything was read, and the end has arrived."""
        return self.ended and not self.chunks and self.ends_at <= trio.current_time()

    def refuse(self) -> None:
        """The reader has closed; whoever goes on sending learns it as soon as that gets there."""
        self.refuses_at = trio.current_time() + self.travel.closes_after
        self.wake()

    @property
    def refused(self) -> bool:
        """Whether the writer may know that the reader has closed."""
        if self.refuses_at is None or self.stalled:
            return False
        return self.refuses_at <= trio.current_time()

    def break_(self) -> None:
        """Reset: what is under way is lost."""
        self.broken = True
        self.copy = None
        self.chunks.clear()
        self.size = 0
        self.wake()

    def wake(self) -> None:
        """Have whoever waits look again."""
        if self.changed:
            self.changed.unpark_all()

    async def until_readable(self) -> None:
        """Until something may have changed for the reader; a moment in time counts."""
        if self.stalled or not (self.chunks or self.ended):
            await self.changed.park()
        else:
            await self._until(self.chunks[0][0] if self.chunks else self.ends_at)

    async def until_writable(self) -> None:
        """Until something may have changed for the writer; a moment in time counts."""
        if self.swallows or self.travel.window > self.size:
            await trio.lowlevel.checkpoint()
        else:
            await self._until(self.refuses_at or 0.0)

    async def _until(self, moment: float) -> None:
        if moment <= trio.current_time():
            await self.changed.park()
        else:
            with trio.move_on_at(moment):
                await self.changed.park()


@attrs.define(eq=False)
class MemoryStream(trio.abc.HalfCloseableStream):
    """One end of a connection in memory; raises what ``trio.SocketStream`` raises."""

    name: str
    _incoming: _Pipe
    _outgoing: _Pipe
    _closed: bool = attrs.field(default=False, init=False)
    _sending: bool = attrs.field(default=False, init=False)
    _receiving: bool = attrs.field(default=False, init=False)

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

    @property
    def is_stalled(self) -> bool:
        """Whether bytes, and the end, are being swallowed."""
        return self._incoming.stalled

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``; waits while the reader has a window full of bytes before it."""
        self._begin_sending()
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            self._check_sendable()
            taken = self._outgoing.put(memoryview(data))
            if taken == len(data):
                await trio.lowlevel.cancel_shielded_checkpoint()
                return
            rest = memoryview(bytes(data))[taken:]
            while rest:
                await self._outgoing.until_writable()
                self._check_sendable()
                rest = rest[self._outgoing.put(rest) :]
        finally:
            self._sending = False

    async def wait_send_all_might_not_block(self) -> None:
        """Until there is room for at least one byte, or sending would fail."""
        self._begin_sending()
        try:
            await trio.lowlevel.checkpoint()
            pipe = self._outgoing
            while self._sendable and pipe.size >= pipe.travel.window:
                await pipe.until_writable()
            if self._closed:
                raise trio.ClosedResourceError("this stream was closed")
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """Tell the reader that nothing more will come."""
        self._begin_sending()
        try:
            await trio.lowlevel.checkpoint()
            if self._closed:
                raise trio.ClosedResourceError("this stream was closed")
            self._outgoing.end()
        finally:
            self._sending = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes; empty at the end of the stream."""
        limit = CAPACITY if max_bytes is None else operator.index(max_bytes)
        if limit < 1:
            raise ValueError("max_bytes must be at least 1")
        if self._receiving:
            raise trio.BusyResourceError("another task is already receiving")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            data = self._take(limit)
            if data is not None:
                await trio.lowlevel.cancel_shielded_checkpoint()
            while data is None:
                await self._incoming.until_readable()
                data = self._take(limit)
            return data
        finally:
            self._receiving = False

    def _take(self, limit: int) -> bytes | None:
        """What is there to be received: bytes, or the end; ``None`` if nothing is yet."""
        pipe = self._incoming
        if self._closed:
            raise trio.ClosedResourceError("this stream was closed")
        if pipe.broken:
            raise trio.BrokenResourceError("connection reset by peer")
        if pipe.stalled:
            return None
        data = pipe.get(limit)
        return data if data or pipe.at_end else None

    async def aclose(self) -> None:
        """Close this end: the peer reads what was sent, then the end."""
        self.abandon()
        await trio.lowlevel.checkpoint()

    def abandon(self) -> None:
        """``aclose`` without the checkpoint."""
        if not self._closed:
            self._closed = True
            self._outgoing.end()
            self._incoming.refuse()
            self._outgoing.wake()

    def cut(self) -> None:
        """Reset the connection: both ends fail at once, and what was under way is lost."""
        self._incoming.break_()
        self._outgoing.break_()

    def stall(self, *, for_good: bool = False) -> None:
        """Let both directions swallow everything, the end of the stream included.

        ``for_good``: no ``resume`` ends it.
        """
        for pipe in (self._incoming, self._outgoing):
            pipe.stalled = True
            pipe.dead = pipe.dead or for_good

    def resume(self) -> None:
        """End a stall: what was swallowed arrives now."""
        for pipe in (self._incoming, self._outgoing):
            pipe.stalled = pipe.dead
            pipe.wake()

    def travels(self, *, out: Travel, back: Travel) -> None:
        """From now on what this end sends travels like ``out``, what it receives like ``back``."""
        self._outgoing.change(out)
        self._incoming.change(back)

    def copy_to(self, ghost: MemoryStream) -> None:
        """Send to the peer of ``ghost``, too, what this end sends; ``ghost`` reads nothing."""
        self._outgoing.copy = ghost._outgoing
        ghost._incoming.swallows = True

    @property
    def _sendable(self) -> bool:
        pipe = self._outgoing
        return not (self._closed or pipe.ended or pipe.broken or pipe.refused)

    def _check_sendable(self) -> None:
        if self._closed or self._outgoing.ended:
            raise trio.ClosedResourceError("this stream was closed for sending")
        if self._outgoing.broken or self._outgoing.refused:
            raise trio.BrokenResourceError("connection reset by peer")

    def _begin_sending(self) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is already sending")
        self._sending = True


def memory_stream_pair(
    travel: Travel | None = None, *, name: str = "memory"
) -> tuple[MemoryStream, MemoryStream]:
    """Two ends of one connection: the dialling one and the accepting one."""
    travel = travel or Travel()
    there, back = _Pipe(travel), _Pipe(travel)
    return MemoryStream(f"{name} (dialled)", back, there), MemoryStream(
        f"{name} (accepted)", there, back
    )
