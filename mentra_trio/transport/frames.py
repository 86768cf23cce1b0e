"""WebSocket frames as a server sees them: how ours are written, and how big a peer's are.

Ours are never masked, never fragmented and never compressed, so writing one is a header of two
to ten bytes. What a peer sends is parsed by the WebSocket library; here only lengths are read,
so that a message is refused by its header, before its payload is stored. Source: RFC 6455, 5.2.
"""

from __future__ import annotations

from typing import Final

import attrs

from ..domain.close_reasons import CloseReason

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_FIN: Final = 0x80
_MASKED: Final = 0x80
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_REASON_BYTES_MAX: Final = 123
FRAGMENTS_MAX: Final = 1_024
"""In so many frames may a message come: empty ones have no bytes to be limited by."""

_NEVER_SENT: Final = frozenset({1005, 1006, 1015})  # RFC 6455, 7.4.1


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One whole, unmasked frame."""
    size = len(payload)
    if size < _LENGTH_16:
        return bytes((_FIN | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((_FIN | opcode, _LENGTH_16)) + size.to_bytes(2, "big") + payload
    return bytes((_FIN | opcode, _LENGTH_64)) + size.to_bytes(8, "big") + payload


def encode_message(message: str | bytes) -> bytes:
    """A message as one frame: text for ``str``, binary for ``bytes``."""
    if isinstance(message, str):
        # A lone surrogate (JSON may escape one) has no UTF-8; a mark takes its place.
        return encode_frame(TEXT, message.encode("utf-8", "replace"))
    return encode_frame(BINARY, message)


def encode_close(reason: CloseReason) -> bytes | None:
    """The close frame for ``reason``; ``None`` for codes that must not appear on the wire."""
    if reason.code in _NEVER_SENT:
        return None
    text = reason.text.encode()[:_REASON_BYTES_MAX].decode(errors="ignore").encode()
    return encode_frame(CLOSE, reason.code.to_bytes(2, "big") + text)


PING_FRAME: Final = encode_frame(PING, b"")

_BARE_PONG: Final = bytes((_FIN | PONG, _MASKED))
_BARE_PONG_SIZE: Final = 6  # the header, and a mask for nothing
BARE_PONG: Final = _BARE_PONG + bytes(_BARE_PONG_SIZE - len(_BARE_PONG))
"""A client's answer to ``PING_FRAME``; a mask over nothing may be any."""


def is_bare_pong(data: bytes | bytearray) -> bool:
    """Whether ``data`` is one whole pong of a client, with no payload. Only between frames."""
    return len(data) == _BARE_PONG_SIZE and data.startswith(_BARE_PONG)


@attrs.define(eq=False)
class FrameScanner:
    """Follows a peer's frames by their headers, in whatever pieces they arrive.

    ``first_max`` bounds the first message, ``message_max`` every later one, both in bytes; and
    no message has more than ``FRAGMENTS_MAX`` frames. Nonsense in the headers is left to the
    parser behind us; only lengths and the presence of a close frame are of interest here.
    """

    first_max: int
    message_max: int
    close_seen: bool = attrs.field(default=False, init=False)
    """Whether the peer sent a close frame."""
    too_big: bool = attrs.field(default=False, init=False)
    """Whether the peer began a frame that makes its message too big."""
    _header: bytearray = attrs.field(factory=bytearray, init=False)
    _payload_left: int = attrs.field(default=0, init=False)
    _message_bytes: int = attrs.field(default=0, init=False)
    _message_frames: int = attrs.field(default=0, init=False)
    _first: bool = attrs.field(default=True, init=False)

    @property
    def between_frames(self) -> bool:
        """Whether what comes next is the beginning of a frame."""
        return not (self._payload_left or self._header or self.too_big)

    def admit(self, data: bytes | bytearray, start: int, frames_max: int) -> int:
        """Take note of ``data`` from ``start`` on, and of at most ``frames_max`` frames in it.

        Returns:
            Up to where it may be passed on: its end; or the end of so many frames; or the
            beginning of the one that is ``too_big``, after which nothing may be passed on.
        """
        at, frames = start, 0
        while at < len(data) and frames < frames_max:
            before = at
            if not self._payload_left:
                at = self._fill_header(data, at)
                if len(self._header) < self._header_size():
                    break
                if not self._begin_frame():
                    self.too_big = True
                    return before
            step = min(self._payload_left, len(data) - at)
            self._payload_left -= step
            at += step
            frames += not self._payload_left
        return at

    def _fill_header(self, data: bytes | bytearray, at: int) -> int:
        """Move bytes from ``data`` until the header is whole or ``data`` is used up."""
        while at < len(data) and len(self._header) < self._header_size():
            step = self._header_size() - len(self._header)
            self._header += data[at : at + step]
            at = min(at + step, len(data))
        return at

    def _header_size(self) -> int:
        """Bytes of this header without the mask, as far as is known yet."""
        if len(self._header) < 2:
            return 2
        return 2 + {_LENGTH_16: 2, _LENGTH_64: 8}.get(self._header[1] & 0x7F, 0)

    def _begin_frame(self) -> bool:
        """Use the whole header; ``False`` if its message becomes too big."""
        first, second = self._header[0], self._header[1]
        length = second & 0x7F
        if length >= _LENGTH_16:
            length = int.from_bytes(self._header[2:], "big")
        self._header.clear()
        self._payload_left = length + (4 if second & _MASKED else 0)
        opcode = first & 0x0F
        if opcode >= CLOSE:
            self.close_seen = self.close_seen or opcode == CLOSE
            return True
        self._message_bytes += length
        self._message_frames += 1
        if self._message_bytes > (self.first_max if self._first else self.message_max):
            return False
        if self._message_frames > FRAGMENTS_MAX:
            return False
        if first & _FIN:
            self._message_bytes = self._message_frames = 0
            self._first = False
        return True
