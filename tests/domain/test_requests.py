"""Requests under way to the phone: each answer finds the one who asked."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.ids import PackageName
from mentra_trio.domain.requests import Request, Requests

A, B = PackageName("com.t.a"), PackageName("com.t.b")


def requests(*, per_app: int = 3) -> Requests:
    return Requests(seconds=10.0, per_app=per_app)


def never() -> str:
    raise AssertionError("a name of the app's own would do")


def test_the_phone_is_told_the_name_that_the_app_chose() -> None:
    open_ = requests()
    entered = open_.enter(A, "r", 1.0, new_name=never)
    assert entered == Request(name="r", package=A, own_name="r", until=11.0)
    assert open_.take("r") == entered
    assert open_.take("r") is None, "answers count once"


def test_two_apps_may_choose_the_same_name() -> None:
    open_ = requests()
    open_.enter(A, "r", 0.0, new_name=never)
    second = open_.enter(B, "r", 0.0, new_name=lambda: "other")
    assert second is not None
    assert (second.name, second.own_name) == ("other", "r")
    found = open_.take("other")
    assert found is not None
    assert found.package == B


@pytest.mark.parametrize("before", [0, 2])
def test_a_name_that_is_used_again_begins_anew(before: int) -> None:
    open_ = requests()
    for number in range(before):
        open_.enter(A, f"other {number}", 0.0, new_name=never)
    open_.enter(A, "r", 0.0, new_name=never)
    open_.enter(A, "r", 9.0, new_name=never)
    assert len(open_) == before + 1
    assert [one.own_name for one in open_.take_expired(10.0)] == [
        f"other {number}" for number in range(before)
    ]
    assert open_.next_until == 19.0


def test_an_app_may_have_so_many_and_others_as_many_more() -> None:
    open_ = requests(per_app=2)
    assert open_.enter(A, "1", 0.0, new_name=never)
    assert open_.enter(A, "2", 0.0, new_name=never)
    assert open_.enter(A, "3", 0.0, new_name=never) is None
    assert open_.enter(B, "3", 0.0, new_name=never)
    open_.forget(A)
    assert open_.enter(A, "3", 0.0, new_name=lambda: "new")
    assert open_.take("1") is None


def test_they_expire_oldest_first() -> None:
    open_ = requests()
    for second, name in enumerate("xyz"):
        open_.enter(A, name, float(second), new_name=never)
    assert open_.next_until == 10.0
    assert [one.name for one in open_.take_expired(11.0)] == ["x", "y"]
    assert open_.next_until == 12.0
    assert [one.name for one in open_.take_expired(11.0)] == []


@given(
    st.lists(st.tuples(st.sampled_from([A, B]), st.sampled_from("xyz"), st.booleans()), max_size=30)
)
def test_no_answer_ever_goes_to_another_app(course: list[tuple[PackageName, str, bool]]) -> None:
    names = count()
    open_ = requests(per_app=2)
    waiting: dict[tuple[PackageName, str], str] = {}
    for now, (package, own_name, answered) in enumerate(course):
        if answered and (package, own_name) in waiting:
            found = open_.take(waiting.pop((package, own_name)))
            assert found is not None
            assert (found.package, found.own_name) == (package, own_name)
            continue
        entered = open_.enter(package, own_name, now / 100, new_name=lambda: f"new {next(names)}")
        mine = [key for key in waiting if key[0] == package]
        if entered is None:
            assert len(mine) == 2
            assert (package, own_name) not in waiting
        else:
            waiting[package, own_name] = entered.name
        assert len(open_) == len(waiting) == len(set(waiting.values()))
