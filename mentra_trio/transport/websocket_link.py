"""A link over a WebSocket: trio-websocket reads, a bounded outbox and one writer task send.

The library does the handshake, parses frames and answers pings and closes; see ``gated_stream``
for what it is kept from. Frames to the peer are made here, joined, and written by one task
only, so that no cancelled send leaves half a frame on a connection that goes on being used.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import ProtocolError

from ..concurrency.oneshot import OneShot
from ..domain.close_reasons import (
    CRASHED,
    LINK_LOST,
    NOT_UTF8,
    PROTOCOL_ERROR,
    SLOW_CONSUMER,
    TOO_BIG,
    CloseReason,
)
from ..domain.errors import LinkClosed
from ..domain.frame_counts import FrameCounts
from ..domain.timings import Limits
from ..wire.sounds import Sound
from .frames import PING_FRAME, TEXT, FrameScanner, encode_close, encode_frame, encode_message
from .gated_stream import GatedStream
from .outbox import Outbox

MESSAGES_WAITING: Final = 256
"""Messages of a peer that may wait until its session reads them; then its pings wait too."""


@attrs.define(eq=False)
class WebSocketLink:
    """``ports.Link`` over one accepted WebSocket. Made by ``open_link`` only."""

    peer: str
    limits: Limits
    counts: FrameCounts
    _stream: trio.abc.Stream
    _gate: GatedStream = attrs.field(init=False)
    _outbox: Outbox = attrs.field(init=False)
    _scanner: FrameScanner = attrs.field(init=False)
    _socket: WebSocketConnection = attrs.field(init=False)
    _failed: OneShot[CloseReason] = attrs.field(factory=OneShot, init=False)
    _farewell: OneShot[CloseReason] = attrs.field(factory=OneShot, init=False)

    def _set_up(self, request_head: bytes, first_message_bytes: int) -> None:
        self._outbox = Outbox(self.limits.outbox_bytes, self.limits.outbox_frames)
        self._scanner = FrameScanner(first_message_bytes, self.limits.message_bytes)
        self._gate = GatedStream(
            self._stream, request_head, self._scanner, self._queue, self._outbox.finish
        )

    @property
    def last_heard(self) -> float:
        """Trio time at which the peer last sent anything, pongs included."""
        return self._gate.last_heard

    @property
    def unsent_bytes(self) -> int:
        """What waits to be sent, frame headers included."""
        return self._outbox.unsent_bytes

    async def receive(self) -> str | bytes:
        """The next message. Safe to cancel.

        Raises:
            LinkClosed: with the peer's own close, or with why it could not be listened to.
        """
        try:
            message = await self._socket.get_message()
        except ConnectionClosed as closed:
            code = int(closed.reason.code) if closed.reason else LINK_LOST.code
            text = (closed.reason.reason or "") if closed.reason else ""
            reason = self._why_ended(CloseReason(code, text))
            self._failed.settle(reason)
            raise LinkClosed(reason) from None
        self.counts.received += 1
        return message

    def push(self, frame: str | bytes) -> bool:
        """Queue a message; see ``ports.Link``."""
        queued = self._queue(encode_message(frame))
        self.counts.sent += queued
        return queued

    def push_text(self, *parts: bytes) -> bool:
        """Queue a text message that is encoded already; see ``ports.Link``."""
        queued = self._queue(encode_frame(TEXT, b"".join(parts)))
        self.counts.sent += queued
        return queued

    def push_audio(self, sound: Sound) -> bool:
        """Queue a message unless much waits already; see ``ports.Link``."""
        if self._outbox.unsent_bytes > self.limits.audio_backlog_bytes:
            return False
        queued = self._outbox.put(sound.encoded)
        self.counts.sent += queued
        return queued

    def ping(self) -> None:
        """Queue a ping, unless the outbox is full: then the peer is slow, which is known anyway."""
        self._outbox.put(PING_FRAME)

    async def until_failed(self) -> CloseReason:
        """Wait until nothing can be sent any more, and say why."""
        return await self._failed.wait()

    async def close(self, reason: CloseReason) -> None:
        """Send what waits and then the close frame, and wait for the peer's answer.

        All that takes at most ``limits.close_s``. A second call does nothing. For the
        connection's task; a session never calls it.
        """
        if not self._farewell.settle(reason):
            return
        with trio.move_on_after(self.limits.close_s):
            last = encode_close(reason)
            self._outbox.finish(last)
            if await self._outbox.until_over() and last is not None:
                await self._until_peer_is_done()
        self._failed.settle(reason)

    def _queue(self, frame: bytes) -> bool:
        if self._outbox.put(frame):
            return True
        if not self._outbox.finished:
            self._outbox.discard()  # a peer this far behind is told at once, not after all that
            self._failed.settle(SLOW_CONSUMER)
        return False

    def _why_ended(self, seen: CloseReason) -> CloseReason:
        """Why the peer's side is over; ``seen`` is what the library makes of it."""
        if self._scanner.too_big:
            return TOO_BIG
        if self._scanner.close_seen:
            return seen
        if (failure := self._failed.peek()) is not None:
            return failure
        ours = (reason for reason in (PROTOCOL_ERROR, NOT_UTF8) if reason.code == seen.code)
        return next(ours, LINK_LOST)

    async def _read(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Let the library read until the peer's side is over."""
        try:
            async with trio.open_nursery() as reader:
                request = await wrap_server_stream(
                    reader,
                    self._gate,
                    message_queue_size=MESSAGES_WAITING,
                    max_message_size=self.limits.message_bytes,
                    receive_buffer_size=None,
                )
                self._socket = await request.accept()
                task_status.started()
        except* (ProtocolError, ConnectionClosed):
            # The peer drove the library into a corner; `receive` reports the end of the link.
            self._failed.settle(PROTOCOL_ERROR)

    async def _write(self) -> None:
        """Send batches of frames until the outbox is finished or the stream broken."""
        try:
            while (batch := await self._outbox.take()) is not None:
                await self._stream.send_all(batch)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._failed.settle(LINK_LOST)
        finally:
            self._outbox.no_more_sending()

    async def _until_peer_is_done(self) -> None:
        """Read and drop what still comes: unread bytes would make TCP drop our last words."""
        with suppress(ConnectionClosed):
            while True:
                await self._socket.get_message()
        if self._gate.close_answered or self._gate.ended_by_peer or self._scanner.close_seen:
            return
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while await self._stream.receive_some():
                pass


@asynccontextmanager
async def open_link(
    stream: trio.abc.Stream,
    request_head: bytes,
    *,
    peer: str,
    limits: Limits,
    counts: FrameCounts | None = None,
    first_message_bytes: int | None = None,
) -> AsyncGenerator[WebSocketLink, None]:
    """Accept the upgrade in ``request_head`` and lend the link while the block runs.

    ``request_head`` must be a valid upgrade request, as ``upgrade.canonical_head`` makes it.
    The block closes the link with its reason; where it does not, because it raised, the peer
    is told 1011. ``stream`` stays open: it belongs to the caller.
    """
    link = WebSocketLink(peer=peer, limits=limits, counts=counts or FrameCounts(), stream=stream)
    link._set_up(request_head, first_message_bytes or limits.message_bytes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link._write, name=f"writer of {peer}")
        await nursery.start(link._read, name=f"reader of {peer}")
        try:
            yield link
        finally:
            with trio.move_on_after(limits.close_s, shield=True):
                await link.close(CRASHED)
            nursery.cancel_scope.cancel("link closed")
