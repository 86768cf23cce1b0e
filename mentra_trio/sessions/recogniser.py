"""One recogniser of one user: opened again as often as it fails, until nobody wants it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from ..concurrency.bulkhead import contain, single
from ..domain.errors import TranscriberFailed
from ..domain.facts import Crashed, FrameDropped, RecogniserChanged
from ..domain.ids import UserId
from ..domain.restarts import retry_delay
from ..domain.speech import SpeechWish
from ..domain.timings import (
    SPEECH_OFF_HOLD_S,
    SPEECH_PROVEN_S,
    SPEECH_RETRY_MOST_S,
    SPEECH_RETRY_S,
)
from ..engines import Heard, Transcriber
from .audio_queue import AudioQueue
from .surroundings import Surroundings


@attrs.define(eq=False, repr=False)
class Recogniser:
    """Listens for one user in one language. Its life is ``run``, in a task of the session.

    ``tell`` gets what it hears; it may be called only while the recogniser is open.
    """

    user: UserId
    wish: SpeechWish
    surroundings: Surroundings
    transcriber: Transcriber
    tell: Callable[[SpeechWish, Heard], None]
    _audio: AudioQueue = attrs.field(factory=AudioQueue, init=False)
    _living: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _open: bool = attrs.field(default=False, init=False)
    _failures: int = attrs.field(default=0, init=False)
    _wanted_now: trio.Event = attrs.field(factory=trio.Event, init=False)
    _no_end: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._no_end = self._living.deadline

    @property
    def over(self) -> bool:
        """Whether it has ended, or is told to: another one may take its place."""
        return self._living.cancel_called

    def keep(self) -> None:
        """Somebody wants it, maybe again."""
        self._living.deadline = self._no_end

    def release(self) -> None:
        """Nobody wants it any more: it ends in a moment, if that stays so."""
        if self._living.deadline == self._no_end:
            self._living.deadline = trio.current_time() + SPEECH_OFF_HOLD_S

    def end(self) -> None:
        """End it at once."""
        self._living.cancel("no longer wanted")

    def listen(self, samples: bytes) -> None:
        """Have it listen to ``samples``; they are lost while it is not open."""
        given_up = self._audio.put(samples) if self._open else 0
        for _ in range(given_up):
            self._report_drop()

    def pause(self) -> None:
        """The speaker has paused: what was said is final."""
        if self._open:
            self._audio.pause()

    def hurry(self) -> None:
        """Somebody speaks now: do not wait long before it is opened again."""
        self._wanted_now.set()

    async def run(self) -> None:
        """Recognise until it is ended; how each attempt ended is reported."""
        try:
            with self._living:
                while True:
                    await self._once()
                    await self._wait()
        finally:
            self._report("closed")

    async def _once(self) -> None:
        """Open it, and report how it failed; whatever goes wrong in it stays in it."""
        began, problem = trio.current_time(), "it crashed"
        self._audio.clear()
        self._open = True
        self._report("opened")
        try:
            with contain(self._crashed):
                problem = await self._transcribe()
        finally:
            self._open = False
        if trio.current_time() - began >= SPEECH_PROVEN_S:
            self._failures = 0
        self._failures += 1
        self._report("failed", problem)

    async def _transcribe(self) -> str:
        """Why it could not go on."""
        problem = "it ended by itself"
        try:
            await self.transcriber.transcribe(self.wish, self._audio, self._hear)
        except* TranscriberFailed as failed:
            problem = str(single(failed))
        return problem

    async def _wait(self) -> None:
        """Until it is to be opened again: soon, if somebody speaks."""
        delay = retry_delay(
            self._failures,
            first_s=SPEECH_RETRY_S,
            most_s=SPEECH_RETRY_MOST_S,
            jitter=self.surroundings.environment.random.random(),
        )
        soonest = min(delay, SPEECH_RETRY_S)
        await trio.sleep(soonest)
        self._wanted_now = trio.Event()
        with trio.move_on_after(delay - soonest):
            await self._wanted_now.wait()

    def _hear(self, heard: Heard) -> None:
        self._failures = 0
        self.tell(self.wish, heard)

    def _crashed(self, error: BaseException) -> None:
        self.surroundings.telemetry.emit(Crashed(bulkhead="recogniser", who=self.user, error=error))

    def _report(self, now: str, problem: str = "") -> None:
        self.surroundings.telemetry.emit(
            RecogniserChanged(
                user=self.user,
                language=self.wish.language,
                now=now,
                failures=self._failures,
                problem=problem,
            )
        )

    def _report_drop(self) -> None:
        self.surroundings.telemetry.emit(
            FrameDropped(
                endpoint="recogniser",
                peer=f"{self.wish.language} of {self.user}",
                reason="audio for a recogniser that lags",
            )
        )
