"""A link on a plain TCP connection: one read and one write for all that is there to be done.

Nothing is written while frames are acted on: what was pushed then leaves in one piece per link
when all have been (``outbound``). Only where the peer takes less than that does a task wait for
it: the connection's own, which has nothing else to do while the link is lent.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from typing import Any, Final

import attrs
import trio
from trio.lowlevel import (
    Abort,
    Task,
    checkpoint,
    current_task,
    reschedule,
    wait_readable,
    wait_task_rescheduled,
    wait_writable,
)

from ..concurrency.loan import Loan
from ..concurrency.race import race
from ..domain.close_reasons import LINK_LOST, SLOW_CONSUMER, CloseReason
from ..ports import Handle
from .plain_socket import RECEIVE_BYTES, PlainSocket
from .pump import Pump
from .websocket_link import WebSocketLink

BATCH_BYTES: Final = 262_144
"""What is handed to the kernel at once, unless a single frame is larger."""
_MORE: Final = CloseReason(0, "")
"""No reason: there is more to be acted on than in one turn."""


@attrs.define(eq=False, kw_only=True)
class SocketLink(WebSocketLink):
    """A WebSocket whose bytes a ``PlainSocket`` carries."""

    unsent_bytes: int = attrs.field(default=0, init=False)
    _socket: PlainSocket
    _pump: Pump | None = None
    """Who reads for it while it is lent; ``None``: whoever listens."""
    _frames: list[bytes]
    """What waits to be sent: whole frames, but for the first, whose beginning may be sent."""
    _noted: bool = attrs.field(default=False, init=False)
    """Whether somebody is about to flush."""
    _blocked: bool = attrs.field(default=False, init=False)
    """Whether the peer takes no more now: then only the connection's task writes."""
    _finished: bool = attrs.field(default=False, init=False)
    _broken: bool = attrs.field(default=False, init=False)
    _resting: Task | None = attrs.field(default=None, init=False)
    """The connection's task, while the link is lent and it has nothing to do."""
    _sending: trio.CancelScope | None = attrs.field(default=None, init=False)
    """In which that task waits until the peer takes more."""

    def __attrs_post_init__(self) -> None:
        self.unsent_bytes = sum(map(len, self._frames))

    async def _read(self, handle: Handle) -> CloseReason | None:
        if self._pump is not None:
            with suppress(trio.ClosedResourceError):  # nobody reads for us any more
                return await self._watch(self._pump, handle)
        return await super()._read(handle)

    async def _watch(self, pump: Pump, handle: Handle) -> CloseReason | None:
        """As ``_read``, with ``pump`` as the reader."""
        fd, read = self._socket.sock.fileno(), partial(self._read_once, handle)
        while True:
            verdict = self._act(b"", trio.current_time(), handle)
            if verdict is not None:
                return verdict
            if self._reader.has_more:
                await checkpoint()
            else:
                watched = await pump.watch(fd, read)
                if watched is not _MORE:
                    return watched

    def _read_once(self, handle: Handle, now: float) -> CloseReason | None:
        """What the pump does when something has come; ``_MORE`` if that was a great deal."""
        try:
            data = self._socket.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        verdict = self._act(data or None, now, handle)
        return _MORE if verdict is None and self._reader.has_more else verdict

    def _last_look(self, handle: Handle) -> CloseReason | None:
        verdict = self._read_once(handle, trio.current_time())
        return None if verdict is _MORE else verdict

    async def _more(self) -> bytes:
        sock = self._socket.sock
        while True:
            try:
                await wait_readable(sock)
                return sock.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except (OSError, trio.ClosedResourceError):
                return b""

    def push_encoded(self, frame: bytes) -> bool:
        """Queue a text message that is a frame already; what is done for each app and event."""
        unsent, limits = self.unsent_bytes + len(frame), self.limits
        if (
            self._failure is not None
            or unsent > limits.outbox_bytes
            or len(self._frames) >= limits.outbox_frames
        ):
            return super().push_encoded(frame)
        self.unsent_bytes = unsent
        self._frames.append(frame)
        self.counts.sent += 1
        if not self._noted:
            self._note()
        return True

    def _queue(self, frame: bytes) -> bool:
        if self._failure is not None:
            return False
        if not self._has_room(len(frame)):
            return self._make_room(frame)
        self.unsent_bytes += len(frame)
        self._frames.append(frame)
        if not self._noted:
            self._note()
        return True

    def _has_room(self, size: int) -> bool:
        limits = self.limits
        fits = self.unsent_bytes + size <= limits.outbox_bytes
        return fits and len(self._frames) < limits.outbox_frames

    def ping(self) -> None:
        """See ``ports.Link``. Many links are pinged, and nothing else is sent with it."""
        super().ping()
        if not self._outbound.gathering:
            self.flush()

    def _note(self) -> None:
        """See to it that what waits is sent as soon as the peer takes it."""
        self._noted = True
        if self._outbound.gathering:
            self._outbound.links.append(self)
        elif not self._blocked:
            self._stir()

    def _make_room(self, frame: bytes) -> bool:
        """Queue ``frame`` if the peer takes what is there already, else give it up."""
        self.flush()
        if not self._blocked and self._failure is None and len(frame) <= self.limits.outbox_bytes:
            return self._queue(frame)
        del self._frames[1:]  # a peer this far behind is told at once, not after all that
        self.unsent_bytes = sum(map(len, self._frames))
        self._fail(SLOW_CONSUMER)
        return False

    def _finish(self, last: bytes | None) -> None:
        if self._finished or self._broken:
            return
        self._finished = True
        if last is not None:
            self._frames.append(last)
            self.unsent_bytes += len(last)
            self._note()

    def flush(self) -> None:
        """Send what waits in one piece, as far as the peer takes it now."""
        self._noted = False
        frames = self._frames
        while frames and not self._blocked:
            batch = frames if self.unsent_bytes <= BATCH_BYTES else self._first_frames()
            data = batch[0] if len(batch) == 1 else b"".join(batch)
            try:
                sent = self._socket.sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._break()
                return
            if batch is frames and sent == len(data):
                frames.clear()
                self.unsent_bytes = 0
            else:
                self._take_off(sent)
                if sent < len(data):
                    self._blocked = True
                    self._stir()

    def _first_frames(self) -> list[bytes]:
        """As many of the frames as are handed to the kernel at once, but one at least."""
        size, number = len(self._frames[0]), 1
        while number < len(self._frames) and size + len(self._frames[number]) <= BATCH_BYTES:
            size += len(self._frames[number])
            number += 1
        return self._frames[:number]

    def _take_off(self, sent: int) -> None:
        """``sent`` bytes more are sent; what is left of a frame that was cut stays first."""
        self.unsent_bytes -= sent
        whole = 0
        while sent and sent >= len(self._frames[whole]):
            sent -= len(self._frames[whole])
            whole += 1
        del self._frames[:whole]
        if sent:
            self._frames[0] = self._frames[0][sent:]

    def _break(self) -> None:
        """The connection takes nothing any more. What the peer said before is still heard."""
        self._broken = True
        self._frames.clear()
        self.unsent_bytes = 0
        self._failure = self._failure or LINK_LOST
        with suppress(OSError):  # it may be shut down already
            self._socket.sock.shutdown(socket.SHUT_RDWR)  # reading comes to an end in any case

    async def __aenter__(self) -> WebSocketLink:
        self.flush()
        return self

    # -- the connection's task -------------------------------------------------------------

    def _stir(self) -> None:
        if self._resting is not None:
            task, self._resting = self._resting, None
            reschedule(task)
        if self._sending is not None:
            self._sending.cancel("something else to do")

    async def attend(self, loan: Loan[Any, CloseReason]) -> CloseReason:
        """Send what the peer did not take at once, and what is pushed while nobody reads."""
        loan.told = self._stir
        while (reason := loan.reason) is None:
            self._blocked = False
            self.flush()
            if self._blocked:
                with trio.CancelScope() as self._sending:
                    await wait_writable(self._socket.sock)
                self._sending = None
            else:
                # Until `_stir`: what an event would do, of which every idle link would have one.
                self._resting = current_task()
                await wait_task_rescheduled(self._rest_no_more)
        return reason

    def _rest_no_more(self, _: object) -> Abort:
        self._resting = None
        return Abort.SUCCEEDED

    async def _hear(self) -> None:
        if self._blocked:
            await race(super()._hear, self._send_more)
        else:
            await super()._hear()

    async def _until_sent(self) -> bool:
        self._blocked = False
        self.flush()
        while self._blocked:
            await self._send_more()
        return not self._broken

    async def _send_eof(self) -> None:
        await checkpoint()
        with suppress(OSError):  # it is gone already
            self._socket.sock.shutdown(socket.SHUT_WR)

    async def _send_more(self) -> None:
        await wait_writable(self._socket.sock)
        self._blocked = False
        self.flush()
