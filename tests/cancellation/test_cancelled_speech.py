"""Recognisers are cancelled with their session: each is closed, and the next has its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.domain.errors import TranscriberFailed
from mentra_trio.domain.facts import RecogniserChanged
from mentra_trio.sessions.audio_queue import AudioQueue
from mentra_trio.sessions.recogniser import Recogniser
from mentra_trio.sessions.speech import Speech
from mentra_trio.testing.household import open_one_app
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.scripted_transcriber import ScriptedRecogniser, ScriptedTranscriber


@attrs.define(eq=False)
class Ears:
    """What outlives the session that is cancelled."""

    transcriber: ScriptedTranscriber = attrs.field(
        factory=lambda: ScriptedTranscriber(failures=[TranscriberFailed("not yet")])
    )
    telemetry: RecordingTelemetry = attrs.field(factory=RecordingTelemetry)


@asynccontextmanager
async def ears() -> AsyncGenerator[Ears]:
    yield Ears()


async def somebody_speaks(ears: Ears) -> None:
    """A recogniser fails, is opened again, hears something, and is closed."""
    async with open_one_app(transcriber=ears.transcriber, telemetry=ears.telemetry) as house:
        _, glasses, app = house
        app.say({"type": "subscription_update", "subscriptions": ["transcription:en-US"]})
        recogniser = await ears.transcriber.recogniser()
        glasses.say(b"abcd", {"type": "VAD", "status": False})
        await trio.sleep(0.1)
        recogniser.hear("hello")
        await app.expect("data_stream")
        app.say({"type": "subscription_update", "subscriptions": []})
        await trio.sleep(5)


async def none_is_open(ears: Ears) -> None:
    assert ears.transcriber.running == []
    changes = [fact.now for fact in ears.telemetry.of(RecogniserChanged)]
    assert changes.count("closed") == bool(changes)
    assert changes.count("opened") - changes.count("failed") in {0, 1}


@cancels(
    Speech.run,
    Recogniser.run,
    AudioQueue.next,
    ScriptedTranscriber.transcribe,
    ScriptedTranscriber.recogniser,
    ScriptedRecogniser.listen,
)
async def test_no_recogniser_outlives_its_session(autojump_clock: MockClock) -> None:
    assert await cancel_at_every_moment(ears, somebody_speaks, none_is_open) > 30
