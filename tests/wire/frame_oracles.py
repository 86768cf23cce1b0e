"""Two other implementations of WebSocket frames, to be asked what a stream means.

wsproto and ``websockets`` without their handshakes, each as the server that reads a client, and
as the client that reads a server. Where either may depart from us is said by ``departures``.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from itertools import cycle
from operator import xor
from typing import Final

import attrs
from websockets.frames import Frame, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol
from wsproto.frame_protocol import FrameProtocol, ParseFailed
from wsproto.frame_protocol import Opcode as WsprotoOpcode

from mentra_trio.wire.frames import FrameReader

NO_LIMIT: Final = 1 << 62
PADDING: Final = bytes(70_000)
"""Ends any frame with a length of at most 16 bits: an oracle may look into a frame only when it
is whole, where we refuse it by its header, or the other way round."""


@attrs.define
class Verdict:
    """What a stream was taken for, up to its end or to where nothing more was parsed."""

    messages: list[str | bytes] = attrs.field(factory=list)
    pings: list[bytes] = attrs.field(factory=list)
    close: tuple[int, str] | None = None
    failure: int | None = None

    @property
    def decided(self) -> bool:
        """Whether nothing that may follow changes it."""
        return self.close is not None or self.failure is not None


def our_verdict(
    pieces: list[bytes],
    *,
    frames_max: int = 1_000_000,
    first_max: int = NO_LIMIT,
    message_max: int = NO_LIMIT,
) -> Verdict:
    """What ``FrameReader`` says of a stream that arrives in ``pieces``."""
    reader, verdict = FrameReader(first_max, message_max), Verdict()
    for piece in pieces:
        verdict.messages += reader.feed(piece, frames_max)
        while reader.has_more:
            assert not reader.over, "it goes on after the end"
            verdict.messages += reader.feed(b"", frames_max)
    verdict.pings = reader.pings
    if reader.close is not None:
        verdict.close = (reader.close.code, reader.close.text)
    if reader.failure is not None:
        verdict.failure = reader.failure.code
    assert reader.attention == bool(verdict.pings or verdict.decided)
    return verdict


def wsproto_verdict(data: bytes, *, client: bool = False) -> Verdict:
    """What wsproto says of it. It hands out pieces of messages: they are joined."""
    protocol, verdict, pieces = FrameProtocol(client, []), Verdict(), list[str | bytes]()
    protocol.receive_bytes(data)
    try:
        for frame in protocol.received_frames():
            payload = frame.payload
            if isinstance(payload, tuple):
                verdict.close = (int(payload[0]), payload[1])
            elif frame.opcode is WsprotoOpcode.PING:
                assert isinstance(payload, bytes)
                verdict.pings.append(payload)
            elif not frame.opcode.iscontrol():
                pieces.append(payload)
                if frame.message_finished:
                    verdict.messages.append(type(payload)().join(pieces))  # type: ignore[arg-type]
                    pieces.clear()
    except ParseFailed as failed:
        verdict.failure = int(failed.code)
    return verdict


def websockets_verdict(
    data: bytes, *, client: bool = False, message_max: int | None = None
) -> Verdict:
    """What ``websockets`` says of it. Its text is bytes at this level: it is decoded here."""
    protocol = Protocol(CLIENT if client else SERVER, state=OPEN, max_size=message_max)
    protocol.receive_data(data)
    verdict, pieces, decoder = Verdict(), list[str | bytes](), None
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        payload = bytes(event.data)
        if event.opcode is Opcode.PING:
            verdict.pings.append(payload)
        elif event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            if event.opcode is not Opcode.CONT:
                text = event.opcode is Opcode.TEXT
                decoder = codecs.getincrementaldecoder("utf-8")() if text else None
            try:
                pieces.append(decoder.decode(payload, event.fin) if decoder else payload)
            except UnicodeDecodeError:
                verdict.failure = 1007
                return verdict
            if event.fin:
                verdict.messages.append(type(pieces[0])().join(pieces))  # type: ignore[arg-type]
                pieces.clear()
    if protocol.parser_exc is not None:
        assert protocol.close_sent is not None, "it failed, and said nothing"
        verdict.failure = protocol.close_sent.code
    elif protocol.close_rcvd is not None:
        verdict.close = (protocol.close_rcvd.code, protocol.close_rcvd.reason)
    return verdict


def decided(data: bytes, oracle: Callable[[bytes], Verdict]) -> tuple[Verdict, Verdict]:
    """What we say of a stream and what ``oracle`` does, both given enough bytes to decide."""
    ours, theirs = our_verdict([data]), oracle(data)
    if theirs.decided and not ours.decided:
        ours = our_verdict([data, PADDING])
    elif ours.decided and not theirs.decided:
        theirs = oracle(data + PADDING)
    return ours, theirs


def departures(data: bytes) -> Iterator[tuple[str, str]]:
    """Which oracle may decide otherwise than we do, and why that is right.

    The frames are walked by their headers, whatever is in them.
    """
    at, inside = 0, False
    while len(data) - at >= 2:
        opcode, length, body = data[at] & 0x0F, data[at + 1] & 0x7F, at + 6
        if length >= 126:
            width = 2 if length == 126 else 8
            length, body = int.from_bytes(data[at + 2 : at + 2 + width], "big"), body + width
            if length < (126 if width == 2 else 1 << 16) or length >> 63:
                yield "websockets", "takes lengths that are not the shortest ones (5.2)"
        if body + length > len(data) + len(PADDING):
            yield "websockets", "looks at a frame when it is whole, which this never is"
            yield "wsproto", "looks at pieces of a frame; we do when it is whole"
        if opcode == 8:
            key, masked = data[body - 4 : body], data[body : body + length]
            yield from _departures_in_close(bytes(map(xor, masked, cycle(key))))
            if inside:
                yield "websockets", "refuses a close between fragments, where it may be (5.4)"
        if opcode in (0, 1, 2):
            inside = data[at] < 0x80
        at = body + length


def _departures_in_close(payload: bytes) -> Iterator[tuple[str, str]]:
    if payload[:2] == (1014).to_bytes(2, "big"):
        yield "wsproto", "does not know a code that is registered (7.4.2, IANA)"
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        yield "websockets", "says 1007 where both code and text are wrong"
