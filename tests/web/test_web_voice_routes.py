"""Speech for whoever asks, within bounds (protocol.md 1.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import httpx
import pytest
import trio
from trio.testing import MockClock

from mentra_trio.domain.timings import SPEECH_S
from mentra_trio.engines import Speech
from mentra_trio.testing.scripted_voice import MPEG_FRAME, ScriptedVoice
from mentra_trio.web.answers import Problem
from mentra_trio.web.asgi import make_app
from mentra_trio.web.speaking import AT_ONCE, CHARACTERS_MAX, KEPT, WAITING_MAX, Speaker

from .site_under_test import Site


@asynccontextmanager
async def speaking(site: Site, speaker: Speaker) -> AsyncIterator[httpx.AsyncClient]:
    services = attrs.evolve(site.services, speaker=speaker)
    transport = httpx.ASGITransport(make_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_a_text_is_spoken(site: Site, autojump_clock: MockClock) -> None:
    voice = ScriptedVoice()
    async with speaking(site, Speaker(voice=voice)) as client:
        query = {
            "text": "Grüß Gott, ",
            "voice_id": "v",
            "model_id": "m",
            "voice_settings": '{"speed": 1.2, "style": 0}',
        }
        for path in ("/api/tts", "/s/tok/api/tts"):
            answer = await client.get(path, params=query)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "audio/mpeg"
            assert answer.content == MPEG_FRAME + "Grüß Gott,".encode()
        settings = {"speed": 1.2, "style": 0}
        assert voice.asked == [Speech(text="Grüß Gott,", voice="v", model="m", settings=settings)]
        answer = await client.head("/api/tts", params=query)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({}, "'text' is missing"),
        ({"text": "  "}, "'text' is missing"),
        ({"text": "x" * (CHARACTERS_MAX + 1)}, "more than 1,000 characters"),
        ({"text": "x", "voice_id": "v" * 201}, "too long"),
        ({"text": "x", "model_id": "v" * 201}, "too long"),
        ({"text": "x", "voice_settings": "{"}, "'voice_settings'"),
        ({"text": "x", "voice_settings": "[1]"}, "'voice_settings'"),
        ({"text": "x", "voice_settings": "[" * 5_000}, "'voice_settings'"),
    ],
)
async def test_what_cannot_be_said_is_refused(
    site: Site, query: dict[str, str], problem: str, autojump_clock: MockClock
) -> None:
    voice = ScriptedVoice()
    async with speaking(site, Speaker(voice=voice)) as client:
        answer = await client.get("/api/tts", params=query)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert problem in answer.json()["message"]
    assert voice.asked == []


async def test_without_a_voice_the_setting_is_named(site: Site, autojump_clock: MockClock) -> None:
    answer = await site.get("/api/tts", params={"text": "x"})
    assert answer.status_code == 503
    body = answer.json()
    assert (body["success"], body["code"]) == (False, "NO_VOICE")
    assert "voice.engine" in body["fix"]
    assert "mentra-trio[voice]" in body["fix"]


async def test_a_voice_that_fails_is_reported(site: Site, autojump_clock: MockClock) -> None:
    problems: list[str] = []
    voice = ScriptedVoice(problem="no such language")
    async with speaking(site, Speaker(voice=voice, report=problems.append)) as client:
        answer = await client.get("/api/tts", params={"text": "x"})
        assert (answer.status_code, answer.json()["code"]) == (503, "VOICE_FAILED")
        assert answer.json()["message"] == "no such language"
        assert problems == ["no such language"]
        voice.problem = ""
        answer = await client.get("/api/tts", params={"text": "x"})
        assert answer.status_code == 200, "a failure is not kept"


async def test_a_slow_voice_is_given_up(autojump_clock: MockClock) -> None:
    voice, problems = ScriptedVoice(seconds=60), list[str]()
    found = await Speaker(voice=voice, report=problems.append).say(Speech(text="x"))
    assert isinstance(found, Problem)
    assert found.code == "VOICE_FAILED"
    assert trio.current_time() == SPEECH_S
    assert problems == ["the voice took longer than 10 s"]


async def test_few_are_said_at_once_and_not_many_wait(autojump_clock: MockClock) -> None:
    voice = ScriptedVoice(seconds=0.5)
    speaker = Speaker(voice=voice)
    found: list[object] = []

    async def say(number: int) -> None:
        found.append(await speaker.say(Speech(text=str(number))))

    async with trio.open_nursery() as nursery:
        for number in range(AT_ONCE + WAITING_MAX + 3):
            nursery.start_soon(say, number)
    busy = [one for one in found if isinstance(one, Problem)]
    assert [one.code for one in busy] == ["VOICE_BUSY"] * 3
    assert all(one.status == 503 for one in busy)
    assert voice.at_once == AT_ONCE
    assert len(voice.asked) == AT_ONCE + WAITING_MAX
    assert trio.current_time() == 0.5 * (AT_ONCE + WAITING_MAX) / AT_ONCE


async def test_what_is_asked_for_by_many_is_said_for_all(autojump_clock: MockClock) -> None:
    voice = ScriptedVoice(seconds=0.5)
    speaker = Speaker(voice=voice)
    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE + WAITING_MAX):
            nursery.start_soon(partial(speaker.say, Speech(text="x", settings={"a": 1, "b": 2})))
    assert len(voice.asked) <= AT_ONCE
    await speaker.say(Speech(text="x", settings={"b": 2, "a": 1}))
    assert len(voice.asked) <= AT_ONCE, "in whatever order they are written"


async def test_only_the_latest_are_kept(autojump_clock: MockClock) -> None:
    voice = ScriptedVoice()
    speaker = Speaker(voice=voice)
    for number in range(KEPT):
        await speaker.say(Speech(text=str(number)))
    await speaker.say(Speech(text="0"))  # asked for again: it is not the oldest now
    await speaker.say(Speech(text="one more"))
    assert len(voice.asked) == KEPT + 1
    await speaker.say(Speech(text="0"))
    assert len(voice.asked) == KEPT + 1
    await speaker.say(Speech(text="1"))
    assert len(voice.asked) == KEPT + 2


async def test_results_are_kept_up_to_a_size(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mentra_trio.web.speaking.KEPT_BYTES", 3 * (len(MPEG_FRAME) + 1))
    voice = ScriptedVoice()
    speaker = Speaker(voice=voice)
    for text in "abcd":
        await speaker.say(Speech(text=text))
    await speaker.say(Speech(text="b"))
    assert len(voice.asked) == 4
    await speaker.say(Speech(text="a"))
    assert len(voice.asked) == 5


async def test_who_gives_up_frees_its_turn(autojump_clock: MockClock) -> None:
    speaker = Speaker(voice=ScriptedVoice(seconds=5))
    async with trio.open_nursery() as nursery:
        for number in range(AT_ONCE):
            nursery.start_soon(speaker.say, Speech(text=str(number)))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    began = trio.current_time()
    assert not isinstance(await speaker.say(Speech(text="x")), Problem)
    assert trio.current_time() - began == 5
