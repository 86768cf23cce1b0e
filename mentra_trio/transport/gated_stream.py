"""What the WebSocket library gets to see of a connection, and what it may do to it.

trio-websocket parses what the peer sends and answers pings and closes. Five things are kept
from it, because a peer could otherwise stop a server with them (performance.md): it never
learns of the close frames that we send, so that it cannot refuse to answer a ping after one; it
never sees a message above our limit, so that its own way of refusing is never taken; what it
sends goes through the outbox, so that its reader never waits for a slow peer; it gets few
frames at a time, because it works through all it has before it lets anybody else run; and it
does not get the bare pongs of idle links, because parsing them costs more than all the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from .frames import CLOSE, FrameScanner, is_bare_pong

FRAMES_AT_ONCE: Final = 32
"""So many frames the parser gets before others have their turn; each costs it some 50 us."""


class GatedStream(trio.abc.Stream):
    """The stream that trio-websocket reads from and answers to."""

    def __init__(
        self,
        stream: trio.abc.Stream,
        head: bytes,
        scanner: FrameScanner,
        queue: Callable[[bytes], bool],
        finish: Callable[[bytes], None],
    ) -> None:
        self._stream = stream
        self._head = head
        self._scanner = scanner
        self._queue = queue
        self._finish = finish
        self._over = False
        self._read: bytes | bytearray = b""
        self._passed = 0  # so many bytes of what was read
        self._accepted = trio.Event()
        self.last_heard = trio.current_time()
        """Trio time at which the peer last sent anything at all."""
        self.ended_by_peer = False
        """Whether the peer's side of the stream is at its end, or broken."""
        self.close_answered = False
        """Whether the answer to the peer's close frame was queued."""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The request's head, then the peer's frames, each within the limits."""
        if self._head:
            await trio.lowlevel.checkpoint()
            head, self._head = self._head, b""
            return head
        if self._over:
            await trio.lowlevel.checkpoint()
            return b""
        # Frames that come before our answer would be lost in the parser's handshake.
        await self._accepted.wait()
        if self._passed < len(self._read):
            await trio.lowlevel.checkpoint()
        else:
            self._read, self._passed = await self._receive_more(max_bytes), 0
        return self._next_frames()

    async def _receive_more(self, max_bytes: int | None) -> bytes | bytearray:
        """What is for the parser: no bare pong, which has been heard and is of no other use."""
        data = await self._receive(max_bytes)
        while is_bare_pong(data) and self._scanner.between_frames:
            data = await self._receive(max_bytes)
        return data

    async def _receive(self, max_bytes: int | None) -> bytes | bytearray:
        try:
            data = await self._stream.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if data:
            self.last_heard = trio.current_time()
        self.ended_by_peer = not data
        return data

    def _next_frames(self) -> bytes | bytearray:
        start = self._passed
        self._passed = self._scanner.admit(self._read, start, FRAMES_AT_ONCE)
        self._over = self._scanner.too_big
        return self._read[start : self._passed]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Queue what the library has to say: its handshake, a pong, the answer to a close."""
        await trio.lowlevel.checkpoint()
        self._accepted.set()
        if data and data[0] & 0x0F == CLOSE and data[0] & 0x80:
            self.close_answered = True
            self._finish(bytes(data))  # nothing may follow a close frame
        elif data:
            self._queue(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """Queueing never blocks."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """The library is done with it; the connection's task closes the real stream."""
        self._over = True
        await trio.lowlevel.checkpoint()
