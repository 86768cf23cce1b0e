"""WebSocket frames as a server sees them: a client's are parsed, ours are written.

No socket and no event loop: bytes in, messages out. A client's frames are masked, ours never
are, and no extension is ever agreed on. Source: RFC 6455, sections 5 to 8.
"""

from __future__ import annotations

import codecs
from typing import Final

import attrs

from ..domain.close_reasons import NOT_UTF8, PROTOCOL_ERROR, TOO_BIG, CloseReason
from .masking import KEY_BYTES, unmask

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FRAGMENTS_MAX: Final = 1_024
FRAGMENT_BYTES: Final = 64
"""In ``FRAGMENTS_MAX`` frames may a message come, and in one more for each so many bytes of it:
small and empty frames cost more than the bytes that a message is limited by."""

_FIN: Final = 0x80
_MASKED: Final = 0x80
_RESERVED: Final = 0x70
_SMALL_MAX: Final = 125
"""The longest payload whose length is in the second byte; no control frame has a longer one."""
_LENGTH_16: Final = 126
_LENGTH_64: Final = 127
_WHOLE_TEXT: Final = _FIN | TEXT
_WHOLE: Final = (_WHOLE_TEXT, _FIN | BINARY)
_KNOWN: Final = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_NOT_SIMPLE: Final = 1 << 64
"""In the place of a length: a frame that the quick way does not take."""
_REASON_BYTES_MAX: Final = 123

_NEVER_SENT: Final = frozenset({1005, 1006, 1015})  # RFC 6455, 7.4.1
_NO_CODE: Final = CloseReason(1005, "")

_SMALL_HEADERS: Final = tuple(
    tuple(bytes((_FIN | opcode, size)) for size in range(_SMALL_MAX + 1))
    for opcode in range(PONG + 1)
)

_Utf8Decoder: Final = codecs.getincrementaldecoder("utf-8")


def header(opcode: int, size: int) -> bytes:
    """What comes before a payload of ``size`` bytes that is sent as one whole frame."""
    if size <= _SMALL_MAX:
        return _SMALL_HEADERS[opcode][size]
    if size < 1 << 16:
        return bytes((_FIN | opcode, _LENGTH_16, size >> 8, size & 0xFF))
    return bytes((_FIN | opcode, _LENGTH_64)) + size.to_bytes(8, "big")


_TEXT_HEADERS: Final = tuple(header(TEXT, size) for size in range(4_096))
"""Of texts of the usual sizes."""


def text_header(size: int) -> bytes:
    """As ``header``, of a text: what is made most often."""
    return _TEXT_HEADERS[size] if size < len(_TEXT_HEADERS) else header(TEXT, size)


