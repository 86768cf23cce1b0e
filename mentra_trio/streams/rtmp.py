"""RTMP as a receiver of one published stream speaks it: bytes in, events and bytes out.

No I/O and no clock. It knows what publishers do (connect, publish, send) and nothing of players;
what it need not know of their messages it skips.

Source: Adobe, "Real-Time Messaging Protocol (RTMP) specification", 2012.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import attrs

from . import amf, flv
from .amf import AmfError

VERSION: Final = 3
SIGNATURE_BYTES: Final = 1_536
COMMAND_BYTES_MAX: Final = 16_384
"""Until somebody may publish, a message is at most so long."""
MESSAGE_BYTES_MAX: Final = 4_194_304
"""Afterwards: a key frame of a camera is far smaller."""
UNFINISHED_BYTES_MAX: Final = 16_777_216
"""Of all messages that are not whole yet, together."""
STRANGER_BYTES_MAX: Final = 65_536
"""All that somebody may say who may not publish yet."""
CHUNK_BYTES_MAX: Final = 1_048_576
CHUNK_STREAMS_MAX: Final = 64
OUR_CHUNK_BYTES: Final = 4_096
WINDOW_BYTES: Final = 2_500_000

_SET_CHUNK_SIZE, _ACKNOWLEDGEMENT, _WINDOW, _BANDWIDTH = 1, 3, 5, 6
_DATA_3, _COMMAND_3, _COMMAND = 15, 17, 20
_HEADER_BYTES: Final = (11, 7, 3, 0)
_EXTENDED: Final = 0xFFFFFF
_SET_DATA_FRAME: Final = amf.encode("@setDataFrame")


class RtmpError(Exception):
    """The peer does not speak RTMP, or more of it than is allowed. Nothing of it is repeated."""


@attrs.frozen
class PublishAsked:
    """The peer wants to publish under ``key``: to be answered by ``accept`` or ``refuse``."""

    key: str = attrs.field(repr=False)


@attrs.frozen
class Media:
    """A piece of the published stream, as an FLV tag."""

    tag: bytes = attrs.field(repr=False)


@attrs.frozen
class Unpublished:
    """The peer ends its stream in order."""


Event: TypeAlias = PublishAsked | Media | Unpublished


@attrs.define
class _ChunkStream:
    """Where messages of one chunk stream come together."""

    field: int = 0  # the timestamp, or what is added to it, as it stood in the header
    timestamp: int = 0
    length: int = 0
    kind: int = 0
    body: bytearray = attrs.field(factory=bytearray)


@attrs.frozen(kw_only=True)
class _Head:
    """The header of one chunk, which takes ``size`` bytes."""

    form: int
    stream: int
    size: int
    field: int
    length: int
    kind: int


@attrs.define(eq=False)
class RtmpReceiver:
    """One connection of a publisher. Give it what comes with ``receive``, and send what it has
    to say from ``to_send`` after each call of any method."""

    publishing: bool = attrs.field(default=False, init=False)
    _buffer: bytearray = attrs.field(factory=bytearray, init=False)
    _out: bytearray = attrs.field(factory=bytearray, init=False)
    _greeted: int = attrs.field(default=0, init=False)  # steps of the handshake that are done
    _chunk_bytes: int = attrs.field(default=128, init=False)
    _streams: dict[int, _ChunkStream] = attrs.field(factory=dict, init=False)
    _unacknowledged: int = attrs.field(default=0, init=False)
    _received: int = attrs.field(default=0, init=False)

    def receive(self, data: bytes) -> list[Event]:
        """What ``data`` completes.

        Raises:
            RtmpError: this connection is of no use any more.
        """
        self._buffer += data
        self._acknowledge(len(data))
        if not self.publishing and self._received > STRANGER_BYTES_MAX:
            raise RtmpError("too much before it wants to publish")
        events: list[Event] = []
        if self._shake_hands():
            for stream in self._whole_messages():
                events += self._act(stream)
        return events

    def to_send(self) -> bytes:
        """What the peer is to get now; once."""
        out, self._out = bytes(self._out), bytearray()
        return out

    def accept(self) -> None:
        """The peer may publish."""
        self.publishing = True
        self._say_status("status", "NetStream.Publish.Start", "go on")

    def refuse(self) -> None:
        """It may not."""
        self._say_status("error", "NetStream.Publish.BadName", "no such stream is expected")

    # -- handshake (5.2) ------------------------------------------------------------

    def _shake_hands(self) -> bool:
        """Proceed with the handshake; whether it is done."""
        if self._greeted == 0 and len(self._buffer) >= 1 + SIGNATURE_BYTES:
            if self._buffer[0] != VERSION:
                raise RtmpError("not RTMP version 3")
            theirs = bytes(self._buffer[1 : 1 + SIGNATURE_BYTES])
            self._out += bytes([VERSION]) + bytes(SIGNATURE_BYTES) + theirs
            del self._buffer[: 1 + SIGNATURE_BYTES]
            self._greeted = 1
        if self._greeted == 1 and len(self._buffer) >= SIGNATURE_BYTES:
            del self._buffer[:SIGNATURE_BYTES]
            self._greeted = 2
        return self._greeted > 1

    def _acknowledge(self, count: int) -> None:
        """Count what came, and tell the peer from time to time (5.4.3)."""
        self._received += count
        self._unacknowledged += count
        if self._greeted > 1 and self._unacknowledged >= WINDOW_BYTES // 2:
            self._unacknowledged = 0
            self._say(_ACKNOWLEDGEMENT, (self._received & 0xFFFFFFFF).to_bytes(4, "big"))

    # -- chunks (5.3) ---------------------------------------------------------------

    def _whole_messages(self) -> Iterator[_ChunkStream]:
        """Chunk streams whose message has just become whole."""
        while (head := self._head()) is not None:
            stream = self._streams.get(head.stream, _ChunkStream())
            fresh = head.form < 3 or not stream.body
            rest = head.length - (0 if fresh else len(stream.body))
            piece = min(rest, self._chunk_bytes)
            if len(self._buffer) < head.size + piece:
                return
            if fresh:
                self._begin(stream, head)
            self._streams[head.stream] = stream
            stream.body += self._buffer[head.size : head.size + piece]
            del self._buffer[: head.size + piece]
            if len(stream.body) == stream.length:
                yield stream
                stream.body = bytearray()

    def _begin(self, stream: _ChunkStream, head: _Head) -> None:
        stream.field, stream.length, stream.kind = head.field, head.length, head.kind
        before = 0 if head.form == 0 else stream.timestamp
        stream.timestamp = (before + head.field) & 0xFFFFFFFF
        stream.body = bytearray()
        unfinished = sum(len(one.body) for one in self._streams.values())
        if unfinished + stream.length > UNFINISHED_BYTES_MAX:
            raise RtmpError("too many messages at the same time")

    def _head(self) -> _Head | None:
        """The header of the next chunk, without taking it; ``None`` while it is not there."""
        data = self._buffer
        if not data:
            return None
        form, stream, at = data[0] >> 6, data[0] & 0x3F, 1
        if stream < 2:  # the number stands in one or two more bytes
            at = 2 + stream
            if len(data) < at:
                return None
            stream = int.from_bytes(data[1:at], "little") + 64
        fixed = _HEADER_BYTES[form]
        if len(data) < at + fixed:
            return None
        before = self._before(form, stream)
        field, length, kind = before.field, before.length, before.kind
        if form < 3:
            field = int.from_bytes(data[at : at + 3], "big")
        if form < 2:
            length, kind = int.from_bytes(data[at + 3 : at + 6], "big"), data[at + 6]
        at += fixed
        if field >= _EXTENDED:
            if len(data) < at + 4:
                return None
            field, at = max(int.from_bytes(data[at : at + 4], "big"), _EXTENDED), at + 4
        if length > (MESSAGE_BYTES_MAX if self.publishing else COMMAND_BYTES_MAX):
            raise RtmpError("too long a message")
        return _Head(form=form, stream=stream, size=at, field=field, length=length, kind=kind)

    def _before(self, form: int, stream: int) -> _ChunkStream:
        """What a header of that form leaves out, it has from the one before."""
        found = self._streams.get(stream)
        if found is None and form > 0:
            raise RtmpError("a chunk that continues nothing")
        if found is None and len(self._streams) >= CHUNK_STREAMS_MAX:
            raise RtmpError("too many chunk streams")
        return found or _ChunkStream()

    # -- messages (5.4, 6, 7) -------------------------------------------------------

    def _act(self, stream: _ChunkStream) -> list[Event]:
        body = bytes(stream.body)
        match stream.kind:
            case 1:  # Set Chunk Size
                size = int.from_bytes(body[:4], "big")
                if not 1 <= size <= CHUNK_BYTES_MAX:
                    raise RtmpError("an impossible chunk size")
                self._chunk_bytes = size
            case 2:  # Abort
                aborted = self._streams.get(int.from_bytes(body[:4], "big"))
                if aborted is not None:
                    aborted.body = bytearray()
            case 8 | 9 if self.publishing and body:
                return [Media(flv.tag(stream.kind, stream.timestamp, body))]
            case 15 | 18 if self.publishing:
                data = body[1:] if stream.kind == _DATA_3 else body
                data = data.removeprefix(_SET_DATA_FRAME)
                return [Media(flv.tag(flv.SCRIPT, stream.timestamp, data))]
            case 17 | 20:
                return self._command(body[1:] if stream.kind == _COMMAND_3 else body)
        return []

    def _command(self, body: bytes) -> list[Event]:
        try:
            values = amf.decode(body)
        except AmfError:
            raise RtmpError("a command that cannot be read") from None
        name, number = (*values, None, None)[:2]
        match name:
            case "connect":
                self._greet(number)
            case "createStream":
                self._say(_COMMAND, amf.encode("_result", number, None, 1))
            case "publish" if not self.publishing:
                key = values[3] if len(values) > 3 else None
                if isinstance(key, str):
                    return [PublishAsked(key.partition("?")[0])]
            case "FCUnpublish" | "closeStream" | "deleteStream" if self.publishing:
                return [Unpublished()]
        return []

    def _greet(self, number: Any) -> None:
        self._say(_WINDOW, WINDOW_BYTES.to_bytes(4, "big"))
        self._say(_BANDWIDTH, WINDOW_BYTES.to_bytes(4, "big") + b"\2")
        self._say(_SET_CHUNK_SIZE, OUR_CHUNK_BYTES.to_bytes(4, "big"))
        properties = {"fmsVer": "FMS/3,0,1,123", "capabilities": 31}
        information = {
            "level": "status",
            "code": "NetConnection.Connect.Success",
            "description": "welcome",
            "objectEncoding": 0,
        }
        self._say(_COMMAND, amf.encode("_result", number, properties, information))

    def _say_status(self, level: str, code: str, description: str) -> None:
        information = {"level": level, "code": code, "description": description}
        self._say(_COMMAND, amf.encode("onStatus", 0, None, information), stream=1)

    def _say(self, kind: int, body: bytes, *, stream: int = 0) -> None:
        """Queue a message; ours are shorter than the smallest chunk that peers expect of us,
        or come after ``OUR_CHUNK_BYTES`` was said."""
        chunk = 3 if kind == _COMMAND else 2
        head = bytes([chunk]) + bytes(3) + len(body).to_bytes(3, "big") + bytes([kind])
        self._out += head + stream.to_bytes(4, "little") + body
