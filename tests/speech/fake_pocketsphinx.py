"""A stand-in for the package ``pocketsphinx``: bytes that are not 0 are speech, and spell words.

As the real one: ``process`` returns a frame while somebody speaks, and with the last one
``in_speech`` has become false.
"""

from __future__ import annotations

import attrs


@attrs.define
class Hypothesis:
    hypstr: str


class Endpointer:
    frame_bytes = 960

    def __init__(self, sample_rate: int) -> None:
        assert sample_rate == 16_000
        self.in_speech = False

    def process(self, frame: bytes) -> bytes | None:
        assert len(frame) == self.frame_bytes
        spoke, self.in_speech = self.in_speech, frame[0] > 0
        return frame if self.in_speech or spoke else None


class Decoder:
    def __init__(self, samprate: int, loglevel: str) -> None:
        self._words = ""
        self._open = False

    def start_utt(self) -> None:
        assert not self._open
        self._open, self._words = True, ""

    def process_raw(self, frame: bytes) -> None:
        assert self._open
        if frame[0] == ord("!"):
            raise SystemExit(3)
        self._words += chr(frame[0]) if frame[0] else ""

    def end_utt(self) -> None:
        assert self._open
        self._open = False

    def hyp(self) -> Hypothesis | None:
        return Hypothesis(self._words) if self._words.strip("?") else None
