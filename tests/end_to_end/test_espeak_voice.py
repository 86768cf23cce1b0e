"""The voice that needs no network: real processes, a real engine, real sound."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

import mentra_trio
from mentra_trio.cli.doctor import doctor
from mentra_trio.domain.errors import ConfigError, VoiceFailed
from mentra_trio.engines import Speech
from mentra_trio.voice import espeak_voice
from mentra_trio.voice.espeak_voice import EspeakVoice, is_voice, open_espeak_voice

pytestmark = [pytest.mark.real_sockets]

MPEG_SYNC = b"\xff\xf3"
"""MPEG 2, layer III."""
ENGINE = mentra_trio.VoiceSettings(engine="espeak")


@pytest.fixture
def engine() -> None:
    """The extra ``mentra-trio[voice]`` is installed; otherwise the test is skipped."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("lameenc")


def children() -> list[str]:
    """The processes that this one has begun and that are still there."""
    task = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return task.read_text().split() if task.exists() else []


async def test_a_text_becomes_an_mp3(engine: None) -> None:
    voice = open_espeak_voice("en-us")
    short = await voice.speak(Speech(text="Hello."))
    assert short.media_type == "audio/mpeg"
    assert short.audio.startswith(MPEG_SYNC)
    long = await voice.speak(Speech(text="Hello, and welcome to all of you who are here."))
    assert len(long.audio) > 1.5 * len(short.audio)


async def test_what_is_asked_for_is_heeded_as_far_as_the_engine_has_it(engine: None) -> None:
    voice, text = open_espeak_voice("en-us"), "Hello, and welcome to all of you."
    plain = (await voice.speak(Speech(text=text))).audio
    fast = (await voice.speak(Speech(text=text, settings={"speed": 2}))).audio
    assert len(fast) < 0.7 * len(plain)
    fastest = (await voice.speak(Speech(text=text, settings={"speed": 1e308}))).audio
    assert len(fastest) < len(fast)
    german = (await voice.speak(Speech(text=text, voice="DE"))).audio
    assert german != plain
    for other in ("21m00Tcm4TlvDq8ikWAM", "../../etc/passwd", "zz-unheard-of"):
        speech = Speech(text=text, voice=other, model="m", settings={"speed": "x", "style": 1})
        assert (await voice.speak(speech)).audio == plain


@pytest.mark.parametrize(
    "text", ["<speak>a & b</speak>", "[[h@]]", "x\0y", "漢字 é \ud7ff 🎉", "9" * 1_000, "-", "...…"]
)
async def test_any_text_is_said_or_refused_and_nothing_breaks(engine: None, text: str) -> None:
    spoken = await open_espeak_voice("en-us").speak(Speech(text=text))
    assert spoken.audio == b"" or spoken.audio.startswith(MPEG_SYNC)


async def test_an_engine_that_does_not_work_says_why_in_one_line(engine: None) -> None:
    with pytest.raises(VoiceFailed, match="has no voice 'zz'") as caught:
        await EspeakVoice(voice="zz").speak(Speech(text="a secret"))
    assert "secret" not in str(caught.value)


async def test_an_engine_that_dies_is_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import os; os.kill(os.getpid(), 11)"
    monkeypatch.setattr(espeak_voice, "COMMAND", (sys.executable, "-c", program))
    with pytest.raises(VoiceFailed, match="ended with code -11"):
        await EspeakVoice().speak(Speech(text="x"))


async def test_the_engine_is_not_told_the_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import os, sys; sys.stdout.write(' '.join(os.environ))"
    monkeypatch.setattr(espeak_voice, "COMMAND", (sys.executable, "-c", program))
    monkeypatch.setenv("MENTRA_TRIO_ADMIN_TOKEN", "x")
    told = (await EspeakVoice().speak(Speech(text="x"))).audio.decode()
    assert "PATH" in told
    assert "MENTRA" not in told


async def test_who_gives_up_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import time; time.sleep(60)"
    monkeypatch.setattr(espeak_voice, "COMMAND", (sys.executable, "-c", program))
    before = children()
    with trio.fail_after(10):
        with trio.move_on_after(0.3) as scope:
            await EspeakVoice().speak(Speech(text="x"))
    assert scope.cancelled_caught
    assert children() == before


async def test_it_is_served(engine: None) -> None:
    config = mentra_trio.Config(port=0, voice=ENGINE)
    with trio.fail_after(10):
        async with (
            mentra_trio.open_server(config) as server,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            url = f"{server.http_url}/api/tts"
            answer = await client.get(url, params={"text": "Hello."})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert answer.content.startswith(MPEG_SYNC)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        *(("en", True), ("en-us", True), ("en-gb-x-rp", True), ("de+f3", True)),
        *(("", False), ("../de", False), ("en/us", False), ("EN", False), ("de+../f", False)),
    ],
)
def test_names_of_voices(name: str, *, known: bool) -> None:
    assert is_voice(name) is known


def test_what_is_missing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_voice, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"not installed: pip install 'mentra-trio\[voice\]'"):
        open_espeak_voice("en-us")
    monkeypatch.setattr(espeak_voice, "find_spec", lambda name: True)
    with pytest.raises(ConfigError, match=r"voice\.name must be a voice"):
        open_espeak_voice("/etc/passwd")


# -- doctor --------------------------------------------------------------------------------


async def examined(tmp_path: Path, voice: mentra_trio.VoiceSettings) -> tuple[int, str]:
    lines: list[str] = []
    code = await doctor(
        mentra_trio.Config(port=0, data_dir=tmp_path / "data", voice=voice), lines.append
    )
    return code, "\n".join(lines)


async def test_doctor_tells_whether_there_is_a_voice(engine: None, tmp_path: Path) -> None:
    code, text = await examined(tmp_path, mentra_trio.VoiceSettings())
    assert code == 0
    assert "OK    voice: none is set; apps cannot speak" in text
    assert "--set voice.engine=espeak" in text
    code, text = await examined(tmp_path, ENGINE)
    assert code == 0
    assert "OK    voice: espeak speaks: " in text
    code, text = await examined(tmp_path, mentra_trio.VoiceSettings(engine="espeak", name="zz"))
    assert code == 1
    assert "FAIL  voice: eSpeak NG has no voice 'zz'" in text


async def test_doctor_tells_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(espeak_voice, "find_spec", lambda name: None)
    code, text = await examined(tmp_path, ENGINE)
    assert code == 1
    assert "FAIL  voice: voice.engine espeak is not installed" in text
    assert "fix: pip install 'mentra-trio[voice]', or --set voice.engine=none" in text


@pytest.mark.parametrize(
    ("settings", "problem"),
    [({"engine": "loud"}, "engine must be one of none, espeak"), ({"name": ""}, "name must not")],
)
def test_a_wrong_setting_is_one_clear_line(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        mentra_trio.VoiceSettings(**settings)
