"""A piece of audio on its way to many links, framed once for all of them."""

from __future__ import annotations

from typing import Final

import attrs

_BINARY: Final = 0x82
"""A whole message in one frame, binary, not masked: as the first byte (RFC 6455, 5.2)."""


@attrs.define(eq=False)
class Sound:
    """``payload`` is one binary message."""

    payload: bytes
    _encoded: bytes | None = attrs.field(default=None, init=False)

    @property
    def encoded(self) -> bytes:
        """The message as one WebSocket frame of a server; made when it is first asked for."""
        if self._encoded is None:
            self._encoded = _header(len(self.payload)) + self.payload
        return self._encoded


def _header(size: int) -> bytes:
    if size < 126:
        return bytes((_BINARY, size))
    if size < 1 << 16:
        return bytes((_BINARY, 126)) + size.to_bytes(2, "big")
    return bytes((_BINARY, 127)) + size.to_bytes(8, "big")
