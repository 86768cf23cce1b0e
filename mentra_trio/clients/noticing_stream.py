"""What the WebSocket library gets to see of a connection that we opened."""

from __future__ import annotations

from typing import Final

import attrs
import trio

from ..wire.frames import PING_FRAME
from .frame_bounds import BARE_PONG, FrameBounds

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""A larger message ends the connection (protocol.md 0.3)."""

_HEAD_ENDS: Final = b"\r\n\r\n"


@attrs.define(eq=False)
class NoticingStream(trio.abc.Stream):
    """A stream that tells when its peer has ended it, and that answers bare pings by itself.

    trio-websocket waits for ever when a connection ends during the client's handshake. And all
    that an idle connection does is to answer pings, for which the library takes ten times as
    long: that decides how many idle peers can be simulated.
    """

    inner: trio.abc.Stream
    over: trio.Event = attrs.field(factory=trio.Event, init=False)
    heard_at: float = attrs.field(factory=trio.current_time, init=False)
    """When the peer last gave a sign of life, pings included; Trio time."""
    _sending: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _head: bytes | None = attrs.field(default=b"", init=False)
    """What has come of the answer to the upgrade; ``None`` once it is whole."""
    _bounds: FrameBounds = attrs.field(factory=FrameBounds, init=False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The next bytes that are no bare ping; empty at the end."""
        data = await self._receive(max_bytes)
        while data == PING_FRAME and self._head is None and self._bounds.between_frames:
            await self.send_all(BARE_PONG)
            data = await self._receive(max_bytes)
        self._follow(data)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``, after what is being sent."""
        try:
            self._sending.acquire_nowait()  # saves a turn of the event loop for each frame
        except trio.WouldBlock:
            await self._sending.acquire()
        try:
            await self.inner.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.over.set()
            raise
        finally:
            self._sending.release()

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream itself."""
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the stream itself."""
        await self.inner.aclose()

    async def until_over(self) -> None:
        """Until the peer has ended the connection, or it has broken."""
        await self.over.wait()

    async def _receive(self, max_bytes: int | None) -> bytes | bytearray:
        try:
            data = await self.inner.receive_some(max_bytes)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self.over.set()
            raise
        if data:
            self.heard_at = trio.current_time()
        else:
            self.over.set()
        return data

    def _follow(self, data: bytes | bytearray) -> None:
        """Keep track of where frames begin and end."""
        if self._head is not None:
            self._head += data
            _, ended, data = self._head.partition(_HEAD_ENDS)
            if not ended:
                return
            self._head = None
        self._bounds.follow(data)
