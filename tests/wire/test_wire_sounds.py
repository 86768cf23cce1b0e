from __future__ import annotations

import pytest

from mentra_trio.transport.frames import encode_message
from mentra_trio.wire.sounds import Sound


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_a_sound_is_one_binary_frame(size: int) -> None:
    sound = Sound(bytes(size))
    assert sound.encoded == encode_message(bytes(size))


def test_a_sound_is_framed_once() -> None:
    sound = Sound(b"\1\2")
    assert sound.encoded is sound.encoded
