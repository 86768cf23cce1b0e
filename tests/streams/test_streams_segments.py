"""Nobody fills the disk: a segment has an end."""

from __future__ import annotations

import pytest

from mentra_trio.streams import flv
from mentra_trio.streams.segments import SEGMENT_BYTES_MAX, Segment

KEY, INTER, NEW_KEY, NEW_INTER = b"\x17", b"\x27", b"\x90", b"\xa0"
LARGE = bytes(SEGMENT_BYTES_MAX // 3 - 100)


def video(kind: bytes, moment: int, body: bytes = LARGE) -> bytes:
    return flv.tag(flv.VIDEO, moment, kind + body)


def sound(moment: int) -> bytes:
    return flv.tag(flv.AUDIO, moment, b"\xaf" + LARGE)


@pytest.mark.parametrize(("key", "inter"), [(KEY, INTER), (NEW_KEY, NEW_INTER)])
def test_a_segment_ends_at_a_key_frame_after_its_time(key: bytes, inter: bytes) -> None:
    segment = Segment(1)
    for moment in range(0, 60_000, 500):
        assert segment.takes(video(key if moment % 1_000 == 0 else inter, moment))
    assert segment.takes(video(inter, 60_000))
    assert not segment.takes(video(inter, 61_000)), "no key frame"


def test_key_frames_at_the_same_moment_end_nothing() -> None:
    segment = Segment(1)
    assert [segment.takes(video(KEY, 5)) for _ in range(4)] == [True, True, True, False]


def test_sound_alone_ends_it_and_with_a_picture_it_does_not() -> None:
    segment = Segment(1)
    assert all(segment.takes(sound(moment)) for moment in range(0, 60_000, 500))
    assert segment.takes(video(INTER, 60_000, b""))
    taken = [segment.takes(sound(moment)) for moment in (61_000, 62_000, 63_000)]
    assert not all(taken)


@pytest.mark.parametrize("moment", [0, 1, 0xFFFFFF, 0x1000000, 0xFFFFFFFF])
def test_when_a_tag_is_shown(moment: int) -> None:
    assert flv.moment_of(flv.tag(flv.VIDEO, moment, b"x")) == moment
