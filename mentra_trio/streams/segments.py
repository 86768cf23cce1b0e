"""How long a piece of a stream gets on the disk: a camera that never begins anew fills none."""

from __future__ import annotations

from typing import Final

import attrs

from .flv import AUDIO, HEAD_BYTES, VIDEO, moment_of

SEGMENT_BYTES_MAX: Final = 33_554_432
"""More than any camera sends before its next key frame."""

_KEY_FRAME: Final = 1


@attrs.define(eq=False)
class Segment:
    """What ffmpeg is writing now. A new one begins with the first key frame after ``seconds``.

    Where there is no picture, every piece of sound counts as a key frame.
    """

    seconds: int
    _bytes: int = attrs.field(default=0, init=False)
    _began: int = attrs.field(default=0, init=False)
    _seen: bool = attrs.field(default=False, init=False)

    def takes(self, tag: bytes) -> bool:
        """Whether there is room for an FLV ``tag``, which is not empty."""
        kind, moment = tag[0], moment_of(tag)
        self._seen = self._seen or kind == VIDEO
        key = kind == VIDEO and tag[HEAD_BYTES] >> 4 & 7 == _KEY_FRAME
        sound = kind == AUDIO and not self._seen
        if (key or sound) and moment - self._began >= self.seconds * 1_000:
            self._began, self._bytes = moment, 0
        self._bytes += len(tag)
        return self._bytes <= SEGMENT_BYTES_MAX
