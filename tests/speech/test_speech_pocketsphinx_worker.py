"""The process of a recogniser, without the process and without the engine."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import fake_pocketsphinx
import pytest

from mentra_trio.speech.pocketsphinx_worker import (
    INTERIM_MS,
    UTTERANCE_MS_MAX,
    Listening,
    work,
)

FRAME_MS = 30
SILENCE = "\0"


def spoken(letters: str) -> bytes:
    """A frame of audio for each letter."""
    return b"".join(bytes([ord(letter)]) * 960 for letter in letters)


def lines(out: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


@pytest.fixture
def out() -> io.BytesIO:
    return io.BytesIO()


@pytest.fixture
def listening(out: io.BytesIO) -> Listening:
    return Listening(fake_pocketsphinx, out)


def test_an_utterance_ends_with_silence(listening: Listening, out: io.BytesIO) -> None:
    listening.listen(spoken(SILENCE * 2 + "hello" + SILENCE))
    listening.listen(spoken("you" + SILENCE))
    assert lines(out) == [
        {"text": "hello", "final": True, "start": 60, "end": 240, "number": 1},
        {"text": "you", "final": True, "start": 240, "end": 360, "number": 2},
    ]


@pytest.mark.parametrize("size", [1, 7, 320, 961, 100_000])
def test_how_the_audio_is_cut_does_not_matter(
    size: int, listening: Listening, out: io.BytesIO
) -> None:
    audio = spoken("hello" + SILENCE)
    for start in range(0, len(audio), size):
        listening.listen(audio[start : start + size])
    assert [line["text"] for line in lines(out)] == ["hello"]


def test_interim_texts_come_now_and_then_and_only_new_ones(
    listening: Listening, out: io.BytesIO
) -> None:
    frames = INTERIM_MS // FRAME_MS
    listening.listen(spoken("a" * (frames + 1)))
    assert [(one["text"], one["final"]) for one in lines(out)] == [("a" * (frames + 1), False)]
    listening.listen(spoken("b" * (frames - 1)))
    assert len(lines(out)) == 1
    listening.listen(spoken("b"))
    assert len(lines(out)) == 2
    assert {one["number"] for one in lines(out)} == {1}


def test_a_pause_is_an_end(listening: Listening, out: io.BytesIO) -> None:
    listening.pause()
    listening.listen(spoken("hel"))
    listening.pause()
    listening.pause()
    listening.listen(spoken("lo" + SILENCE))
    assert [one["text"] for one in lines(out)] == ["hel", "lo"]


def test_who_never_pauses_is_written_down_all_the_same(
    listening: Listening, out: io.BytesIO
) -> None:
    frames = UTTERANCE_MS_MAX // FRAME_MS
    listening.listen(spoken("a" * (2 * frames + 20)))
    finals = [one for one in lines(out) if one["final"]]
    assert len(finals) == 2
    assert all(one["end"] - one["start"] <= UTTERANCE_MS_MAX + FRAME_MS for one in finals)


def test_noise_is_no_text(listening: Listening, out: io.BytesIO) -> None:
    listening.listen(spoken("???" + SILENCE))
    assert lines(out) == []


def test_pieces_come_with_their_lengths(monkeypatch: pytest.MonkeyPatch, out: io.BytesIO) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", fake_pocketsphinx)
    pieces = [spoken("he"), b"", spoken("llo" + SILENCE)]
    source = b"".join(len(piece).to_bytes(4, "little") + piece for piece in pieces)
    work(io.BytesIO(source + b"\1"), out)
    assert [one["text"] for one in lines(out)] == ["he", "llo"]
