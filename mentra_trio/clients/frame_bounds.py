"""Where frames begin and end in what a peer sends, in whatever pieces it arrives."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import attrs

from ..wire.frames import PONG

BARE_PONG: Final = bytes((0x80 | PONG, 0x80)) + bytes(4)
"""A client's answer to ``PING_FRAME``; a mask over nothing may be any (RFC 6455, 5.2)."""

_MASKED: Final = 0x80
_MORE_LENGTH: Final = MappingProxyType({126: 2, 127: 8})
"""By the length in the second byte: so many further bytes hold the true one."""


@attrs.define(eq=False)
class FrameBounds:
    """Follows frames by their headers. Nonsense in them is left to the parser."""

    _header: bytearray = attrs.field(factory=bytearray, init=False)
    _payload_left: int = attrs.field(default=0, init=False)

    @property
    def between_frames(self) -> bool:
        """Whether what comes next is the beginning of a frame."""
        return not (self._payload_left or self._header)

    def follow(self, data: bytes | bytearray) -> None:
        """Take note of ``data``."""
        at = 0
        while at < len(data):
            if self._payload_left:
                step = min(self._payload_left, len(data) - at)
                self._payload_left -= step
            else:
                step = self._header_size() - len(self._header)
                self._header += data[at : at + step]
                if len(self._header) == self._header_size():
                    self._begin_frame()
            at += step

    def _header_size(self) -> int:
        """Bytes of this header without the mask, as far as is known yet."""
        if len(self._header) < 2:
            return 2
        return 2 + _MORE_LENGTH.get(self._header[1] & 0x7F, 0)

    def _begin_frame(self) -> None:
        size = self._header[1] & 0x7F
        if size in _MORE_LENGTH:
            size = int.from_bytes(self._header[2:], "big")
        self._payload_left = size + (4 if self._header[1] & _MASKED else 0)
        self._header.clear()
