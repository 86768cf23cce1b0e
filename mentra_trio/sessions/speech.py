"""Speech as text: what the phone or a recogniser understood, to the apps that asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from types import MappingProxyType
from typing import Any, ClassVar

import attrs
import msgspec
import trio

from ..domain.facts import SpeechNotServed
from ..domain.speech import NOTHING_SPOKEN, PhoneSpeech, SpeechPlan, SpeechWish, speech_plan
from ..domain.streams import (
    ANY_SPOKEN,
    DEFAULT_LANGUAGE,
    TRANSCRIPTION,
    TRANSLATION,
    StreamEvent,
)
from ..domain.timings import SPEECH_SETTLE_S
from ..domain.transcripts import Segment, Transcripts
from ..engines import Heard
from ..wire import from_glasses as said
from ..wire.codec import encode
from ..wire.stream_data import Transcription
from ..wire.stream_data import Translation as TranslatedSpeech
from .errands import Errand
from .fan_out import fan_out
from .recogniser import Recogniser
from .subsystem import GlassesHandlers, Subsystem, Workplace


@attrs.define(eq=False, repr=False)
class Speech(Subsystem):
    """Runs a recogniser for each language that some app wants, and delivers what is said.

    Source: protocol.md 4.2, 6.1, 6.2.
    """

    transcripts: Transcripts = attrs.field(factory=Transcripts, init=False)
    """What was said lately."""
    _plan: SpeechPlan = attrs.field(default=NOTHING_SPOKEN, init=False)
    _phone: PhoneSpeech = attrs.field(factory=PhoneSpeech, init=False)
    _recognisers: dict[str, Recogniser] = attrs.field(factory=dict, init=False)
    """By the key of what they are wished to do; those that have ended are replaced."""
    _urgent: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when somebody speaks: what has changed is not to settle first."""
    _following: Errand = attrs.field(init=False)
    _latest: StreamEvent | None = attrs.field(default=None, init=False)
    """The transcription that was delivered last, as apps match it."""
    _numbers: Iterator[int] = attrs.field(factory=lambda: count(1), init=False)

    @classmethod
    def is_needed_at_once(cls, place: Workplace) -> bool:
        """Only recognisers must know what apps want; what a phone recognises comes by itself."""
        return place.surroundings.transcriber is not None

    # -- what is to be recognised --------------------------------------------------------

    def __attrs_post_init__(self) -> None:
        self._following = Errand(self.place.errands, self.run, "speech")

    def apps_changed(self) -> None:
        """Some app's subscriptions, or the set of apps, may have changed."""
        if self._recognisers or self._wanted() != self._plan:
            self._following.begin()

    def glasses_attached(self) -> None:
        """Audio may come."""
        self.apps_changed()

    def glasses_detached(self) -> None:
        """No audio comes."""
        self.apps_changed()

    async def run(self) -> None:
        """Have the right recognisers run: those of a moment later, for all that changes in it."""
        with trio.move_on_after(SPEECH_SETTLE_S):
            await self._urgent.wait()
        self._urgent = trio.Event()
        self._follow()

    def _follow(self) -> None:
        """Open what is wanted and does not run, and let go of the rest."""
        plan = self._wanted()
        for key, wish in plan.wishes.items():
            running = self._recognisers.get(key)
            if running is not None and not running.over and running.wish == wish:
                running.keep()
                continue
            if running is not None:
                running.end()
            self._recognisers[key] = self._begin(wish)
        for key in [key for key in self._recognisers if key not in plan.wishes]:
            self._recognisers[key].release()
            if self._recognisers[key].over:
                del self._recognisers[key]
        if plan.unserved and plan.unserved != self._plan.unserved:
            self.place.surroundings.telemetry.emit(
                SpeechNotServed(user=self.place.user, streams=plan.unserved)
            )
        self._plan = plan

    def _wanted(self) -> SpeechPlan:
        transcriber = self.place.surroundings.transcriber
        if transcriber is None or not self.place.eyepiece.attached:
            return NOTHING_SPOKEN
        return speech_plan((app.subscriptions for app in self.place.apps()), transcriber)

    def _begin(self, wish: SpeechWish) -> Recogniser:
        transcriber = self.place.surroundings.transcriber
        assert transcriber is not None, "nothing is wished for where there is none"
        recogniser = Recogniser(
            self.place.user, wish, self.place.surroundings, transcriber, self._recognised
        )
        self.place.errands.begin(recogniser.run, name=f"recogniser of {wish.language}")
        return recogniser

    # -- what is said --------------------------------------------------------------------

    def audio(self, frame: bytes) -> None:
        """Have the recognisers listen to it, but for what the phone recognises itself."""
        if not self._recognisers:
            return
        now = trio.current_time()
        for recogniser in self._recognisers.values():
            wish = recogniser.wish
            if wish.targets or not self._phone.speaks(wish.language, None, now):
                recogniser.listen(frame)

    def vad(self, message: said.Vad) -> None:
        """Somebody begins to speak, or pauses (protocol.md 6.2)."""
        if message.status in {True, "true"}:
            self.apps_changed()
            if self._following.under_way:
                self._urgent.set()
            for recogniser in self._recognisers.values():
                recogniser.hurry()
        else:
            for recogniser in self._recognisers.values():
                recogniser.pause()

    def local_transcription(self, message: said.LocalTranscription) -> bool:
        """The phone has recognised something itself: what it says counts."""
        language = message.transcribe_language or DEFAULT_LANGUAGE
        self._phone.note(language, None, trio.current_time())
        self._deliver(
            Transcription(
                text=message.text,
                is_final=bool(message.is_final),
                transcribe_language=language,
                start_time=message.start_time or 0,
                end_time=message.end_time or 0,
                speaker_id=message.speaker_id,
                provider=message.provider,
            ),
            identified=None,
        )
        return True

    def translation(self, message: said.Translation) -> None:
        """The phone has translated something itself; it is relayed as it is."""
        if message.translate_language:
            language = message.transcribe_language or DEFAULT_LANGUAGE
            self._phone.note(language, message.translate_language, trio.current_time())

    def _recognised(self, wish: SpeechWish, heard: Heard) -> None:
        """A recogniser has understood something; the phone was not quicker."""
        finds_out = wish.language == ANY_SPOKEN
        language = (heard.language if finds_out else wish.language) or DEFAULT_LANGUAGE
        if self._phone.speaks(language, heard.target_language, trio.current_time()):
            return
        identified = finds_out if self._plan.finds_out and len(self._plan.wishes) > 1 else None
        if heard.target_language is None:
            self._deliver(_transcription(heard, language), identified=identified)
        else:
            self._deliver_translation(_translation(heard, language), identified=identified)

    def _deliver(self, speech: Transcription, *, identified: bool | None) -> None:
        self._fan_out(self._event_of(speech.transcribe_language, identified), speech)
        if speech.is_final and speech.text:
            self.transcripts.add(self._segment(speech))

    def _event_of(self, language: str, identified: bool | None) -> StreamEvent:
        """The same object for as long as the same language is spoken: words come quickly."""
        event = self._latest
        if event is None or event.language != language or event.identified is not identified:
            event = StreamEvent(stream=TRANSCRIPTION, language=language, identified=identified)
            self._latest = event
        return event

    def _deliver_translation(self, speech: TranslatedSpeech, *, identified: bool | None) -> None:
        event = StreamEvent(
            stream=TRANSLATION,
            language=speech.transcribe_language,
            target_language=speech.translate_language,
            identified=identified,
        )
        self._fan_out(event, speech)

    def _fan_out(self, event: StreamEvent, speech: msgspec.Struct) -> None:
        environment = self.place.surroundings.environment
        fan_out(self.place.apps(), event, encode(speech), environment)

    def _segment(self, speech: Transcription) -> Segment:
        return Segment(
            at=self.place.surroundings.environment.utcnow(),
            language=speech.transcribe_language,
            text=speech.text,
            name=speech.utterance_id or f"{next(self._numbers)}",
            speaker=None if speech.speaker_id is None else str(speech.speaker_id),
        )

    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType(
        {
            said.Vad: vad,
            said.LocalTranscription: local_transcription,
            said.Translation: translation,
        }
    )


def _transcription(heard: Heard, language: str) -> Transcription:
    return Transcription(
        transcribe_language=language, detected_language=heard.language, **_what_was_heard(heard)
    )


def _translation(heard: Heard, language: str) -> TranslatedSpeech:
    target = heard.target_language or language
    return TranslatedSpeech(
        original_text=heard.original_text,
        transcribe_language=language,
        translate_language=target,
        did_translate=language != target,
        **_what_was_heard(heard),
    )


def _what_was_heard(heard: Heard) -> dict[str, Any]:
    """What both kinds of message tell."""
    return {
        "text": heard.text,
        "is_final": heard.is_final,
        "start_time": heard.start_ms,
        "end_time": heard.end_ms,
        "duration": heard.end_ms - heard.start_ms,
        "speaker_id": heard.speaker_id,
        "utterance_id": heard.utterance_id,
        "provider": heard.provider,
        "confidence": heard.confidence,
    }
