"""A recogniser that understands what a test wants, when the test wants it."""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs
import trio

from ..concurrency.oneshot import OneShot
from ..domain.speech import SpeechWish
from ..domain.streams import base_language
from ..engines import Audio, Heard
from .links import PATIENCE_S


@attrs.define(eq=False)
class ScriptedRecogniser:
    """One recogniser that was opened, for as long as it runs.

    Attributes:
        wish: what it was opened for.
        pieces: what it has listened to; ``None`` where the speaker paused.
        is_open: whether it still runs.
        slow_s: so long it takes over each piece.
    """

    wish: SpeechWish
    _tell: Callable[[Heard], None]
    slow_s: float = 0.0
    is_open: bool = True
    pieces: list[bytes | None] = attrs.field(factory=list, init=False)
    _failure: OneShot[Exception] = attrs.field(factory=OneShot, init=False)

    @property
    def audio(self) -> bytes:
        """All that it has listened to, in one piece."""
        return b"".join(piece or b"" for piece in self.pieces)

    @property
    def pauses(self) -> int:
        """How often the speaker has paused."""
        return self.pieces.count(None)

    def hear(
        self,
        text: str,
        *,
        final: bool = True,
        language: str | None = None,
        target: str | None = None,
        utterance: str | None = None,
    ) -> None:
        """Understand ``text``, or a translation of it to ``target``."""
        self._tell(
            Heard(
                text=text,
                is_final=final,
                start_ms=0,
                end_ms=900,
                language=language,
                target_language=target,
                utterance_id=utterance,
                provider="scripted",
            )
        )

    def fail(self, error: Exception) -> None:
        """End with ``error``: a ``TranscriberFailed``, or a bug."""
        self._failure.settle(error)

    async def listen(self, audio: Audio) -> None:
        """Listen until cancelled, or told to fail."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take, audio)
            raise await self._failure.wait()

    async def _take(self, audio: Audio) -> None:
        while True:
            self.pieces.append(await audio.next())
            await trio.sleep(self.slow_s)


@attrs.define(eq=False, kw_only=True)
class ScriptedTranscriber:
    """``engines.Transcriber`` for tests.

    Attributes:
        languages: what it understands, by base language; ``auto`` among them: it finds out.
        pairs: what it translates, such as ``("es", "en")``.
        failures: what the next attempts to open a recogniser end with, one after the other.
        opened: every recogniser that was opened, in order.
    """

    languages: Collection[str] = ("en", "de", "es", "fr", "auto")
    pairs: Collection[tuple[str, str]] = ()
    slow_s: float = 0.0
    failures: list[Exception] = attrs.field(factory=list)
    attempts: list[float] = attrs.field(factory=list, init=False)
    """When each attempt was made, Trio time."""
    opened: list[ScriptedRecogniser] = attrs.field(factory=list, init=False)
    _news: trio.Event = attrs.field(factory=trio.Event, init=False)

    def understands(self, language: str) -> bool:
        """Whether it is one of ``languages``."""
        return base_language(language) in self.languages

    def translates(self, source: str, target: str) -> bool:
        """Whether it is one of ``pairs``."""
        return (base_language(source), base_language(target)) in self.pairs

    async def transcribe(
        self, wish: SpeechWish, audio: Audio, heard: Callable[[Heard], None]
    ) -> None:
        """See ``engines.Transcriber``."""
        self.attempts.append(trio.current_time())
        if self.failures:
            await trio.lowlevel.checkpoint()
            raise self.failures.pop(0)
        recogniser = ScriptedRecogniser(wish, heard, self.slow_s)
        self.opened.append(recogniser)
        self._news.set()
        self._news = trio.Event()
        try:
            await recogniser.listen(audio)
        finally:
            recogniser.is_open = False

    @property
    def running(self) -> list[ScriptedRecogniser]:
        """Those that run, in the order in which they were opened."""
        return [one for one in self.opened if one.is_open]

    async def recogniser(
        self, language: str = "en-US", *, within: float = PATIENCE_S
    ) -> ScriptedRecogniser:
        """The one that runs for ``language``, as soon as there is one.

        Raises:
            trio.TooSlowError: there was none within so many seconds.
        """
        with trio.fail_after(within):
            while True:
                for one in self.running:
                    if one.wish.language == language:
                        return one
                await self._news.wait()
