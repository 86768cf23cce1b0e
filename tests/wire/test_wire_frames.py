"""Frames: each way to break the protocol, limits, and what is kept between two reads."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from typing import Final

import attrs
import pytest
from frame_oracles import NO_LIMIT, our_verdict
from frame_streams import client_frame as frame
from frame_streams import close_payload

from mentra_trio.domain.close_reasons import LINK_LOST, CloseReason
from mentra_trio.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FRAGMENT_BYTES,
    FRAGMENTS_MAX,
    PING,
    PING_FRAME,
    PONG,
    TEXT,
    FrameReader,
    Sound,
    encode_close,
    encode_frame,
    encode_message,
)

GOOD: Final = frame(TEXT, "grüß".encode()) + frame(PING, b"p")
BEGUN: Final = frame(TEXT, b"x", fin=False)
ALLOWED_CODES: Final = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}

VIOLATIONS: Final = {
    "reserved bit 1": (frame(TEXT, b"x", reserved=4), 1002),
    "reserved bit 2": (frame(BINARY, b"x", reserved=2), 1002),
    "reserved bit 3": (frame(PING, b"x", reserved=1), 1002),
    **{f"opcode {code}": (frame(code, b"x"), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "no mask": (frame(TEXT, b"x", key=None), 1002),
    "no mask on a ping": (frame(PING, key=None), 1002),
    "16-bit length below 126": (frame(TEXT, b"x" * 125, length_bytes=2), 1002),
    "16-bit length of 0": (frame(BINARY, b"", length_bytes=2), 1002),
    "64-bit length below 65536": (frame(TEXT, b"x" * 65_535, length_bytes=8), 1002),
    "64-bit length of 0": (frame(BINARY, b"", length_bytes=8), 1002),
    "64-bit length with the top bit": (frame(BINARY, claims=1 << 63, length_bytes=8), 1002),
    "ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "pong with a 16-bit length": (frame(PONG, b"x", length_bytes=2), 1002),
    "close with a 64-bit length": (frame(CLOSE, close_payload(1000), length_bytes=8), 1002),
    "fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "fragmented pong": (frame(PONG, b"x", fin=False), 1002),
    "fragmented close": (frame(CLOSE, fin=False), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "unfinished continuation of nothing": (frame(CONTINUATION, b"x", fin=False), 1002),
    "text inside a message": (BEGUN + frame(TEXT, b"x"), 1002),
    "binary inside a message": (BEGUN + frame(BINARY, b"x" * 300), 1002),
    "text begun inside a message": (BEGUN + frame(PING, b"") + BEGUN, 1002),
    "continuation after the end": (BEGUN + frame(0, b"y") + frame(0, b"z"), 1002),
    "bad text": (frame(TEXT, b"abc\xff"), 1007),
    "bad text in a long frame": (frame(TEXT, b"a" * 70_000 + b"\xff"), 1007),
    "text cut in a character": (frame(TEXT, b"\xe6\xbc"), 1007),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "more than Unicode has": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007),
    "overlong character": (frame(TEXT, b"\xc0\xaf"), 1007),
    "bad text in a fragment": (frame(TEXT, b"\xce\xba\xe1", fin=False) + frame(0, b"\xc3"), 1007),
    "fragments cut in a character": (frame(TEXT, b"\xce", fin=False) + frame(0), 1007),
    "fragment after bad text": (frame(TEXT, b"\xff", fin=False), 1007),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "bad text in a close": (frame(CLOSE, close_payload(1000, b"\xff")), 1007),
    "bad code and text in a close": (frame(CLOSE, close_payload(999, b"\xff")), 1002),
    "too big": (frame(TEXT, claims=1_001), 1009),
    "too big, 64-bit": (frame(BINARY, claims=(1 << 63) - 1, length_bytes=8), 1009),
    "far too big, with something there": (
        frame(BINARY, b"x" * 300, claims=126 << 48, length_bytes=8),
        1009,
    ),
    "too big with its fragments": (
        frame(BINARY, b"x" * 600, fin=False) + frame(PING, b"p") + frame(0, claims=401),
        1009,
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_what_no_client_may_send(name: str) -> None:
    wrong, code = VIOLATIONS[name]
    after = frame(TEXT, b"after") + frame(PING, b"after") + frame(CLOSE)
    stream = GOOD + wrong + after
    limits = {"first_max": 1_000, "message_max": 1_000 if code != 1007 else 100_000}
    verdict = our_verdict([stream], **limits)
    assert verdict.messages[:1] == ["grüß"]
    assert "after" not in verdict.messages and b"after" not in verdict.pings
    assert (verdict.failure, verdict.close) == (code, None)
    if len(stream) < 5_000:
        assert our_verdict([stream[at : at + 1] for at in range(len(stream))], **limits) == verdict


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (frame(TEXT, b"x" * 50, reserved=1), 2),
        (frame(3, b"x"), 2),
        (frame(TEXT, b"x", key=None), 2),
        (frame(PING, b"x" * 200), 2),
        (frame(CONTINUATION, b"x"), 2),
        (frame(TEXT, b"x" * 100, length_bytes=2), 4),
        (frame(BINARY, claims=101), 2),
        (frame(BINARY, claims=126), 4),
        (frame(BINARY, claims=1 << 40), 10),
    ],
)
def test_a_header_is_refused_before_there_is_a_payload(wrong: bytes, shown: int) -> None:
    reader = FrameReader(100, 100)
    reader.feed(wrong[: shown - 1], 9)
    assert reader.failure is None
    reader.feed(wrong[shown - 1 : shown], 9)
    assert reader.failure is not None


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_inside_another_is_refused_in_a_read_of_its_own(opcode: int) -> None:
    reader = FrameReader(100, 100)
    assert reader.feed(BEGUN, 9) == []
    assert reader.feed(frame(opcode, b"x" * 20), 9) == []
    assert reader.failure == CloseReason(1002, "Protocol error")


def test_bad_text_is_refused_with_its_fragment() -> None:
    reader = FrameReader(100, 100)
    reader.feed(frame(TEXT, b"\xce\xba\xe1\xbd", fin=False), 9)
    assert reader.failure is None
    reader.feed(frame(CONTINUATION, b"\xb9\xf4\x90", fin=False), 9)
    assert reader.failure == CloseReason(1007, "Text is not UTF-8")


@pytest.mark.parametrize("code", [*range(990, 1020), 1999, 2000, 2999, 3000, 3999, 4999, 5000, 0])
def test_close_codes(code: int) -> None:
    verdict = our_verdict([frame(CLOSE, close_payload(code, "grüß".encode())) + frame(TEXT, b"x")])
    if code in ALLOWED_CODES:
        assert (verdict.close, verdict.failure) == ((code, "grüß"), None)
    else:
        assert (verdict.close, verdict.failure) == (None, 1002)
    assert verdict.messages == []


def test_a_close_that_says_nothing() -> None:
    reader = FrameReader(10, 10)
    assert reader.feed(frame(TEXT, b"x") + frame(CLOSE) + frame(TEXT, b"y"), 9) == ["x"]
    assert reader.attention
    assert reader.close == CloseReason(1005, "")
    assert reader.feed(frame(TEXT, b"z"), 9) == []


def test_a_close_may_come_inside_a_message() -> None:
    assert our_verdict([BEGUN + frame(CLOSE, close_payload(1001))]).close == (1001, "")


def test_attention_is_for_pings_until_they_are_taken() -> None:
    reader = FrameReader(10, 10)
    reader.feed(frame(TEXT, b"x") + frame(PONG, b"y"), 9)
    seen = [reader.attention]
    reader.feed(frame(PING, b"1") + frame(PING) + frame(PING, b"x" * 125), 9)
    seen.append(reader.attention)
    assert reader.pings == [b"1", b"", b"x" * 125]
    reader.pings.clear()
    assert [*seen, reader.attention] == [False, True, False]


def reads(reader: FrameReader, *frames: bytes) -> Sequence[str | bytes]:
    return reader.feed(b"".join(frames), 100_000)


def test_only_the_first_message_has_the_first_limit() -> None:
    for first in (frame(TEXT, b"x" * 10), frame(BINARY, b"", fin=False) + frame(0, b"x" * 10)):
        reader = FrameReader(10, 200)
        assert len(reads(reader, frame(PING, b"x" * 99), first, frame(TEXT, b"x" * 200))) == 2
        reads(reader, frame(BINARY, b"x" * 201))
        assert reader.failure == CloseReason(1009, "Message too big")
    for first in (frame(TEXT, b"x" * 11), frame(TEXT, b"x" * 9, fin=False) + frame(0, b"xx")):
        reader = FrameReader(10, 200)
        assert not reads(reader, first)
        assert reader.failure == CloseReason(1009, "Message too big")


def test_the_limit_of_one_message_is_not_that_of_two() -> None:
    reader = FrameReader(10, 10)
    half = frame(BINARY, b"x" * 9, fin=False), frame(PING, b"x" * 50), frame(0, b"y")
    assert len(reads(reader, *half, *half, frame(TEXT, b"x" * 10))) == 3
    assert reader.failure is None


def test_a_message_has_a_bounded_number_of_empty_frames() -> None:
    begin, more = frame(TEXT, fin=False), frame(CONTINUATION, fin=False)
    reader = FrameReader(10, 10)
    for _ in range(2):
        whole = begin, more * (FRAGMENTS_MAX - 2), frame(PING, b"p"), frame(CONTINUATION)
        assert reads(reader, *whole) == [""]
    reads(reader, begin, more * (FRAGMENTS_MAX - 1))
    assert reader.failure is None
    reads(reader, frame(CONTINUATION))
    assert reader.failure == CloseReason(1009, "Message too big")


def test_a_message_may_have_more_frames_if_they_carry_something() -> None:
    piece = b"x" * FRAGMENT_BYTES
    reader = FrameReader(NO_LIMIT, NO_LIMIT)
    frames = [frame(CONTINUATION, piece, fin=False)] * (5 * FRAGMENTS_MAX)
    whole = [piece * (5 * FRAGMENTS_MAX)]
    assert reads(reader, frame(BINARY, fin=False), *frames, frame(CONTINUATION)) == whole
    half = frame(CONTINUATION, piece[: FRAGMENT_BYTES // 2], fin=False)
    reads(reader, frame(BINARY, fin=False), half * (2 * FRAGMENTS_MAX - 3))
    assert reader.failure is None
    reads(reader, half)
    assert reader.failure == CloseReason(1009, "Message too big")


def test_frames_that_are_left_for_later() -> None:
    reader = FrameReader(100, 100)
    data = b"".join(frame(TEXT, bytes((65 + n,))) + frame(PING, b"p") for n in range(5))
    assert reader.feed(data + b"\x81", 4) == ["A", "B"]
    assert reader.has_more
    assert reader.feed(b"", 1) == ["C"]
    assert reader.feed(frame(TEXT, b"!")[1:], 5) == ["D", "E"]
    assert reader.has_more
    assert len(reader.pings) == 5
    assert reader.feed(b"", 5) == ["!"]
    assert not reader.has_more


def test_half_a_frame_is_nothing_left_for_later() -> None:
    reader, whole = FrameReader(1_000, 1_000), frame(TEXT, b"x" * 300)
    for at in range(len(whole) - 1):
        assert reader.feed(whole[at : at + 1], 5) == []
        assert not reader.has_more
    assert reader.feed(whole[-1:], 5) == ["x" * 300]


def test_a_big_message_takes_no_more_memory_than_it_must() -> None:
    size = 1 << 20
    whole = frame(BINARY, bytes(size), key=bytes(4))
    reads = [whole[at : at + 1_400] for at in range(0, len(whole), 1_400)]
    reader = FrameReader(size, size)
    tracemalloc.start()
    try:
        messages = [message for read in reads for message in reader.feed(read, 9)]
        held, most = tracemalloc.get_traced_memory()
        assert messages == [bytes(size)]
        assert most < 3.5 * size
        assert held < size + 10_000
    finally:
        tracemalloc.stop()
    assert attrs.asdict(reader, recurse=False)["_held"] is None


def test_nothing_of_a_payload_is_shown() -> None:
    reader = FrameReader(100, 100)
    reads(reader, frame(PING, b"secret"), frame(TEXT, b"secret", fin=False))
    reads(reader, frame(CONTINUATION, b"secret", key=bytes(4))[:-1])
    assert "secret" not in repr(reader)
    sound = Sound(b"secret")
    assert sound.encoded
    assert "secret" not in repr(sound)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_frames_have_the_shortest_header(size: int) -> None:
    payload = b"x" * size
    assert encode_frame(BINARY, payload) == frame(BINARY, payload, key=None)


def test_messages_are_text_or_binary() -> None:
    assert encode_message("grüß") == frame(TEXT, "grüß".encode(), key=None)
    assert encode_message(b"\xff") == frame(BINARY, b"\xff", key=None)
    assert encode_message("\ud800") == frame(TEXT, b"?", key=None)
    assert frame(PING, key=None) == PING_FRAME


def test_a_close_is_cut_at_123_bytes_between_characters() -> None:
    wire = encode_close(CloseReason(4001, "ü" * 100))
    assert wire == frame(CLOSE, close_payload(4001, ("ü" * 61).encode()), key=None)


def test_codes_that_must_not_be_sent_are_not() -> None:
    assert encode_close(LINK_LOST) is None
    assert encode_close(CloseReason(1005, "")) is None
    assert encode_close(CloseReason(1015, "")) is None
