"""The log: one line after the other, each out of the process at once, and never in the way."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mentra_trio.environment import Environment
from mentra_trio.telemetry.logfmt import LEVELS, WORDS_REMEMBERED, Log, known_word, text_word

NOON = Environment(utcnow=lambda: datetime(2026, 1, 31, 12, 0, 0, 5_999, tzinfo=UTC))


def test_a_line_is_out_as_soon_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", buffering=1 << 16) as stream:
        log = Log(stream, environment=NOON)
        for number in range(3):
            log.put(f"line {number}")
            assert path.read_text().splitlines() == [f"line {n}" for n in range(number + 1)]


def test_a_line_of_the_program_itself() -> None:
    stream = io.StringIO()
    Log(stream, environment=NOON).write("warning", "two words", folder="/a b", count=0, none=None)
    assert stream.getvalue() == (
        'timestamp=2026-01-31T12:00:00.005Z level=warning event="two words" folder="/a b" count=0\n'
    )


@pytest.mark.parametrize("lowest", LEVELS)
def test_what_is_below_the_level_is_not_written(lowest: str) -> None:
    stream = io.StringIO()
    for level in LEVELS:
        Log(stream, lowest).write(level, level)
    words = [line.rpartition("=")[2] for line in stream.getvalue().splitlines()]
    assert words == list(LEVELS[LEVELS.index(lowest) :])


class Gone(io.StringIO):
    """A pipe whose reader has gone."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_log_that_nobody_reads_hurts_nobody() -> None:
    for stream in (Gone(), io.StringIO()):
        log = Log(stream)
        stream.close()
        log.put("line")
    Log(Gone()).put("line")


def test_words_that_are_remembered_are_few_and_the_same() -> None:
    for number in range(WORDS_REMEMBERED + 100):
        text = f'{number} "words"'
        assert known_word("a", text) == text_word("a", text) == f' a="{number} \\"words\\""'
    assert known_word("b", "0") == " b=0", "the name counts, too"
    assert known_word.cache_info().currsize <= WORDS_REMEMBERED
