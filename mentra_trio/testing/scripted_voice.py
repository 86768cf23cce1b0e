"""A voice for tests: it makes no sound, and says what the test wants."""

from __future__ import annotations

from typing import Final

import attrs
import trio

from ..domain.errors import VoiceFailed
from ..engines import Speech, Spoken

MPEG_FRAME: Final = b"\xff\xf3\x60\xc4" + bytes(188)
"""How an MP3 file begins; silence."""


@attrs.define(eq=False)
class ScriptedVoice:
    """A ``engines.Voice`` that records what it is asked for, and answers as it was told to.

    Attributes:
        seconds: how long it takes for each text.
        problem: why it fails; empty: it does not.
        asked: everything that it was asked to say, in order.
        at_once: the most texts that it was saying at the same time.
    """

    seconds: float = 0.0
    problem: str = ""
    asked: list[Speech] = attrs.field(factory=list, init=False)
    at_once: int = attrs.field(default=0, init=False)
    _now: int = attrs.field(default=0, init=False)

    async def speak(self, speech: Speech) -> Spoken:
        """A sound that is different for every text."""
        self.asked.append(speech)
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            await trio.sleep(self.seconds)
        finally:
            self._now -= 1
        if self.problem:
            raise VoiceFailed(self.problem)
        return Spoken(audio=MPEG_FRAME + speech.text.encode(), media_type="audio/mpeg")
