"""A recogniser in a process of its own, with a stand-in for the engine in it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from mentra_trio.domain.errors import TranscriberFailed
from mentra_trio.domain.speech import SpeechWish
from mentra_trio.engines import Heard
from mentra_trio.sessions.audio_queue import AudioQueue
from mentra_trio.speech.pocketsphinx_engine import PocketSphinx

pytestmark = pytest.mark.real_sockets

TESTS = Path(__file__).parents[1]
WISH = SpeechWish(language="en-US")


def frames(letters: str) -> bytes:
    return b"".join(bytes([ord(letter)]) * 960 for letter in letters)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``import pocketsphinx`` finds the stand-in, in child processes."""
    fake = (TESTS / "speech" / "fake_pocketsphinx.py").read_text()
    (tmp_path / "pocketsphinx.py").write_text(fake)
    paths = [str(tmp_path), str(TESTS.parent), *sys.path]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@attrs.define(eq=False)
class Listener:
    audio: AudioQueue = attrs.field(factory=AudioQueue)
    said: list[Heard] = attrs.field(factory=list)
    news: trio.Event = attrs.field(factory=trio.Event)

    def hear(self, heard: Heard) -> None:
        self.said.append(heard)
        self.news.set()
        self.news = trio.Event()

    async def until(self, number: int) -> list[Heard]:
        while len(self.said) < number:
            await self.news.wait()
        return self.said


@asynccontextmanager
async def listening(engine: PocketSphinx) -> AsyncGenerator[Listener]:
    listener = Listener()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(engine.transcribe, WISH, listener.audio, listener.hear)
            yield listener
            nursery.cancel_scope.cancel()


async def test_what_is_said_comes_back_as_text() -> None:
    async with listening(PocketSphinx()) as listener:
        listener.audio.put(frames("hello\0"))
        listener.audio.put(frames("you"))
        listener.audio.pause()
        first, second = await listener.until(2)
        assert (first.text, first.is_final, first.language) == ("hello", True, "en-US")
        assert (first.start_ms, first.end_ms) == (0, 180)
        assert (second.text, second.is_final) == ("you", True)
        assert first.utterance_id != second.utterance_id


async def failure_of(engine: PocketSphinx, audio: bytes = b"") -> str:
    listener = Listener()
    if audio:
        listener.audio.put(audio)
    with trio.fail_after(20), pytest.raises(TranscriberFailed) as caught:
        await engine.transcribe(WISH, listener.audio, listener.hear)
    return str(caught.value)


async def test_a_worker_that_dies_is_a_failure() -> None:
    assert await failure_of(PocketSphinx(), frames("he!")) == "its process has ended with 3"


@pytest.mark.parametrize(
    ("worker", "problem"),
    [
        (["/no/such/program"], "no process: No such file or directory"),
        (
            [sys.executable, "-c", "print('hello', flush=True)"],
            "its process writes what is no text",
        ),
        ([sys.executable, "-c", "print('x' * 200_000)"], "its process writes no lines"),
    ],
)
async def test_a_worker_that_is_none(worker: Sequence[str], problem: str) -> None:
    assert await failure_of(PocketSphinx(worker=worker)) == problem


async def test_there_are_not_more_of_them_than_may_be() -> None:
    engine = PocketSphinx(processes=1)
    async with listening(engine) as listener:
        listener.audio.put(frames("hello\0"))
        await listener.until(1)
        assert await failure_of(engine) == "all 1 recognisers are in use"
    async with listening(engine) as listener:
        listener.audio.put(frames("again\0"))
        assert (await listener.until(1))[0].text == "again"


async def test_a_cancelled_one_leaves_no_process() -> None:
    line = '{"text": "%d", "final": true, "start": 0, "end": 0, "number": 1}'
    program = f"import os, sys; print({line!r} % os.getpid(), flush=True); sys.stdin.read()"
    async with listening(PocketSphinx(worker=[sys.executable, "-c", program])) as listener:
        process = int((await listener.until(1))[0].text)
        os.kill(process, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


async def test_it_knows_and_hears_nothing_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MENTRA_TRIO_JWT_SECRET", "x")
    line = '{"text": %s, "final": true, "start": 0, "end": 0, "number": 1}'
    told = "json.dumps(' '.join([*os.environ, str(os.getsid(0) == os.getpid())]))"
    program = f"import json, os, sys; print({line!r} % {told}, flush=True); sys.stdin.read()"
    async with listening(PocketSphinx(worker=[sys.executable, "-c", program])) as listener:
        text = (await listener.until(1))[0].text
    assert "PATH" in text
    assert "MENTRA" not in text
    assert text.endswith("True"), "an interrupt from the terminal is not for it"


async def test_the_worker_takes_no_modules_of_where_the_server_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(folder)
    async with listening(PocketSphinx()) as listener:
        listener.audio.put(frames("hello\0"))
        assert (await listener.until(1))[0].text == "hello"
