"""Where frames begin and end is known, in whatever pieces they arrive."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.clients.frame_bounds import BARE_PONG, FrameBounds


def frame(first: int, size: int, *, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 1 << 16:
        head = bytes((first, bit | 126)) + struct.pack("!H", size)
    else:
        head = bytes((first, bit | 127)) + struct.pack("!Q", size)
    return head + (b"mask" if masked else b"") + b"\x89" * size  # full of what begins a ping


SIZES = st.one_of(
    st.integers(0, 300),
    st.sampled_from([0, 125, 126, 127, 65_535, 65_536]),
)
FRAMES = st.lists(st.builds(frame, st.integers(0, 255), SIZES, masked=st.booleans()), max_size=8)


@given(frames=FRAMES, data=st.data())
def test_any_frames_in_any_pieces(frames: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(frames)
    ends, end = {0}, 0
    for one in frames:
        end += len(one)
        ends.add(end)
    near = [at + off for at in ends for off in range(-9, 15) if 0 <= at + off <= len(stream)]
    cuts = data.draw(st.sets(st.one_of(st.sampled_from(near), st.integers(0, len(stream)))))
    bounds, at = FrameBounds(), 0
    for cut in [*sorted(cuts), len(stream)]:
        bounds.follow(stream[at:cut])
        at = cut
        assert bounds.between_frames is (at in ends)


@given(frames=FRAMES)
def test_byte_by_byte_where_headers_are(frames: list[bytes]) -> None:
    bounds = FrameBounds()
    for one in frames:
        assert bounds.between_frames
        for number in range(min(20, len(one) - 1)):
            bounds.follow(bytearray(one[number : number + 1]))
            assert not bounds.between_frames
        bounds.follow(one[min(20, len(one) - 1) :])
    assert bounds.between_frames


def test_a_pong_of_a_client_is_one_frame() -> None:
    bounds = FrameBounds()
    bounds.follow(BARE_PONG)
    assert bounds.between_frames
    assert BARE_PONG == b"\x8a\x80\0\0\0\0"
