"""Streams of frames as a client may send them, well or badly formed."""

from __future__ import annotations

from itertools import cycle, pairwise
from operator import xor

import attrs
from hypothesis import strategies as st
from websockets.protocol import CLIENT, OPEN, Protocol
from wsproto.frame_protocol import FrameProtocol


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    key: bytes | None = b"\x37\xfa\x21\x3d",
    length_bytes: int | None = None,
    claims: int | None = None,
) -> bytes:
    """One frame; without a ``key`` it is not masked.

    ``length_bytes`` is where the length stands, 0, 2 or 8 bytes behind the second one: by
    default as few as will do. ``claims`` is a length other than the payload's.
    """
    size = len(payload) if claims is None else claims
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65_536 else 8
    short = {0: size, 2: 126, 8: 127}[length_bytes]
    head = bytes((fin << 7 | reserved << 4 | opcode, (key is not None) << 7 | short))
    head += size.to_bytes(length_bytes, "big") if length_bytes else b""
    if key is None:
        return head + payload
    return head + key + bytes(map(xor, payload, cycle(key)))


def close_payload(code: int, text: bytes = b"") -> bytes:
    """What a close frame has in it."""
    return code.to_bytes(2, "big") + text


def spans(size: int, places: list[int]) -> list[tuple[int, int]]:
    """Where the pieces begin and end of what is cut at ``places`` (modulo its size)."""
    return list(pairwise([0, *sorted({size, *(place % (size + 1) for place in places)})]))


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    """``whole`` in pieces; at least one."""
    return [whole[start:end] for start, end in spans(len(whole), places)]


cuts = st.lists(st.integers(min_value=0, max_value=1 << 20), max_size=12)
texts = st.text(max_size=40) | st.sampled_from(["", "a" * 125, "é" * 63, "x" * 126, "漢😀" * 700])
binaries = st.binary(max_size=150) | st.sampled_from(
    [b"\0" * 126, b"\xff" * 4_096, bytes(range(256)) * 17, b"y" * 65_535, b"z" * 65_536]
)
close_codes = st.sampled_from([1000, 1001, 1002, 1003, 1007, 1008, 1011, 1012, 1013, 3000, 4999])


@attrs.frozen
class Sent:
    """A message, where it is cut into fragments, and what comes before each of them."""

    message: str | bytes
    places: list[int]
    controls: list[tuple[str, bytes]]
    """Pings and pongs; one of them goes before each fragment, as far as they reach."""

    @property
    def pings(self) -> list[bytes]:
        """The payloads of the pings that are sent."""
        sent = self.controls[: len(cut(self.message_bytes, self.places))]
        return [payload for kind, payload in sent if kind == "ping"]

    @property
    def message_bytes(self) -> bytes:
        """The payload of all fragments together."""
        return self.message.encode() if isinstance(self.message, str) else self.message


def made_by_wsproto(messages: list[Sent], close: tuple[int, str] | None) -> bytes:
    """The stream that wsproto's client makes of it; it cuts text between characters only."""
    client, out = FrameProtocol(True, []), bytearray()
    for one in messages:
        fragments = spans(len(one.message), one.places)
        for number, (start, end) in enumerate(fragments):
            for kind, payload in one.controls[number : number + 1]:
                out += client.ping(payload) if kind == "ping" else client.pong(payload)
            out += client.send_data(one.message[start:end], fin=number == len(fragments) - 1)
    if close is not None:
        out += client.close(*close)
    return bytes(out)


def made_by_websockets(messages: list[Sent], close: tuple[int, str] | None) -> bytes:
    """The stream that the client of ``websockets`` makes of it; it cuts text anywhere."""
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    for one in messages:
        fragments = cut(one.message_bytes, one.places)
        for number, fragment in enumerate(fragments):
            for kind, payload in one.controls[number : number + 1]:
                (client.send_ping if kind == "ping" else client.send_pong)(payload)
            last = number == len(fragments) - 1
            if number:
                client.send_continuation(fragment, fin=last)
            elif isinstance(one.message, str):
                client.send_text(fragment, fin=last)
            else:
                client.send_binary(fragment, fin=last)
    if close is not None:
        client.send_close(*close)
    return b"".join(client.data_to_send())


sent_messages = st.lists(
    st.builds(
        Sent,
        texts | binaries,
        st.lists(st.integers(0, 70_000), max_size=4),
        st.lists(st.tuples(st.sampled_from(["ping", "pong"]), st.binary(max_size=125)), max_size=4),
    ),
    max_size=6,
)
closes = st.none() | st.tuples(close_codes, st.text(max_size=30))

_text_payloads = texts.map(str.encode) | st.sampled_from(
    [b"\xce", b"\xba\xe1", b"\xbd\xb9", b"\xf4\x90\x80\x80", b"\xed\xa0\x80", b"\xc0\xaf", b"\xff"]
)
_close_payloads = st.builds(
    close_payload,
    st.sampled_from([0, 999, 1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000, 65_535]) | close_codes,
    st.binary(max_size=3) | st.text(max_size=30).map(str.encode),
) | st.binary(max_size=2)
_controls = st.builds(client_frame, st.sampled_from([9, 10]), st.binary(max_size=125))
_wrong_frames = st.builds(
    client_frame,
    st.integers(0, 15),
    st.binary(max_size=127),
    fin=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 1, 2, 4]),
    key=st.none() | st.binary(min_size=4, max_size=4),
    length_bytes=st.sampled_from([None, None, 2, 8]),
    claims=st.none() | st.sampled_from([0, 5, 125]),
)


@st.composite
def odd_streams(draw: st.DrawFn) -> bytes:
    """Frames in order, at first; then, mostly, one that is wrong, or some bytes of which are."""
    data, opcode = bytearray(), 0
    for kind in draw(st.lists(st.sampled_from(["text", "binary", "more", "more", "control"]))):
        if kind == "control":
            data += draw(_controls)
            continue
        fin = draw(st.booleans())
        started = opcode or (2 if kind == "binary" else 1)
        payload = draw(_text_payloads if started == 1 else binaries)
        data += client_frame(0 if opcode else started, payload, fin=fin)
        opcode = 0 if fin else started
    data += draw(st.just(b"") | st.builds(client_frame, st.just(8), _close_payloads))
    data += draw(st.just(b"") | _wrong_frames | _controls)
    changes = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=2)
    for place, byte in draw(changes) if data else []:
        data[place % len(data)] = byte
    return bytes(data[: draw(st.none() | st.integers(0, 300))])
