"""Frames: what we write, and how a peer's lengths are followed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.close_reasons import LINK_LOST, CloseReason
from mentra_trio.transport.frames import (
    BINARY,
    FRAGMENTS_MAX,
    TEXT,
    FrameScanner,
    encode_close,
    encode_frame,
    encode_message,
)

from .raw_peer import frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_frames_have_the_shortest_header(size: int) -> None:
    payload = b"x" * size
    assert encode_frame(BINARY, payload) == frame(BINARY, payload, masked=False)


def test_messages_are_text_or_binary() -> None:
    assert encode_message("grüß") == frame(TEXT, "grüß".encode(), masked=False)
    assert encode_message(b"\xff") == frame(BINARY, b"\xff", masked=False)
    assert encode_message("\ud800") == frame(TEXT, b"?", masked=False)


def test_a_close_is_cut_at_123_bytes_between_characters() -> None:
    wire = encode_close(CloseReason(4001, "ü" * 100))
    assert wire is not None
    assert wire[1] == 2 + 122
    assert wire[4:].decode() == "ü" * 61


def test_codes_that_must_not_be_sent_are_not() -> None:
    assert encode_close(LINK_LOST) is None


def fed(scanner: FrameScanner, data: bytes, cuts: list[int], at_once: int = 3) -> int | None:
    """How many bytes of ``data`` pass, when it arrives in pieces; ``None`` for all."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(places):
        piece, at = data[start:end], 0
        while at < len(piece):
            before, at = at, scanner.admit(piece, at, at_once)
            if scanner.too_big:
                return start + at
            assert at > before
    return None


def admitted(scanner: FrameScanner, data: bytes) -> bool:
    """Whether all of ``data`` passes, in one piece."""
    return scanner.admit(data, 0, 10_000) == len(data) and not scanner.too_big


cuts = st.lists(st.integers(min_value=0, max_value=10_000), max_size=20)
messages = st.lists(st.binary(max_size=300), max_size=8)


@given(messages=messages, cuts=cuts, masked=st.booleans())
def test_small_messages_pass_however_they_arrive(
    messages: list[bytes], cuts: list[int], masked: bool
) -> None:
    data = b"".join(frame(BINARY, message, masked=masked) for message in messages)
    assert fed(FrameScanner(300, 300), data, cuts) is None


@given(before=messages, size=st.integers(min_value=301, max_value=70_000), cuts=cuts)
def test_a_big_message_is_stopped_at_its_header(
    before: list[bytes], size: int, cuts: list[int]
) -> None:
    good = b"".join(frame(TEXT, message) for message in before)
    data = good + frame(BINARY, b"x" * size) + frame(9, b"p")
    allowed = fed(FrameScanner(300, 300), data, cuts)
    # Where the header comes in two reads, its first bytes have passed before it is understood.
    assert allowed is not None
    assert len(good) <= allowed < len(good) + 14


@given(parts=st.lists(st.integers(min_value=0, max_value=100), min_size=4, max_size=9), cuts=cuts)
def test_fragments_count_together_and_pings_between_do_not(
    parts: list[int], cuts: list[int]
) -> None:
    pieces = [
        frame(TEXT if n == 0 else 0, b"x" * size, fin=n == len(parts) - 1) + frame(9, b"y" * 100)
        for n, size in enumerate(parts)
    ]
    allowed = fed(FrameScanner(300, 300), b"".join(pieces), cuts)
    assert (allowed is None) == (sum(parts) <= 300)


def test_only_the_first_message_has_the_first_limit() -> None:
    scanner = FrameScanner(10, 100)
    assert admitted(scanner, frame(TEXT, b"x" * 10) + frame(TEXT, b"x" * 100))
    assert not admitted(FrameScanner(10, 100), frame(TEXT, b"x" * 11))


def test_a_close_is_noticed() -> None:
    scanner = FrameScanner(10, 10)
    assert admitted(scanner, frame(9, b"a"))
    assert not scanner.close_seen
    assert admitted(scanner, frame(8, b"\x03\xe8"))
    assert scanner.close_seen


def test_few_frames_pass_at_once() -> None:
    one, scanner = frame(10, b"x"), FrameScanner(10, 10)
    data = one * 10
    assert scanner.admit(data, 0, 4) == 4 * len(one)
    assert scanner.admit(data, 4 * len(one), 4) == 8 * len(one)
    assert scanner.admit(data, 8 * len(one), 4) == len(data)


def test_a_message_has_a_bounded_number_of_frames() -> None:
    begin, more = frame(TEXT, fin=False), frame(0, fin=False)
    scanner = FrameScanner(10, 10)
    for _ in range(2):
        whole = begin + more * (FRAGMENTS_MAX - 2) + frame(10, b"p") + frame(0)
        assert admitted(scanner, whole)
    assert admitted(scanner, begin + more * (FRAGMENTS_MAX - 1))
    assert not admitted(scanner, frame(0))