def payload_of(frame: bytes) -> bytes:
    """What ``header`` was put before."""
    size = frame[1]
    return frame[2 + {_LENGTH_16: 2, _LENGTH_64: 8}.get(size, 0) :]


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One whole, unmasked frame."""
    return header(opcode, len(payload)) + payload


def encode_message(message: str | bytes) -> bytes:
    """A message as one frame: text for ``str``, binary for ``bytes``."""
    if isinstance(message, str):
        # A lone surrogate (JSON may escape one) has no UTF-8; a mark takes its place.
        message, opcode = message.encode("utf-8", "replace"), TEXT
    else:
        opcode = BINARY
    return header(opcode, len(message)) + message


def encode_close(reason: CloseReason) -> bytes | None:
    """The close frame for ``reason``; ``None`` for codes that must not appear on the wire."""
    if reason.code in _NEVER_SENT:
        return None
    text = reason.text.encode()[:_REASON_BYTES_MAX].decode(errors="ignore").encode()
    return encode_frame(CLOSE, reason.code.to_bytes(2, "big") + text)


PING_FRAME: Final = encode_frame(PING, b"")


@attrs.define(eq=False)
class Sound:
    """A binary message for many links; it is made a frame once for all of them."""

    payload: bytes = attrs.field(repr=False)
    _encoded: bytes | None = attrs.field(default=None, init=False, repr=False)

    @property
    def encoded(self) -> bytes:
        """The whole frame."""
        if self._encoded is None:
            self._encoded = header(BINARY, len(self.payload)) + self.payload
        return self._encoded


def _may_be_sent(code: int) -> bool:
    """Whether a peer may give ``code`` in its close frame (RFC 6455, 7.4, and IANA's list)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


@attrs.define(eq=False)
class _Fragments:
    """A message of which not every frame is there yet."""

    decoder: codecs.IncrementalDecoder | None
    """Of a text; ``None`` where the message is binary."""
    size: int = attrs.field(default=0, init=False)
    _frames: int = attrs.field(default=0, init=False)
    _texts: list[str] = attrs.field(factory=list, init=False)
    _bytes: bytearray = attrs.field(factory=bytearray, init=False)

    @property
    def too_many(self) -> bool:
        """Whether there may be no further frame."""
        return self._frames >= FRAGMENTS_MAX + self.size // FRAGMENT_BYTES

    def add(self, payload: bytes, final: bool) -> None:
        """Take one more frame. Raises ``UnicodeDecodeError`` as soon as the text cannot be one."""
        self._frames += 1
        self.size += len(payload)
        if self.decoder is None:
            self._bytes += payload
        else:
            self._texts.append(self.decoder.decode(payload, final))

    def joined(self) -> str | bytes:
        """The whole message."""
        return bytes(self._bytes) if self.decoder is None else "".join(self._texts)


@attrs.define(eq=False)
class FrameReader:
    """Parses what one client sends, in whatever pieces it arrives.

    ``first_max`` bounds the first message, ``message_max`` every later one, both in bytes of
    payload over all its frames; see ``FRAGMENTS_MAX`` for the frames of one message.
    """

    first_max: int
    message_max: int
    pings: list[bytes] = attrs.field(factory=list, init=False, repr=False)
    """Payloads of pings that are to be answered. The caller empties it."""
    close: CloseReason | None = attrs.field(default=None, init=False)
    """What the peer's close frame said, 1005 where that was nothing. Nothing follows it."""
    failure: CloseReason | None = attrs.field(default=None, init=False)
    """Why the peer cannot be listened to: 1002, 1007 or 1009. Nothing after it is parsed."""
    _held: bytearray | None = attrs.field(default=None, init=False, repr=False)
    """What was fed and not yet parsed: the beginning of a frame, or frames left for later."""
    _wanted: int = attrs.field(default=0, init=False)
    """Parsing goes on once so many bytes are held."""
    _limit: int = attrs.field(init=False)
    """How many bytes the message that is being read may have."""
    _fragments: _Fragments | None = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._limit = self.first_max

    @property
    def attention(self) -> bool:
        """Whether there are ``pings``, a ``close`` or a ``failure``."""
        return bool(self.pings) or self.close is not None or self.failure is not None

    @property
    def over(self) -> bool:
        """Whether nothing is parsed any more: the peer closed, or it failed."""
        return self.close is not None or self.failure is not None

    @property
    def has_more(self) -> bool:
        """Whether frames were left for later because there were too many: feed ``b""``."""
        return self._held is not None and len(self._held) >= self._wanted

    def feed(self, data: bytes, frames_max: int) -> list[str | bytes]:
        """The messages that ``data`` completes: text as ``str``, binary as ``bytes``.

        At most ``frames_max`` frames are parsed, of whatever kind; the rest is kept, see
        ``has_more``. Look at ``attention`` afterwards: the messages came before a ``close`` or
        a ``failure``. Nothing that a client can send raises.
        """
        messages: list[str | bytes] = []
        if self.close is not None or self.failure is not None:
            return messages
        held = self._held
        source: bytes | bytearray = data
        if held is not None:
            held += data
            if len(held) < self._wanted:
                return messages
            source = held
        try:
            at = self._parse(source, frames_max, messages)
        except UnicodeDecodeError:
            self.failure = NOT_UTF8
        if self.close is not None or self.failure is not None:
            self._held = self._fragments = None
        elif at == len(source):
            self._held = None
        elif held is not None:
            del held[:at]
        else:
            self._held = bytearray(memoryview(data)[at:])
        return messages

    def _parse(self, data: bytes | bytearray, frames_max: int, messages: list[str | bytes]) -> int:
        """Take frames from the start of ``data``; where the first that was not taken begins."""
        at, end = 0, len(data)
        room = -1 if self._fragments else self._limit
        for _ in range(frames_max):
            if end - at >= 8:  # whole messages first: nearly all frames are; tiny ones can wait
                first, size, body = data[at], data[at + 1] ^ _MASKED, at + 6
                if size > _SMALL_MAX:
                    long = data[at + 2] << 8 | data[at + 3]
                    size = long if size == _LENGTH_16 and long > _SMALL_MAX else _NOT_SIMPLE
                    body = at + 8
                stop = body + size
                if stop <= end and size <= room and first in _WHOLE:
                    payload = unmask(data[body:stop], data[body - KEY_BYTES : body])
                    messages.append(payload.decode() if first == _WHOLE_TEXT else payload)
                    self._limit = room = self.message_max
                    at = stop
                    continue
            if at == end or (after := self._take_frame(data, at, messages)) == at:
                break
            at = after
            room = -1 if self._fragments else self._limit
        else:
            self._wanted = 0
        return at

    def _take_frame(self, data: bytes | bytearray, at: int, messages: list[str | bytes]) -> int:
        """Take the frame of any kind that begins at ``at``, and return where it ends.

        Returns ``at`` if it is not all there, or if nothing more is to be parsed.
        """
        body, size = self._read_header(data, at)
        stop = body + size
        if self.failure is not None or len(data) - at < self._wanted:
            return at
        payload = unmask(data[body:stop], data[body - KEY_BYTES : body])
        opcode = data[at] & 0x0F
        if opcode >= CLOSE:
            self._take_control(opcode, payload)
        else:
            self._take_data(opcode, payload, data[at] >= _FIN, messages)
        return at if self.over else stop

    def _read_header(self, data: bytes | bytearray, at: int) -> tuple[int, int]:
        """Where the payload begins and its size, as far as the header is there.

        Says in ``_wanted`` how many bytes are needed to go on, and in ``failure`` what is wrong.
        """
        there = len(data) - at
        self._wanted = 2
        if there < 2:
            return at, 0
        first, size = data[at], data[at + 1] ^ _MASKED
        if self._is_nonsense(first, size):
            self.failure = PROTOCOL_ERROR
            return at, 0
        body = at + 2 + KEY_BYTES
        if size > _SMALL_MAX:
            width, least = (2, _LENGTH_16) if size == _LENGTH_16 else (8, 1 << 16)
            self._wanted = 2 + width
            if there < 2 + width:
                return at, 0
            body += width
            size = int.from_bytes(data[at + 2 : at + 2 + width], "big")
            if size < least or size >> 63:
                self.failure = PROTOCOL_ERROR
        if first & 0x0F < CLOSE and not self.failure and self._is_too_much(size):
            self.failure = TOO_BIG
        self._wanted = body + size - at
        return body, size

    def _is_nonsense(self, first: int, size: int) -> bool:
        """Whether no client may begin a frame with these two bytes (5.2, 5.4, 5.5)."""
        opcode = first & 0x0F
        if first & _RESERVED or opcode not in _KNOWN or size >= _MASKED:
            return True
        if opcode >= CLOSE:
            return first < _FIN or size > _SMALL_MAX
        return (opcode == CONTINUATION) != (self._fragments is not None)

    def _is_too_much(self, size: int) -> bool:
        """Whether a frame of ``size`` bytes makes the message too big, or of too many frames."""
        if self._fragments is None:
            return size > self._limit
        return self._fragments.too_many or self._fragments.size + size > self._limit

    def _take_data(
        self, opcode: int, payload: bytes, final: bool, messages: list[str | bytes]
    ) -> None:
        fragments = self._fragments
        if final and fragments is None:
            messages.append(payload.decode() if opcode == TEXT else payload)
            self._limit = self.message_max
            return
        if fragments is None:
            fragments = self._fragments = _Fragments(_Utf8Decoder() if opcode == TEXT else None)
        fragments.add(payload, final)
        if final:
            messages.append(fragments.joined())
            self._fragments, self._limit = None, self.message_max

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.pings.append(payload)
        elif opcode == CLOSE:
            if not payload:
                self.close = _NO_CODE
            elif not _may_be_sent(code := int.from_bytes(payload[:2], "big")):  # nor half a code
                self.failure = PROTOCOL_ERROR
            else:
                self.close = CloseReason(code, payload[2:].decode())
