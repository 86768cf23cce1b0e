"""How long a location is good for, and who waits for which (protocol.md 6.8)."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.ids import PackageName
from mentra_trio.domain.location import (
    FRESH_S,
    POLLS_PER_APP,
    Asked,
    Polls,
    accuracy_of,
    is_finer,
    is_on_earth,
)
from mentra_trio.domain.streams import LOCATION_TIERS

A, B = PackageName("com.t.a"), PackageName("com.t.b")


def polls() -> Polls:
    return Polls(wait_s=15.0, share_s=3.0)


def ask(polls: Polls, package: PackageName, name: str, accuracy: str, now: float) -> Asked | None:
    return polls.ask(package, name, accuracy, now, new_name=lambda: "new")


def who(polls: Polls, name: str, now: float) -> list[tuple[PackageName, str]]:
    return [(one.package, one.own_name) for one in polls.answered(name, now)]


def test_every_tier_has_its_age_and_the_finer_the_younger() -> None:
    assert set(FRESH_S) == set(LOCATION_TIERS)
    ages = [FRESH_S[tier] for tier in LOCATION_TIERS]
    assert ages == sorted(ages, reverse=True)
    assert FRESH_S == {
        "realtime": 1,
        "high": 10,
        "standard": 30,
        "tenMeters": 30,
        "hundredMeters": 60,
        "kilometer": 300,
        "threeKilometers": 900,
        "reduced": 900,
    }


@pytest.mark.parametrize("asked", [None, "", "HIGH", "exact"])
def test_an_unknown_accuracy_is_the_coarsest(asked: str | None) -> None:
    assert accuracy_of(asked) == "reduced"
    assert accuracy_of("high") == "high"


@pytest.mark.parametrize(
    ("lat", "lng", "there"),
    [(0, 0, True), (90, -180, True), (-90, 180, True), (90.1, 0, False), (0, 180.5, False)],
)
def test_places(lat: float, lng: float, *, there: bool) -> None:
    assert is_on_earth(lat, lng) is there
    assert not is_on_earth(float("nan"), 0)


def test_one_answer_serves_those_who_ask_for_no_more() -> None:
    open_ = polls()
    first = ask(open_, A, "a", "high", 0.0)
    assert first is not None
    assert (first.name, first.accuracy) == ("a", "high")
    assert ask(open_, B, "b", "high", 1.0) is None
    assert ask(open_, A, "a2", "reduced", 2.9) is None
    assert who(open_, "a", 5.0) == [(A, "a"), (B, "b"), (A, "a2")]
    assert who(open_, "a", 5.0) == [], "once"


def test_who_wants_it_finer_or_asks_long_after_asks_anew() -> None:
    open_ = polls()
    assert ask(open_, A, "a", "standard", 0.0)
    finer = ask(open_, B, "b", "high", 1.0)
    assert finer is not None
    assert finer.name == "b"
    assert ask(open_, B, "late", "standard", 4.5) is not None
    assert who(open_, "b", 5.0) == [(B, "b")]
    assert who(open_, "a", 5.0) == [(A, "a")]


def test_two_apps_may_choose_the_same_name() -> None:
    open_ = polls()
    ask(open_, A, "x", "standard", 0.0)
    second = ask(open_, B, "x", "high", 0.0)
    assert second is not None
    assert second.name == "new"
    assert who(open_, "new", 1.0) == [(B, "x")]


def test_who_waits_too_long_waits_no_more() -> None:
    open_ = polls()
    ask(open_, A, "a", "high", 0.0)
    ask(open_, B, "b", "high", 2.0)
    assert open_.waiting(A) == 1
    assert who(open_, "a", 15.0) == [(B, "b")]
    ask(open_, A, "a", "high", 20.0)
    assert who(open_, "a", 35.0) == []
    assert open_.waiting(A) == 0


def test_a_phone_that_comes_is_asked_all_that_is_unanswered() -> None:
    open_ = polls()
    ask(open_, A, "a", "standard", 0.0)
    ask(open_, B, "b", "realtime", 4.0)
    assert [one.name for one in open_.unanswered(10.0)] == ["a", "b"]
    assert ask(open_, A, "a2", "high", 12.0) is None, "it was asked just now"
    assert [one.name for one in open_.unanswered(16.0)] == ["b"]


def test_an_app_that_is_over_waits_for_nothing() -> None:
    open_ = polls()
    ask(open_, A, "a", "high", 0.0)
    ask(open_, B, "b", "high", 0.0)
    open_.forget(A)
    assert who(open_, "a", 1.0) == [(B, "b")]


def test_an_app_has_so_many_and_then_its_oldest_is_forgotten() -> None:
    open_ = polls()
    for number in range(POLLS_PER_APP + 5):
        ask(open_, A, f"a{number}", "high", number / 100)
    ask(open_, B, "b", "high", 1.0)
    assert open_.waiting(A) == POLLS_PER_APP
    found = who(open_, "a0", 1.0)
    assert found[0] == (A, "a5")
    assert found[-1] == (B, "b")


steps = st.tuples(
    st.sampled_from([A, B]),
    st.sampled_from(["x", "y", "z"]),
    st.sampled_from(LOCATION_TIERS),
    st.floats(0, 8),
    st.booleans(),
)


@given(st.lists(steps, max_size=40))
def test_everybody_is_answered_by_a_question_that_is_fine_enough(
    course: list[tuple[PackageName, str, str, float, bool]],
) -> None:
    names, open_, now = count(), polls(), 0.0
    sent: dict[str, str] = {}
    waiting: dict[tuple[PackageName, str], tuple[str, float]] = {}
    for package, own_name, accuracy, seconds, answered in course:
        now += seconds
        new = open_.ask(package, own_name, accuracy, now, new_name=lambda: f"new {next(names)}")
        if new is not None:
            sent[new.name] = new.accuracy
        waiting[package, own_name] = (accuracy, now + 15.0)
        if answered:
            name = next(reversed(sent))
            for asker in open_.answered(name, now):
                wanted, until = waiting.pop((asker.package, asker.own_name))
                assert not is_finer(wanted, sent[name])
                assert now < until
    expected = sum(until > now for _, until in waiting.values())
    assert open_.waiting(A) + open_.waiting(B) == expected
