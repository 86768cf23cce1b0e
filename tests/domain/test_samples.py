"""Audio cut into pieces: whole samples, nothing lost, nothing added."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.samples import whole_samples


@given(st.lists(st.binary(max_size=9)))
def test_all_that_comes_goes_on_in_whole_samples(frames: list[bytes]) -> None:
    rest, passed_on = b"", []
    for frame in frames:
        samples, rest = whole_samples(rest, frame)
        assert len(samples) % 2 == 0
        assert len(rest) < 2
        passed_on.append(samples)
    assert b"".join(passed_on) + rest == b"".join(frames)


@given(st.binary().filter(lambda frame: len(frame) % 2 == 0))
def test_a_frame_that_fits_is_not_copied(frame: bytes) -> None:
    samples, rest = whole_samples(b"", frame)
    assert samples is frame
    assert rest == b""


@pytest.mark.parametrize(
    ("rest", "frame", "samples", "left"),
    [
        (b"", b"abc", b"ab", b"c"),
        (b"c", b"def", b"cdef", b""),
        (b"c", b"de", b"cd", b"e"),
        (b"", b"a", b"", b"a"),
        (b"a", b"", b"", b"a"),
    ],
)
def test_an_odd_byte_waits_for_the_next_frame(
    rest: bytes, frame: bytes, samples: bytes, left: bytes
) -> None:
    assert whole_samples(rest, frame) == (samples, left)
