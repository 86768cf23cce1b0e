"""A link on any Trio stream, TLS or in memory: one task writes what waits in a bounded outbox.

A stream is written to by one task only, and a send is never cancelled as long as the connection
goes on being used: half a frame would be on its way.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import trio

from ..concurrency.loan import Loan
from ..domain.close_reasons import LINK_LOST, SLOW_CONSUMER, CloseReason
from .outbox import Outbox
from .websocket_link import WebSocketLink


@attrs.define(eq=False, kw_only=True)
class StreamLink(WebSocketLink):
    """A WebSocket whose bytes a ``trio.abc.Stream`` carries."""

    _stream: trio.abc.Stream
    _outbox: Outbox

    @property
    def unsent_bytes(self) -> int:
        """What waits to be sent, frame headers included."""
        return self._outbox.unsent_bytes

    async def _more(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some())
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    def _queue(self, frame: bytes) -> bool:
        if self._failure is not None:
            return False
        if self._outbox.put(frame):
            return True
        self._outbox.discard()  # a peer this far behind is told at once, not after all that
        self._fail(SLOW_CONSUMER)
        return False

    def _has_room(self, size: int) -> bool:
        return self._outbox.has_room(size)

    def _finish(self, last: bytes | None) -> None:
        self._outbox.finish(last)

    def flush(self) -> None:
        """Nothing to do: the writing task is awake already."""

    async def attend(self, loan: Loan[Any, CloseReason]) -> CloseReason:
        """Wait; what there is to be done is done by the writing task."""
        return await loan.returned()

    async def _until_sent(self) -> bool:
        return await self._outbox.until_over()

    async def _send_eof(self) -> None:
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self._stream.send_eof()

    async def write(self) -> None:
        """Send batches of frames until the outbox is finished or the stream broken."""
        try:
            while (batch := await self._outbox.take()) is not None:
                await self._stream.send_all(batch)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._fail(LINK_LOST)
        finally:
            self._outbox.no_more_sending()


@asynccontextmanager
async def writing(link: StreamLink) -> AsyncGenerator[StreamLink, None]:
    """``link``, with the task that writes for it, for as long as the block runs."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.write, name=f"writer of {link.peer}")
        async with link:
            yield link
        nursery.cancel_scope.cancel("link closed")
