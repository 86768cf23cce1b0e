"""A link over a WebSocket, whatever carries its bytes: how it is read, and how it ends.

Two tasks use it. The connection's task owns it: it makes it, works for it while a session has
borrowed it (``attend``), and closes it. The session's task reads it (``listen``). How bytes come
and go is told by the two kinds of link: ``socket_link`` and ``stream_link``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Final

import attrs
import trio

from ..concurrency.loan import Loan
from ..domain.close_reasons import CRASHED, LINK_LOST, CloseReason
from ..domain.errors import LinkClosed
from ..domain.frame_counts import FrameCounts
from ..domain.timings import Limits
from ..ports import Handle
from ..wire.frames import (
    CLOSE,
    PING_FRAME,
    PONG,
    FrameReader,
    Sound,
    encode_close,
    encode_frame,
    encode_message,
)
from .outbound import Outbound

FRAMES_AT_ONCE: Final = 256
"""So many frames of one peer are acted on before others have their turn."""
_NO_MORE: Final = encode_frame(CLOSE, b"")
"""The answer to a close frame that gives no reason."""


@attrs.define(eq=False, kw_only=True)
class WebSocketLink(ABC):
    """``ports.Link`` over one accepted WebSocket. Made by ``Upgrade.accept`` only.

    As a context manager it ends itself: whoever leaves the block without having closed it has
    crashed, and the peer is told so. What carries the bytes stays open: it belongs to the caller.
    """

    peer: str
    limits: Limits
    counts: FrameCounts
    last_heard: float = attrs.field(factory=trio.current_time, init=False)
    """Trio time at which the peer last sent anything, pongs included."""
    _outbound: Outbound
    _reader: FrameReader
    _unheard: list[str | bytes] = attrs.field(factory=list, init=False)
    """Messages that came and that nobody has taken yet."""
    _end: CloseReason | None = attrs.field(default=None, init=False)
    """Why nobody listens any more: nothing comes, or it does not matter."""
    _failure: CloseReason | None = attrs.field(default=None, init=False)
    """Why nothing more may be pushed."""
    _farewell: CloseReason | None = attrs.field(default=None, init=False)
    """What we close it with."""
    _listening: trio.CancelScope | None = attrs.field(default=None, init=False)
    _left: trio.Event | None = attrs.field(default=None, init=False)
    """Set when nobody listens any more, where somebody waits for that."""

    # -- how bytes come and go -------------------------------------------------------------

    @property
    @abstractmethod
    def unsent_bytes(self) -> int:
        """What waits to be sent, frame headers included."""

    @abstractmethod
    async def _more(self) -> bytes:
        """The next bytes of the peer; empty at its end, or where it is broken. Safe to cancel."""

    @abstractmethod
    def _queue(self, frame: bytes) -> bool:
        """Have ``frame`` sent after those before it; ``False`` if it will not be."""

    @abstractmethod
    def _has_room(self, size: int) -> bool:
        """Whether a frame of ``size`` bytes more would stay within the limits."""

    @abstractmethod
    def _finish(self, last: bytes | None) -> None:
        """Have nothing sent after ``last``. Only the first call counts."""

    @abstractmethod
    def flush(self) -> None:
        """See ``outbound.Flushable``."""

    @abstractmethod
    async def attend(self, loan: Loan[Any, CloseReason]) -> CloseReason:
        """Work for the link until ``loan`` is given back; see ``ports.Link``."""

    @abstractmethod
    async def _until_sent(self) -> bool:
        """Send all that waits; ``False`` if the peer cannot get it any more."""

    @abstractmethod
    async def _send_eof(self) -> None:
        """Tell the peer that no more follows, where that can be told."""

    # -- reading ---------------------------------------------------------------------------

    async def listen(self, handle: Handle, until: float) -> CloseReason | None:
        """Hand every frame to ``handle``; see ``ports.Link``."""
        with trio.CancelScope(deadline=until) as self._listening:
            try:
                return await self._read(handle)
            finally:
                self._listening = None
                if self._left is not None:
                    self._left.set()
        return self._end or self._last_look(handle)

    def _last_look(self, handle: Handle) -> CloseReason | None:
        """Have acted on what came while we had no time to see it: it is no silence."""
        return None

    def prolong(self, until: float) -> None:
        """Put off the end of ``listen``; see ``ports.Link``."""
        if self._listening is not None:
            self._listening.deadline = until

    def wake(self) -> None:
        """Have ``listen`` return; see ``ports.Link``."""
        if self._listening is not None:
            self._listening.cancel("woken")

    async def _read(self, handle: Handle) -> CloseReason | None:
        data: bytes | None = b""
        while True:
            verdict = self._act(data, trio.current_time(), handle)
            if verdict is not None:
                return verdict
            data = await self._next_bytes()

    def _act(self, data: bytes | None, now: float, handle: Handle) -> CloseReason | None:
        """Have what the peer says acted on, and then everything sent that follows from it.

        Returns why the link is over, if it is.
        """
        outbound = self._outbound
        outbound.gathering = True
        try:
            for message in self._take(data, now):
                verdict = handle(message)
                if verdict is not None:
                    return verdict
        finally:
            outbound.release()
        return self._end

    async def receive(self) -> str | bytes:
        """The next message, for the connection's task before it lends the link. Safe to cancel.

        Raises:
            LinkClosed: with the peer's own close, or with why it could not be listened to.
        """
        self.flush()
        while not self._unheard:
            if self._end is not None:
                raise LinkClosed(self._end)
            await self._hear()
            self.flush()
        return self._unheard.pop(0)

    async def until_gone(self) -> CloseReason:
        """Wait for the end of the link; of what the peer says meanwhile, a little is kept."""
        self.flush()
        while self._end is None:
            kept = sum(map(len, self._unheard))
            if len(self._unheard) >= FRAMES_AT_ONCE or kept > self.limits.message_bytes:
                await trio.sleep_forever()
            await self._hear()
            self.flush()
        return self._end

    async def _hear(self) -> None:
        """Take what comes next. For the connection's task, which may have something else to do
        meanwhile: so it may return without having heard anything. Safe to cancel."""
        data = await self._next_bytes()
        self._unheard = self._take(data, trio.current_time())

    async def _next_bytes(self) -> bytes | None:
        """What there is to be taken; ``None`` at the peer's end. Safe to cancel."""
        if self._reader.has_more:
            await trio.lowlevel.checkpoint()
            return b""
        return await self._more() or None

    def _take(self, data: bytes | None, now: float) -> list[str | bytes]:
        """The messages in ``data``, after those that nobody has taken yet; it came ``now``."""
        reader = self._reader
        if data is None:
            self._fail(LINK_LOST)
            return self._unheard
        if data:
            self.last_heard = now
        messages = reader.feed(data, FRAMES_AT_ONCE)
        if reader.pings or reader.close is not None or reader.failure is not None:
            self._attend_to_control(reader)
        self.counts.received += len(messages)
        if self._unheard:
            messages, self._unheard = [*self._unheard, *messages], []
        return messages

    def _attend_to_control(self, reader: FrameReader) -> None:
        """Answer pings and a close; see why nothing more will come, if that is so."""
        for payload in reader.pings:
            self._queue(encode_frame(PONG, payload))
        reader.pings.clear()
        if reader.close is not None:
            self._end = reader.close
            self._failure = self._failure or self._end
            self._finish(encode_close(reader.close) or _NO_MORE)
        elif reader.failure is not None:
            self._end = reader.failure
            self._failure = self._failure or self._end

    # -- writing ---------------------------------------------------------------------------

    def push(self, frame: str | bytes) -> bool:
        """Queue a message; see ``ports.Link``."""
        queued = self._queue(encode_message(frame))
        self.counts.sent += queued
        return queued

    def push_encoded(self, frame: bytes) -> bool:
        """Queue a text message that is a frame already; see ``ports.Link``."""
        queued = self._queue(frame)
        self.counts.sent += queued
        return queued

    def push_audio(self, sound: Sound) -> bool:
        """Queue a sound unless much waits already; see ``ports.Link``."""
        frame = sound.encoded
        if self.unsent_bytes > self.limits.audio_backlog_bytes or not self._has_room(len(frame)):
            return False
        queued = self._queue(frame)
        self.counts.sent += queued
        return queued

    def ping(self) -> None:
        """Queue a ping, unless the outbox is full: then the peer is slow, which is known anyway."""
        if self._has_room(len(PING_FRAME)):
            self._queue(PING_FRAME)

    def _fail(self, reason: CloseReason) -> None:
        """The link is over: nothing is sent any more, and whoever listens shall know."""
        self._failure = self._failure or reason
        if self._end is None:
            self._end = self._failure
            self.wake()

    # -- the end ---------------------------------------------------------------------------

    async def close(self, reason: CloseReason) -> None:
        """Send what waits and then the close frame, and wait for the peer's answer.

        All that takes at most ``limits.close_s``. A second call does nothing. For the
        connection's task; a session never calls it.
        """
        if self._farewell is not None:
            return
        self._farewell = reason
        self._fail(reason)
        self.flush()
        if self._reader.close is not None and self._listening is None and not self.unsent_bytes:
            return  # the peer said the last word, and has been answered
        with trio.move_on_after(self.limits.close_s):
            await self._until_nobody_listens()
            last = encode_close(reason)
            self._finish(last)
            if await self._until_sent() and last is not None and self._reader.close is None:
                await self._send_eof()  # who waits for our end of TCP after a Close sees it
                await self._until_peer_is_done()

    async def _until_nobody_listens(self) -> None:
        if self._listening is not None:
            self._left = trio.Event()
            await self._left.wait()

    async def _until_peer_is_done(self) -> None:
        """Read and drop what still comes: unread bytes would make TCP drop our last words."""
        reader = self._reader
        while reader.close is None:
            if reader.has_more:
                await trio.lowlevel.checkpoint()
                data = b""
            elif not (data := await self._more()):
                return
            if reader.failure is None:
                reader.feed(data, FRAMES_AT_ONCE)
                reader.pings.clear()

    async def __aenter__(self) -> WebSocketLink:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._farewell is not None:
            return
        self._fail(LINK_LOST)  # what a session still sees of it
        if not _is_cancellation(error):
            with trio.CancelScope(shield=True):
                await self.close(CRASHED)


def _is_cancellation(error: BaseException | None) -> bool:
    """Whether ``error`` says nothing but that the task, or those in its nurseries, shall end."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)
