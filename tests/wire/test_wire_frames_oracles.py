"""Frames: read and written as wsproto and ``websockets`` do, for any stream."""

from __future__ import annotations

import attrs
import pytest
from frame_oracles import (
    NO_LIMIT,
    decided,
    departures,
    our_verdict,
    websockets_verdict,
    wsproto_verdict,
)
from frame_streams import (
    Sent,
    client_frame,
    close_codes,
    close_payload,
    closes,
    cut,
    cuts,
    made_by_websockets,
    made_by_wsproto,
    odd_streams,
    sent_messages,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.wire.frames import (
    BINARY,
    PING,
    FrameReader,
    Sound,
    encode_close,
    encode_frame,
    encode_message,
    header,
)

MAKERS = {"wsproto": made_by_wsproto, "websockets": made_by_websockets}
READERS = {"wsproto": wsproto_verdict, "websockets": websockets_verdict}


@pytest.mark.parametrize("maker", MAKERS)
@given(
    messages=sent_messages,
    close=closes,
    places=cuts,
    frames_max=st.sampled_from([1, 2, 7, 1_000_000]),
)
def test_what_a_client_sends_is_read_however_it_arrives(
    maker: str,
    messages: list[Sent],
    close: tuple[int, str] | None,
    places: list[int],
    frames_max: int,
) -> None:
    data = MAKERS[maker](messages, close)
    verdict = our_verdict(cut(data, places), frames_max=frames_max)
    assert verdict.messages == [one.message for one in messages]
    assert verdict.close == close
    assert verdict.failure is None


@pytest.mark.parametrize("maker", MAKERS)
@given(messages=sent_messages)
def test_every_byte_may_come_alone(maker: str, messages: list[Sent]) -> None:
    data = MAKERS[maker](messages, (1000, "bye"))[-2_000:]  # from anywhere in the stream
    pieces = [data[at : at + 1] for at in range(len(data))]
    assert our_verdict(pieces) == our_verdict([data])


@given(messages=sent_messages)
def test_pings_are_kept_in_order(messages: list[Sent]) -> None:
    verdict = our_verdict([made_by_websockets(messages, None)])
    assert verdict.pings == [payload for one in messages for payload in one.pings]


@pytest.mark.parametrize("reader", READERS)
@given(
    messages=st.lists(st.text(max_size=200) | st.binary(max_size=200) | st.just(b"x" * 65_536)),
    close=st.tuples(close_codes, st.text(max_size=60)),
)
def test_what_we_write_is_read_the_same(
    reader: str, messages: list[str | bytes], close: tuple[int, str]
) -> None:
    last = encode_close(CloseReason(*close))
    assert last is not None
    frames = [encode_frame(PING, b"p"), *map(encode_message, messages), last]
    verdict = READERS[reader](b"".join(frames), client=True)
    assert verdict.messages == messages
    assert verdict.pings == [b"p"]
    assert verdict.close is not None
    assert verdict.close[0] == close[0]
    assert close[1].startswith(verdict.close[1])
    assert verdict.failure is None


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_header_and_its_pieces_are_one_message(size: int) -> None:
    pieces = b"x" * (size // 2), b"y" * (size - size // 2)
    for opcode, whole in ((1, b"".join(pieces).decode()), (2, b"".join(pieces))):
        frame = header(opcode, size) + pieces[0] + pieces[1]
        assert frame == encode_message(whole)
        assert wsproto_verdict(frame, client=True).messages == [whole]
    sound = Sound(b"".join(pieces))
    assert sound.encoded == encode_frame(BINARY, sound.payload)
    assert sound.encoded is sound.encoded


@pytest.mark.parametrize("oracle", READERS)
@settings(max_examples=200)
@given(data=odd_streams() | st.binary(max_size=200))
@example(client_frame(1, b"\xce\xba\xe1\xbd") + client_frame(9))
@example(client_frame(1, b"a", fin=False) + client_frame(8, close_payload(1000)))
@example(client_frame(1, b"a", fin=False) + client_frame(1, b"b"))
@example(client_frame(8, close_payload(1014)))
@example(client_frame(8, close_payload(999, b"\xff")))
@example(client_frame(2, b"x" * 20, length_bytes=2))
@example(client_frame(9, b"x" * 126))
def test_odd_streams_are_judged_alike(oracle: str, data: bytes) -> None:
    if any(who == oracle for who, _ in departures(data)):
        return
    ours, theirs = decided(data, READERS[oracle])
    assert ours == theirs


@pytest.mark.parametrize("oracle", READERS)
@given(messages=sent_messages, close=closes, changes=st.lists(st.tuples(st.integers(0), cuts)))
def test_a_changed_stream_is_judged_alike(
    oracle: str,
    messages: list[Sent],
    close: tuple[int, str] | None,
    changes: list[tuple[int, list[int]]],
) -> None:
    data = bytearray(MAKERS[oracle](messages, close))
    for bit, places in changes if data else []:
        for place in places:
            data[place % len(data)] ^= 1 << bit % 8
    if any(who == oracle for who, _ in departures(bytes(data))):
        return
    ours, theirs = decided(bytes(data), READERS[oracle])
    assert ours == theirs


@given(data=odd_streams(), places=cuts, frames_max=st.integers(1, 4))
def test_it_does_not_matter_how_an_odd_stream_arrives(
    data: bytes, places: list[int], frames_max: int
) -> None:
    limits = {"first_max": 100, "message_max": 300}
    whole = our_verdict([data], **limits)
    assert our_verdict(cut(data, places), frames_max=frames_max, **limits) == whole
    if len(data) < 2_000:
        singly = [data[at : at + 1] for at in range(len(data))]
        assert our_verdict(singly, frames_max=frames_max, **limits) == whole


@given(messages=sent_messages, limit=st.integers(0, 5_000))
def test_limits_are_those_of_websockets(messages: list[Sent], limit: int) -> None:
    # Without pings: there they are measured by what is left for the message they come between.
    data = made_by_websockets([attrs.evolve(one, controls=[]) for one in messages], None)
    ours = our_verdict([data], first_max=limit, message_max=limit)
    assert ours == websockets_verdict(data, message_max=limit)
    assert ours.failure in (None, 1009)


@given(data=odd_streams())
def test_nothing_is_held_once_it_is_over(data: bytes) -> None:
    reader = FrameReader(NO_LIMIT, NO_LIMIT)
    reader.feed(data, 3)
    if reader.over:
        assert not reader.has_more
        assert reader.feed(client_frame(1, b"more"), 3) == []
        assert not reader.has_more
