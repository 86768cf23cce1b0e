"""The process of one recogniser: audio comes in on standard input, texts go out as lines.

Each piece of audio has its length before it, in four bytes, little-endian; a length of 0 says
that the speaker has paused. Each line is a JSON object, see ``pocketsphinx_engine.Line``. It ends
with its input, so also with the server, however that ends. It imports nothing of this package:
that would only make its start longer.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any, BinaryIO, Final

import attrs

RATE: Final = 16_000
NICENESS: Final = 5
"""The server goes first."""
INTERIM_MS: Final = 300
"""An interim text comes at most this often, in time of the audio."""
UTTERANCE_MS_MAX: Final = 20_000
"""Who speaks longer without a pause gets a final text in between."""


@attrs.define(eq=False)
class Listening:
    """Cuts audio into utterances, and decodes them."""

    sphinx: Any
    out: BinaryIO
    _decoder: Any = attrs.field(init=False)
    _endpointer: Any = attrs.field(init=False)
    _rest: bytes = attrs.field(default=b"", init=False)
    _number: int = attrs.field(default=0, init=False)
    _heard_ms: int = attrs.field(default=0, init=False)
    """How much audio there was so far."""
    _start_ms: int = attrs.field(default=0, init=False)
    _told: tuple[int, str] = attrs.field(default=(0, ""), init=False)
    """When the latest interim text was written, and which it was."""
    _speaks: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._decoder = self.sphinx.Decoder(samprate=RATE, loglevel="FATAL")
        self._endpointer = self.sphinx.Endpointer(sample_rate=RATE)

    def listen(self, samples: bytes) -> None:
        """Take the next piece of audio."""
        frame = self._endpointer.frame_bytes
        self._rest += samples
        while len(self._rest) >= frame:
            piece, self._rest = self._rest[:frame], self._rest[frame:]
            self._heard_ms += frame * 1000 // (2 * RATE)
            speech = self._endpointer.process(piece)
            if speech is not None:
                self._decode(speech)
            elif self._speaks:
                self._finish()

    def pause(self) -> None:
        """End the running utterance, if there is one."""
        self._rest = b""
        if self._speaks:
            self._finish()
            self._endpointer = self.sphinx.Endpointer(sample_rate=RATE)

    def _decode(self, speech: bytes) -> None:
        if not self._speaks:
            self._speaks = True
            self._number += 1
            self._start_ms = max(0, self._heard_ms - len(speech) * 1000 // (2 * RATE))
            self._told = (self._heard_ms, "")
            self._decoder.start_utt()
        self._decoder.process_raw(speech)
        if not self._endpointer.in_speech or self._heard_ms - self._start_ms > UTTERANCE_MS_MAX:
            self._finish()
        elif self._heard_ms - self._told[0] >= INTERIM_MS:
            text = self._text()
            if text and text != self._told[1]:
                self._write(text, final=False)
            self._told = (self._heard_ms, text)

    def _finish(self) -> None:
        self._decoder.end_utt()
        self._speaks = False
        if text := self._text():
            self._write(text, final=True)

    def _text(self) -> str:
        hypothesis = self._decoder.hyp()
        return str(hypothesis.hypstr) if hypothesis is not None else ""

    def _write(self, text: str, *, final: bool) -> None:
        line = {
            "text": text,
            "final": final,
            "start": self._start_ms,
            "end": self._heard_ms,
            "number": self._number,
        }
        self.out.write(json.dumps(line).encode() + b"\n")
        self.out.flush()


def work(source: BinaryIO, out: BinaryIO) -> None:
    """Recognise what is read from ``source`` until its end."""
    listening = Listening(import_module("pocketsphinx"), out)
    while len(head := source.read(4)) == 4:
        length = int.from_bytes(head, "little")
        if length:
            listening.listen(source.read(length))
        else:
            listening.pause()


if __name__ == "__main__":
    if sys.platform != "win32":
        os.nice(NICENESS)
    work(sys.stdin.buffer, sys.stdout.buffer)
