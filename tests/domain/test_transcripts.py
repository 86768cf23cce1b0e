"""What was said lately: the right segments, and never too many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.timings import TRANSCRIPT_S
from mentra_trio.domain.transcripts import CHARACTERS_MAX, SEGMENTS_MAX, Segment, Transcripts

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def segment(seconds: float, text: str = "hello", language: str = "en-US") -> Segment:
    return Segment(at=at(seconds), language=language, text=text, name=f"{seconds:g}")


def names(kept: Transcripts, begin: float, end: float, language: str = "en-US") -> list[str]:
    found = kept.between(at(begin), at(end), language, now=at(end))
    return [one.name for one in found]


def test_a_range_has_both_its_ends() -> None:
    kept = Transcripts()
    for seconds in range(6):
        kept.add(segment(seconds))
    assert names(kept, 1, 3) == ["1", "2", "3"]
    assert names(kept, 4, 2) == []


def test_a_language_is_found_however_it_is_spelt() -> None:
    kept = Transcripts()
    kept.add(segment(0, language="en-US"))
    kept.add(segment(1, language="de-DE"))
    kept.add(segment(2, language="en"))
    assert names(kept, 0, 9) == ["0", "2"]
    assert names(kept, 0, 9, "de-AT") == ["1"]


def test_what_is_older_than_half_an_hour_is_gone() -> None:
    kept = Transcripts()
    kept.add(segment(0))
    kept.add(segment(10))
    assert names(kept, 0, TRANSCRIPT_S) == ["0", "10"]
    assert names(kept, 0, TRANSCRIPT_S + 1) == ["10"]
    kept.add(segment(TRANSCRIPT_S + 60))
    assert len(kept) == 1


def test_the_oldest_go_where_there_are_too_many() -> None:
    kept = Transcripts()
    for number in range(SEGMENTS_MAX + 5):
        kept.add(segment(number / 10))
    assert len(kept) == SEGMENTS_MAX
    assert names(kept, 0, 0.5) == ["0.5"]


def test_one_that_is_too_long_takes_none_with_it() -> None:
    kept = Transcripts()
    kept.add(segment(0))
    kept.add(segment(1, "x" * (CHARACTERS_MAX + 1)))
    assert names(kept, 0, 9) == ["0"]


@given(st.lists(st.tuples(st.floats(0, 500), st.integers(0, CHARACTERS_MAX // 3)), max_size=30))
def test_it_never_holds_more_than_it_may(course: list[tuple[float, int]]) -> None:
    kept, now = Transcripts(), 0.0
    for pause, length in course:
        now += pause
        kept.add(segment(now, "x" * length))
        held = kept.between(at(0), at(now), "en", now=at(now))
        assert len(held) == len(kept) <= SEGMENTS_MAX
        assert sum(len(one.text) for one in held) <= CHARACTERS_MAX
        assert all(now - TRANSCRIPT_S <= (one.at - BEGAN).total_seconds() + 1e-3 for one in held)
        assert held[-1:] == [segment(now, "x" * length)], "the newest is there"
