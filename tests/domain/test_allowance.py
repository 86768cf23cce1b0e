"""How often somebody may ask."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain import allowance
from mentra_trio.domain.allowance import Allowance

GAPS = st.lists(st.floats(0, 30, allow_nan=False), max_size=60)


@given(GAPS)
def test_never_more_than_allowed_in_any_stretch(gaps: list[float]) -> None:
    let, now, through = Allowance(5, 60.0), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if let.wait("a", now) == 0:
            through.append(now)
    for first, sixth in zip(through, through[5:], strict=False):
        assert sixth >= first + 60.0


@given(GAPS)
def test_who_waits_as_long_as_it_is_told_is_let_through(gaps: list[float]) -> None:
    let, now = Allowance(3, 60.0), 0.0
    for gap in gaps:
        now += gap
        if (wait := let.wait("a", now)) > 0:
            assert wait <= 60.0
            now += wait + 1e-6
            assert let.wait("a", now) == 0


def test_each_caller_for_itself() -> None:
    let = Allowance(2, 60.0)
    assert [let.wait("a", 0.0) for _ in range(3)] == [0, 0, 60.0]
    assert let.wait("b", 1.0) == 0
    assert let.wait("a", 10.0) == 50.0


def test_callers_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "CALLERS_MAX", 2)
    let = Allowance(1, 60.0)
    for caller in ("a", "b"):
        assert let.wait(caller, 0.0) == 0
    assert let.wait("a", 1.0) == 59.0  # so b has been quiet longest
    assert let.wait("c", 2.0) == 0
    assert let.wait("a", 3.0) == 57.0
    assert let.wait("b", 4.0) == 0
