"""A stream that first gives back the bytes already read from it."""

from __future__ import annotations

import trio


class ReplayedStream(trio.abc.Stream):
    """``stream``, with ``prefix`` to be received once more before anything else."""

    def __init__(self, stream: trio.abc.Stream, prefix: bytes) -> None:
        self._stream = stream
        self._prefix = prefix

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Bytes of the prefix while there are any, then those of the stream."""
        if not self._prefix:
            return await self._stream.receive_some(max_bytes)
        await trio.lowlevel.checkpoint()
        size = len(self._prefix) if max_bytes is None else max_bytes
        piece, self._prefix = self._prefix[:size], self._prefix[size:]
        return piece

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream itself."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream itself."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the stream itself."""
        await self._stream.aclose()
