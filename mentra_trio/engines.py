"""Engines that a server may be given: to hear, to speak, to stream. The prose is the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import attrs

from .domain.ids import UserId
from .domain.live_streams import Playback
from .domain.speech import Abilities, SpeechWish


@attrs.frozen(kw_only=True)
class Heard:
    """What a recogniser understood: the running utterance so far, or all of it.

    Attributes:
        text: the whole utterance, not what is new of it.
        is_final: nothing more is said about this utterance.
        start_ms, end_ms: where it is in the audio of this recogniser, from its first sample.
        language: what is spoken, where the recogniser found that out; else ``None``.
        target_language: what ``text`` was translated to; ``None``: it is as it was spoken.
        original_text: of a translation, what was said.
        utterance_id: the same for all that is heard of one utterance.
        provider: who recognised it, for people.
    """

    text: str
    is_final: bool
    start_ms: int = 0
    end_ms: int = 0
    language: str | None = None
    target_language: str | None = None
    original_text: str | None = None
    utterance_id: str | None = None
    speaker_id: str | None = None
    confidence: float | None = None
    provider: str | None = None


class Audio(Protocol):
    """What a recogniser listens to."""

    async def next(self) -> bytes | None:
        """The next piece: 16-bit little-endian mono samples, 16,000 in a second; never empty.

        ``None``: the speaker has paused. Whatever was understood so far is to be made final
        now; more may follow. Waits as long as nobody speaks. Pieces that are not taken for too
        long are thrown away, the oldest first: who is slow misses something, and delays nobody.
        """
        ...


class Transcriber(Abilities, Protocol):
    """Recognises speech: one call of ``transcribe`` for each user and language at a time.

    ``understands`` and ``translates`` answer at once, and always alike.
    """

    async def transcribe(
        self, wish: SpeechWish, audio: Audio, heard: Callable[[Heard], None]
    ) -> None:
        """Listen to ``audio`` until cancelled, and tell ``heard`` what was understood.

        ``heard`` never blocks. An interim text replaces the one before it of the same utterance;
        the final one ends it. Only what ``understands`` and ``translates`` affirm is ever
        wished for. However this ends, it is begun anew some time later if it is still wanted;
        nothing of it may go on after it has returned.

        Raises:
            TranscriberFailed: it cannot go on; the text says why.
        """
        ...


@attrs.frozen(kw_only=True)
class Speech:
    """A text to be said, and how.

    ``voice``, ``model`` and ``settings`` are in the words of whatever engine the app's author had
    in mind; an engine heeds what it understands. JSON values.
    """

    text: str
    voice: str = ""
    model: str = ""
    settings: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Spoken:
    """A text as sound: a whole file of ``media_type``, such as ``audio/mpeg``."""

    audio: bytes
    media_type: str


class Voice(Protocol):
    """Says texts. The caller bounds the length of the text, the time, and how many at once."""

    async def speak(self, speech: Speech) -> Spoken:
        """``speech`` as sound; cancelled, it stops working on it.

        Raises:
            VoiceFailed: it cannot be said, or the engine does not work.
        """
        ...


class Ingest(Protocol):
    """A place to which glasses stream, and from which others watch. Open while its block runs."""

    @property
    def url(self) -> str:
        """Where the glasses send their stream: ``rtmp://...``. Whoever has it can send."""
        ...

    async def until_live(self) -> Playback:
        """Where the stream can be watched, as soon as there is something to see.

        Raises:
            LiveStreamFailed: nothing will ever be.
        """
        ...

    async def until_ended(self) -> str:
        """Why the ingest is of no use any more. Glasses that are away for a while are no reason.

        The text names the hop, as apps see it. Returns never while all is well.
        """
        ...

    async def send_to(self, url: str) -> str:
        """Send the live stream to ``url`` as well, until cancelled; or why that does not work.

        Whatever happens to this one, the stream and other outputs go on. The text is for the
        app that gave ``url``, and repeats nothing of it.
        """
        ...


class LiveStreams(Protocol):
    """A streaming engine: takes streams of glasses in, and makes HLS and DASH of them."""

    def open(self, user: UserId, stream_id: str) -> AbstractAsyncContextManager[Ingest]:
        """An ingest for one stream; leaving the block closes it and forgets what was recorded.

        Both take a few seconds at most, whatever the state of the engine. An exception of the
        block may leave it inside a group.

        Raises:
            LiveStreamFailed: on entering; there is none to be had.
        """
        ...
