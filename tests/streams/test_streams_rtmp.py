"""RTMP from publishers, in whatever pieces it comes, and AMF and FLV around it."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publisher import GREETING, asking, chunks, command

from mentra_trio.streams import amf, flv
from mentra_trio.streams.amf import AmfError
from mentra_trio.streams.rtmp import (
    COMMAND_BYTES_MAX,
    Media,
    PublishAsked,
    RtmpError,
    RtmpReceiver,
    Unpublished,
)

KEY = "a-key-that-nobody-can-guess"
plain = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(plain, max_size=4))
def test_amf_says_back_what_was_said(values: list[Any]) -> None:
    assert amf.decode(amf.encode(*values)) == values


@given(st.binary(max_size=200))
def test_amf_of_anything_ends(data: bytes) -> None:
    with contextlib.suppress(AmfError):
        amf.decode(data)


def test_amf_of_other_kinds() -> None:
    assert amf.decode(b"\x0a\0\0\0\2\5\6") == [[None, None]]
    assert amf.decode(b"\x08\0\0\0\1\0\1a\1\1\0\0\x09") == [{"a": True}]
    assert amf.decode(b"\x0c\0\0\0\2hi") == ["hi"]
    assert amf.decode(b"\x0b" + bytes(10)) == [0.0]
    with pytest.raises(AmfError):
        amf.decode(b"\x03\0\1a" * 20)
    with pytest.raises(AmfError):
        amf.decode(b"\x0a\xff\xff\xff\xff")
    with pytest.raises(TypeError):
        amf.encode([])


def test_a_tag_is_framed() -> None:
    tag = flv.tag(flv.VIDEO, 0x01020304, b"abc")
    assert tag == b"\x09\0\0\3\2\3\4\1\0\0\0abc\0\0\0\x0e"


@given(st.lists(st.integers(0, 4_000), max_size=12))
def test_the_pieces_in_which_it_comes_do_not_matter(cuts: list[int]) -> None:
    data = asking(KEY)
    at = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    receiver, events = RtmpReceiver(), []
    for begin, end in itertools.pairwise(at):
        events += receiver.receive(data[begin:end])
    assert events == [PublishAsked(KEY)]
    said = receiver.to_send()
    assert said.startswith(b"\3" + bytes(1536 * 2))
    assert b"NetConnection.Connect.Success" in said
    assert receiver.to_send() == b"", "once"


def publishing(**_: Any) -> RtmpReceiver:
    receiver = RtmpReceiver()
    assert receiver.receive(asking(KEY)) == [PublishAsked(KEY)]
    receiver.accept()
    assert b"NetStream.Publish.Start" in receiver.to_send()
    return receiver


messages = st.lists(
    st.tuples(
        st.sampled_from([8, 9]),
        st.integers(0, 2**32 - 1),
        st.binary(min_size=1, max_size=700),
        st.integers(4, 63),
    ),
    max_size=8,
)


@given(messages, st.sampled_from([1, 100, 128, 4_096]))
def test_media_becomes_tags(sent: list[tuple[int, int, bytes, int]], size: int) -> None:
    receiver = publishing()
    assert receiver.receive(chunks(1, size.to_bytes(4, "big"), stream=2)) == []
    events = []
    for kind, timestamp, body, stream in sent:
        data = chunks(kind, body, timestamp=timestamp, stream=stream, size=size)
        events += receiver.receive(data)
    assert events == [Media(flv.tag(kind, at, body)) for kind, at, body, _ in sent]


def test_interleaved_chunks_and_short_headers() -> None:
    receiver = publishing()
    video, sound = bytes(range(200)), b"sound"
    whole = chunks(9, video, timestamp=40)
    data = whole[:140] + chunks(8, sound, timestamp=50, stream=5) + whole[140:]
    delta = bytes([0x84, 0, 0, 10]) + video[:128] + b"\xc4" + video[128:]  # form 2
    again = b"\xc4" + video[:128] + b"\xc4" + video[128:]  # form 3: the same once more
    other = bytes([0x44, 0, 0, 5, 0, 0, 1, 8]) + b"x"  # form 1: length and kind are new
    assert receiver.receive(data + delta + again + other) == [
        Media(flv.tag(8, 50, sound)),
        Media(flv.tag(9, 40, video)),
        Media(flv.tag(9, 50, video)),
        Media(flv.tag(9, 60, video)),
        Media(flv.tag(8, 65, b"x")),
    ]


def test_large_numbers_of_chunk_streams_and_aborts() -> None:
    receiver = publishing()
    one = b"\0\6" + chunks(8, b"a")[1:]  # number 70 in one more byte
    two = b"\1\6\1" + chunks(8, b"b")[1:]  # and 326 in two
    assert receiver.receive(one + two) == [Media(flv.tag(8, 0, b"a")), Media(flv.tag(8, 0, b"b"))]
    begun = chunks(9, bytes(200))[:140]
    abort = chunks(2, (4).to_bytes(4, "big"), stream=2)
    for again in (begun + abort + chunks(9, b"new"), begun + chunks(9, b"new")):
        assert receiver.receive(again) == [Media(flv.tag(9, 0, b"new"))]


def test_what_describes_the_stream_is_a_tag_as_well() -> None:
    receiver = publishing()
    described = amf.encode("onMetaData", {"width": 320})
    body = amf.encode("@setDataFrame") + described
    assert (
        receiver.receive(chunks(18, body) + chunks(15, b"\0" + body))
        == [Media(flv.tag(18, 0, described))] * 2
    )


def test_an_orderly_end() -> None:
    assert publishing().receive(command("FCUnpublish", 6, None, KEY)) == [Unpublished()]


def test_before_it_may_publish_it_sends_nothing() -> None:
    receiver = RtmpReceiver()
    assert receiver.receive(GREETING + chunks(9, b"video") + chunks(18, b"data")) == []
    receiver.refuse()
    assert b"NetStream.Publish.BadName" in receiver.to_send()


def test_a_key_with_a_query_and_one_that_is_none() -> None:
    receiver = RtmpReceiver()
    data = GREETING + command("publish", 5, None, f"{KEY}?x=1") + command("publish", 5, None, 7)
    assert receiver.receive(data) == [PublishAsked(KEY)]
    assert KEY not in repr(PublishAsked(KEY))


def test_what_comes_is_acknowledged() -> None:
    receiver = publishing()
    receiver.receive(chunks(1, (1 << 20).to_bytes(4, "big"), stream=2))
    for _ in range(3):
        receiver.receive(chunks(9, bytes(600_000), size=1 << 20))
    said = receiver.to_send()
    assert said[:8] == b"\2\0\0\0\0\0\4\3"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n".ljust(1_600),
        GREETING + b"\xc4",
        GREETING + chunks(1, bytes(4), stream=2),
        GREETING + chunks(1, b"\xff\xff\xff\xff", stream=2),
        GREETING + chunks(20, b"\xff", stream=3),
        GREETING + bytes([4, 0, 0, 0, *(COMMAND_BYTES_MAX + 1).to_bytes(3, "big"), 9, 0, 0, 0, 0]),
        GREETING + b"".join(chunks(9, bytes(130), stream=n)[:140] for n in range(2, 64))
        + b"".join(b"\0" + bytes([n]) + chunks(9, bytes(130))[1:140] for n in range(9)),
    ],
    ids=["http", "continues nothing", "size 0", "size 4G", "no amf", "too long", "too many"],
)  # fmt: skip
def test_what_is_no_rtmp_ends_its_connection(data: bytes) -> None:
    with pytest.raises(RtmpError):
        RtmpReceiver().receive(data)


@given(st.binary(max_size=400))
def test_anything_after_the_greeting_ends_or_is_ignored(data: bytes) -> None:
    receiver = RtmpReceiver()
    with contextlib.suppress(RtmpError):
        receiver.receive(GREETING + data)


def test_a_stranger_may_not_say_much() -> None:
    receiver = RtmpReceiver()
    receiver.receive(GREETING)
    few = bytes([3]) + bytes(6) + bytes([9]) + bytes(4)  # a message of no length
    receiver.receive(few + b"\xc3" * 50_000)
    with pytest.raises(RtmpError, match="before it wants"):
        receiver.receive(b"\xc3" * 15_000)


def test_messages_that_never_end_are_bounded_together() -> None:
    receiver = publishing()
    begun = 4_000_000
    size = 1_000_000
    receiver.receive(chunks(1, size.to_bytes(4, "big"), stream=2))
    head = bytes(3) + begun.to_bytes(3, "big") + bytes([9]) + bytes(4)
    with pytest.raises(RtmpError, match="at the same time"):
        for number in range(5, 60):
            receiver.receive(bytes([number]) + head + bytes(size))
    assert number < 5 + 16


def test_what_goes_on_after_an_abort_begins_anew() -> None:
    receiver = publishing()
    message = chunks(9, b"x" * 200)
    abort = chunks(2, (4).to_bytes(4, "big"), stream=2)
    whole = b"\xc4" + b"y" * 128 + b"\xc4" + b"y" * 72
    events = receiver.receive(message[:140] + abort + whole)
    assert events == [Media(flv.tag(9, 0, b"y" * 200))]
