"""Speech for whoever asks: bounded, because it costs processor time and needs no token.

The phone is given a URL and downloads it without any credentials (protocol.md 1.4).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeAlias

import attrs
import msgspec
import trio

from ..domain.errors import VoiceFailed
from ..domain.timings import SPEECH_S
from ..engines import Speech, Spoken, Voice
from .answers import Problem

CHARACTERS_MAX: Final = 1_000
"""Of one text: about a minute; SDK 2.1.29 waits no longer for the end of a sound."""
AT_ONCE: Final = 2
"""So many texts are being said at the same time, by all users."""
WAITING_MAX: Final = 16
"""So many wait for that; further ones are told to come again."""
KEPT: Final = 32
"""So many results are kept, for phones that ask twice, or in pieces."""
KEPT_BYTES: Final = 16_777_216
"""Their size together."""

NO_VOICE: Final = Problem(
    status=503,
    code="NO_VOICE",
    message="this server has no voice",
    why="no engine is set that could say the text",
    fix="pip install 'mentra-trio[voice]', then set voice.engine: --set voice.engine=espeak",
)
_BUSY: Final = Problem(
    status=503, code="VOICE_BUSY", message="too many texts are being said; try again"
)

Key: TypeAlias = tuple[str, str, str, bytes]


@attrs.define(eq=False, kw_only=True)
class Speaker:
    """Says texts with ``voice``, a few at a time; ``None``: there is no voice.

    ``report`` is told what goes wrong with it.
    """

    voice: Voice | None = None
    report: Callable[[str], None] = lambda problem: None
    _turns: trio.CapacityLimiter = attrs.field(
        factory=lambda: trio.CapacityLimiter(AT_ONCE), init=False
    )
    _kept: OrderedDict[Key, Spoken] = attrs.field(factory=OrderedDict, init=False)

    async def say(self, speech: Speech) -> Spoken | Problem:
        """The sound of ``speech``, or why there is none, within ``SPEECH_S`` seconds."""
        if self.voice is None:
            return NO_VOICE
        key = _key_of(speech)
        if (known := self._known(key)) is not None:
            return known
        if self._turns.statistics().tasks_waiting >= WAITING_MAX:
            return _BUSY
        with trio.move_on_after(SPEECH_S):
            async with self._turns:
                # Whoever was before us in the line may have asked for the same.
                return self._known(key) or await self._say(self.voice, speech, key)
        return self._failed(f"the voice took longer than {SPEECH_S:g} s")

    async def _say(self, voice: Voice, speech: Speech, key: Key) -> Spoken | Problem:
        try:
            spoken = await voice.speak(speech)
        except VoiceFailed as error:
            return self._failed(str(error))
        self._keep(key, spoken)
        return spoken

    def _failed(self, problem: str) -> Problem:
        self.report(problem)
        return Problem(status=503, code="VOICE_FAILED", message=problem)

    def _known(self, key: Key) -> Spoken | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def _keep(self, key: Key, spoken: Spoken) -> None:
        self._kept[key] = spoken
        while len(self._kept) > KEPT or self._kept_bytes > KEPT_BYTES:
            self._kept.popitem(last=False)

    @property
    def _kept_bytes(self) -> int:
        return sum(len(spoken.audio) for spoken in self._kept.values())


def _key_of(speech: Speech) -> Key:
    settings = msgspec.json.encode(speech.settings, order="sorted")
    return speech.text, speech.voice, speech.model, settings
