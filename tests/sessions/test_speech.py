"""Speech as text: recognisers as they are wanted, and what they say to whom asked for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.errors import TranscriberFailed
from mentra_trio.domain.facts import Crashed, FrameDropped, RecogniserChanged, SpeechNotServed
from mentra_trio.domain.ids import PackageName
from mentra_trio.domain.speech import SpeechWish
from mentra_trio.sessions.audio_queue import BYTES_MAX
from mentra_trio.sessions.speech import Speech
from mentra_trio.testing.household import USER, Household, open_household
from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.scripted_transcriber import ScriptedTranscriber

SECOND = bytes(32_000)


@asynccontextmanager
async def open_ears(
    transcriber: ScriptedTranscriber | None = None, **settings: Any
) -> AsyncGenerator[tuple[Household, MemoryLink, ScriptedTranscriber]]:
    """A household with glasses and a transcriber."""
    transcriber = transcriber or ScriptedTranscriber()
    async with open_household(transcriber=transcriber, **settings) as house:
        yield house, await house.attached_glasses(), transcriber


async def listens(house: Household, package: str, *streams: str) -> MemoryLink:
    """A running app that has asked for ``streams``."""
    name = await house.add_app(package, kind="background")
    app = await house.running_app(USER, PackageName(name))
    app.say({"type": "subscription_update", "subscriptions": list(streams)})
    await wait_all_tasks_blocked()
    return app


def heard(app: MemoryLink) -> list[tuple[str, str]]:
    """What an app was told: stream type and text."""
    return [(one["streamType"], one["data"]["text"]) for one in app.of_type("data_stream")]


def asks(app: MemoryLink, *streams: str) -> None:
    app.say({"type": "subscription_update", "subscriptions": list(streams)})


def said_by_phone(text: str, language: str = "en-US", *, final: bool = True) -> dict[str, Any]:
    return {
        "type": "local_transcription",
        "text": text,
        "isFinal": final,
        "transcribeLanguage": language,
    }


# -- from audio to text ------------------------------------------------------------------


async def test_what_a_recogniser_understands_reaches_the_app(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, glasses, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US")
        recogniser = await transcriber.recogniser()
        assert recogniser.wish == SpeechWish(language="en-US")
        glasses.say(b"\1\2" * 160, b"\3", b"\4\5\6")
        await wait_all_tasks_blocked()
        assert recogniser.pieces == [b"\1\2" * 160, b"\3\4\5\6"]
        recogniser.hear("hel", final=False, utterance="u1")
        recogniser.hear("hello", utterance="u1", language="en-GB")
        first, last = app.of_type("data_stream")
        assert first["data"]["text"] == "hel"
        assert first["data"]["isFinal"] is False
        assert last["streamType"] == "transcription:en-US"
        assert last["data"] == {
            "type": "transcription",
            "text": "hello",
            "isFinal": True,
            "utteranceId": "u1",
            "transcribeLanguage": "en-US",
            "detectedLanguage": "en-GB",
            "startTime": 0,
            "endTime": 900,
            "duration": 900,
            "provider": "scripted",
        }


async def test_each_hears_its_own_language_in_its_own_words(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, _, transcriber):
        english = await listens(house, "com.t.en", "transcription:en-US")
        british = await listens(house, "com.t.gb", "transcription:en-GB?hints=fr")
        german = await listens(house, "com.t.de", "transcription:de-DE")
        (await transcriber.recogniser("de-DE")).hear("hallo")
        (await transcriber.recogniser("en-GB")).hear("hello")
        assert len(transcriber.running) == 2, "one for each language"
        assert heard(english) == [("transcription:en-US", "hello")]
        assert heard(british) == [("transcription:en-GB?hints=fr", "hello")]
        assert heard(german) == [("transcription:de-DE", "hallo")]


async def test_nobody_hears_the_same_words_twice(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, _, transcriber):
        named = await listens(house, "com.t.en", "transcription:en-US")
        left_open = await listens(house, "com.t.auto", "transcription:auto?hints=en%2Cfr")
        (await transcriber.recogniser("en-US")).hear("hello")
        finder = await transcriber.recogniser("auto")
        assert finder.wish.hints == ("en", "fr")
        finder.hear("Hello.", language="en-US")
        finder.hear("bonjour", language="fr-FR")
        stream = "transcription:auto?hints=en%2Cfr"
        assert heard(named) == [("transcription:en-US", "hello")]
        assert heard(left_open) == [(stream, "Hello."), (stream, "bonjour")]
        assert left_open.of_type("data_stream")[1]["data"]["transcribeLanguage"] == "fr-FR"


async def test_translations_reach_those_of_their_pair(autojump_clock: MockClock) -> None:
    able = ScriptedTranscriber(pairs={("es", "en"), ("es", "fr")})
    async with open_ears(able) as (house, _, transcriber):
        english = await listens(house, "com.t.en", "translation:es-ES-to-en-US")
        french = await listens(house, "com.t.fr", "translation:es-ES-to-fr-FR")
        spanish = await listens(house, "com.t.es", "transcription:es-ES")
        recogniser = await transcriber.recogniser("es-ES")
        assert recogniser.wish.targets == ("en-US", "fr-FR")
        recogniser.hear("buenos dias")
        recogniser.hear("good day", target="en-US")
        recogniser.hear("bonjour", target="fr-FR")
        assert heard(english) == [("translation:es-ES-to-en-US", "good day")]
        assert heard(french) == [("translation:es-ES-to-fr-FR", "bonjour")]
        assert heard(spanish) == [("transcription:es-ES", "buenos dias")]
        data = english.of_type("data_stream")[0]["data"]
        assert data["type"] == "translation"
        assert (data["transcribeLanguage"], data["translateLanguage"]) == ("es-ES", "en-US")


async def test_without_a_transcriber_the_phone_still_speaks(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        app = await listens(house, "com.t.a", "transcription:en-US")
        glasses.say(SECOND, {"type": "VAD", "status": True}, said_by_phone("hello"))
        await trio.sleep(10)
        assert heard(app) == [("transcription:en-US", "hello")]


# -- when recognisers run ----------------------------------------------------------------


async def test_a_change_of_languages_is_waited_for_half_a_second(
    autojump_clock: MockClock,
) -> None:
    async with open_ears() as (house, _, transcriber):
        app = await listens(house, "com.t.a", "transcription:de-DE")
        for _ in range(3):
            asks(app)
            asks(app, "transcription:fr-FR")
            asks(app, "transcription:en-US")
            await trio.sleep(0.1)
        assert transcriber.attempts == []
        await trio.sleep(0.5)
        assert [one.wish.language for one in transcriber.opened] == ["en-US"]


async def test_speech_does_not_wait(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, glasses, transcriber):
        await listens(house, "com.t.a", "transcription:en-US")
        glasses.say({"type": "VAD", "status": "true"})
        await wait_all_tasks_blocked()
        assert len(transcriber.running) == 1
        assert transcriber.attempts == [trio.current_time()]


async def test_one_that_nobody_wants_is_closed_in_three_seconds(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, _, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US")
        recogniser = await transcriber.recogniser()
        asks(app)
        await trio.sleep(3.4)
        assert transcriber.running == [recogniser]
        await trio.sleep(0.2)
        assert transcriber.running == []
        asks(app, "transcription:en-US")
        await trio.sleep(0.6)
        assert len(transcriber.running) == 1
        states = [fact.now for fact in house.telemetry.of(RecogniserChanged)]
        assert states == ["opened", "closed", "opened"]


async def test_what_else_changes_keeps_none_alive(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, _, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US")
        recogniser = await transcriber.recogniser()
        for streams in ([], ["button_press"], ["VAD"], ["button_press"], ["VAD"]):
            assert transcriber.running == [recogniser]
            asks(app, *streams)
            await trio.sleep(0.8)
        assert transcriber.running == []


async def test_one_that_is_wanted_again_goes_on(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, _, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US")
        recogniser = await transcriber.recogniser()
        for _ in range(3):
            asks(app)
            await trio.sleep(2.9)
            asks(app, "transcription:en-US")
            await trio.sleep(2)
        assert transcriber.running == [recogniser]
        assert len(transcriber.opened) == 1
        await trio.sleep(20)
        assert recogniser.is_open


async def test_another_wish_is_another_recogniser_at_once(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, glasses, transcriber):
        await listens(house, "com.t.a", "transcription:auto?hints=en")
        first = await transcriber.recogniser("auto")
        await listens(house, "com.t.b", "transcription:auto?hints=fr")
        await trio.sleep(0.6)
        (second,) = transcriber.running
        assert (first.wish.hints, second.wish.hints) == (("en",), ("en", "fr"))
        glasses.say(b"abcd")
        await wait_all_tasks_blocked()
        assert (first.audio, second.audio) == (b"", b"abcd")


async def test_no_recogniser_waits_for_glasses_that_are_away(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, glasses, transcriber):
        await listens(house, "com.t.a", "transcription:en-US")
        recogniser = await transcriber.recogniser()
        glasses.cut()
        await trio.sleep(2)
        back = await house.attached_glasses()
        await trio.sleep(5)
        assert transcriber.running == [recogniser], "a short absence is nothing"
        back.cut()
        await trio.sleep(4)
        assert transcriber.running == []
        await house.attached_glasses()
        await trio.sleep(0.6)
        assert len(transcriber.running) == 1


async def test_what_it_cannot_do_is_reported_once(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, glasses, transcriber):
        app = await listens(house, "com.t.a", "transcription:ja-JP", "transcription:en-US")
        await transcriber.recogniser()
        asks(app, "transcription:ja-JP", "transcription:en-US", "VAD")
        await trio.sleep(1)
        (fact,) = house.telemetry.of(SpeechNotServed)
        assert fact.streams == ("transcription:ja-JP",)
        glasses.say(said_by_phone("konnichiwa", "ja-JP"))
        await wait_all_tasks_blocked()
        assert heard(app) == [("transcription:ja-JP", "konnichiwa")], "the phone can"


# -- VAD ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("begins", "ends"), [(True, False), ("true", "false")])
async def test_a_pause_makes_final_what_was_said(
    begins: object, ends: object, autojump_clock: MockClock
) -> None:
    async with open_ears() as (house, glasses, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US", "VAD")
        recogniser = await transcriber.recogniser()
        glasses.say({"type": "VAD", "status": begins}, b"abcd", {"type": "VAD", "status": ends})
        await wait_all_tasks_blocked()
        assert recogniser.pieces == [b"abcd", None]
        statuses = [one["data"]["status"] for one in app.of_type("data_stream")]
        assert statuses == [begins, ends], "relayed as it came"


# -- failures ----------------------------------------------------------------------------


async def test_one_that_fails_is_opened_again_later_and_later(autojump_clock: MockClock) -> None:
    broken = ScriptedTranscriber(failures=[TranscriberFailed("no network")] * 8)
    async with open_ears(broken) as (house, _, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US")
        await transcriber.recogniser(within=200)
        gaps = [b - a for a, b in zip(transcriber.attempts, transcriber.attempts[1:], strict=False)]
        ceilings = [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
        assert len(gaps) == len(ceilings)
        assert all(most / 2 <= gap <= most for gap, most in zip(gaps, ceilings, strict=True)), gaps
        failed = [one for one in house.telemetry.of(RecogniserChanged) if one.now == "failed"]
        assert [one.failures for one in failed] == list(range(1, 9))
        assert {one.problem for one in failed} == {"no network"}
        transcriber.running[0].hear("at last")
        assert heard(app) == [("transcription:en-US", "at last")]


async def test_speech_shortens_the_wait_but_never_below_a_second(
    autojump_clock: MockClock,
) -> None:
    broken = ScriptedTranscriber(failures=[TranscriberFailed("no network")] * 1_000)
    async with open_ears(broken) as (house, glasses, transcriber):
        await listens(house, "com.t.a", "transcription:en-US")
        for _ in range(600):
            glasses.say({"type": "VAD", "status": True}, {"type": "VAD", "status": False})
            await trio.sleep(0.1)
        assert 40 <= len(transcriber.attempts) <= 61


async def test_a_crash_of_a_recogniser_hurts_nobody_else(autojump_clock: MockClock) -> None:
    telemetry = RecordingTelemetry(expects_crashes=True)
    async with open_ears(telemetry=telemetry) as (house, glasses, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US", "button_press")
        await listens(house, "com.t.b", "transcription:de-DE")
        other = await transcriber.recogniser("de-DE")
        (await transcriber.recogniser()).fail(ZeroDivisionError("a bug"))
        await wait_all_tasks_blocked()
        (crash,) = telemetry.of(Crashed)
        assert crash.bulkhead == "recogniser"
        assert [one.problem for one in telemetry.of(RecogniserChanged) if one.problem] == [
            "it crashed"
        ]
        glasses.say({"type": "button_press", "buttonId": "b"})
        await wait_all_tasks_blocked()
        (await transcriber.recogniser()).hear("again")
        button, speech = app.of_type("data_stream")
        assert (button["streamType"], speech["data"]["text"]) == ("button_press", "again")
        assert other.is_open


async def test_a_slow_recogniser_misses_the_oldest_and_delays_nobody(
    autojump_clock: MockClock,
) -> None:
    async with open_ears(ScriptedTranscriber(slow_s=1_000.0)) as (house, glasses, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US", "audio_chunk")
        recogniser = await transcriber.recogniser()
        frames = [number.to_bytes(2, "little") * 16_000 for number in range(30)]
        began = trio.current_time()
        glasses.say(*frames)
        await wait_all_tasks_blocked()
        assert trio.current_time() == began
        assert app.audio == frames, "the apps hear all of it"
        waiting = BYTES_MAX // len(frames[0])
        drops = house.telemetry.of(FrameDropped)
        assert len(drops) == len(frames) - 1 - waiting
        assert {drop.endpoint for drop in drops} == {"recogniser"}
        await trio.sleep(1_001)
        assert recogniser.pieces == [frames[0], frames[-waiting]]


# -- the phone recognises as well --------------------------------------------------------


async def test_what_the_phone_recognises_is_not_doubled(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, glasses, transcriber):
        app = await listens(house, "com.t.a", "transcription:en-US", "transcription:de-DE")
        english, german = await transcriber.recogniser(), await transcriber.recogniser("de-DE")
        glasses.say(said_by_phone("hello"), b"abcd")
        await wait_all_tasks_blocked()
        english.hear("hello")
        german.hear("hallo")
        assert english.audio == b"", "it need not listen"
        assert german.audio == b"abcd"
        assert [text for _, text in heard(app)] == ["hello", "hallo"]
        await trio.sleep(5.1)
        glasses.say(b"efgh")
        await wait_all_tasks_blocked()
        english.hear("are you there")
        assert english.audio == b"efgh"
        assert heard(app)[-1] == ("transcription:en-US", "are you there")


async def test_a_phone_that_translates_is_not_doubled_either(autojump_clock: MockClock) -> None:
    able = ScriptedTranscriber(pairs={("es", "en")})
    async with open_ears(able) as (house, glasses, transcriber):
        app = await listens(house, "com.t.a", "translation:es-ES-to-en-US")
        recogniser = await transcriber.recogniser("es-ES")
        translated = {"transcribeLanguage": "es-ES", "translateLanguage": "en-US"}
        glasses.say({"type": "translation", "text": "good day", "isFinal": True, **translated})
        await wait_all_tasks_blocked()
        recogniser.hear("good day", target="en-US")
        assert [text for _, text in heard(app)] == ["good day"]


# -- transcripts -------------------------------------------------------------------------


async def test_final_words_are_kept_whoever_recognised_them(autojump_clock: MockClock) -> None:
    async with open_ears() as (house, glasses, transcriber):
        await listens(house, "com.t.a", "transcription:en-US")
        recogniser = await transcriber.recogniser()
        recogniser.hear("one", final=False)
        recogniser.hear("one two")
        glasses.say(said_by_phone("three", final=False), said_by_phone("three four"))
        await wait_all_tasks_blocked()
        recogniser.hear("three four, doubled")
        speech = house.directory.live(USER).desk.part(Speech)
        now = house.directory.surroundings.environment.utcnow()
        begin = now.replace(year=2000)
        kept = speech.transcripts.between(begin, now, "en-US", now=now)
        assert [one.text for one in kept] == ["one two", "three four"]
        assert len({one.name for one in kept}) == 2


async def test_a_new_one_hears_nothing_that_the_one_before_has_left(
    autojump_clock: MockClock,
) -> None:
    async with open_ears(ScriptedTranscriber(slow_s=2.0)) as (house, glasses, transcriber):
        await listens(house, "com.t.a", "transcription:en-US")
        first = await transcriber.recogniser()
        glasses.say(b"aa", b"bb", b"cc")
        await wait_all_tasks_blocked()
        first.fail(TranscriberFailed("planted"))
        await wait_all_tasks_blocked()
        second = await transcriber.recogniser()
        assert second is not first
        glasses.say(b"dd")
        await trio.sleep(5)
        assert (first.pieces, second.pieces) == ([b"aa"], [b"dd"])
