"""At most one standard app at a time: the one that was asked for last."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.apps import AppKind
from mentra_trio.domain.foreground import Contender, in_foreground, who_gives_way
from mentra_trio.domain.ids import package_name

contenders = st.lists(
    st.builds(
        Contender,
        package=st.sampled_from([package_name(f"com.t.{name}") for name in "abcdef"]),
        kind=st.sampled_from([None, *AppKind]),
        asked=st.integers(-3, 3),
    ),
    unique_by=lambda one: one.package,
)


def an_app(name: str, asked: int, kind: AppKind | None = AppKind.STANDARD) -> Contender:
    return Contender(package=package_name(f"com.t.{name}"), kind=kind, asked=asked)


@given(contenders)
def test_exactly_one_standard_app_is_left_and_it_was_asked_for_last(
    everybody: list[Contender],
) -> None:
    standard = {one.package: one.asked for one in everybody if one.kind is AppKind.STANDARD}
    leaving, foremost = who_gives_way(everybody), in_foreground(everybody)
    assert (foremost is None) == (not standard)
    assert set(leaving) == standard.keys() - {foremost}
    assert all(standard[one] <= standard[foremost] for one in leaving if foremost is not None)


@given(contenders)
def test_nobody_else_stops_or_stops_anybody(everybody: list[Contender]) -> None:
    standard = [one for one in everybody if one.kind is AppKind.STANDARD]
    assert who_gives_way(everybody) == who_gives_way(standard)
    assert in_foreground(everybody) == in_foreground(standard)


@given(contenders.flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_it_is_the_same_whoever_is_looked_at_first(
    orders: tuple[list[Contender], list[Contender]],
) -> None:
    one, other = orders
    assert who_gives_way(one) == who_gives_way(other)
    assert in_foreground(one) == in_foreground(other)


@given(contenders)
def test_once_they_have_given_way_nobody_else_has_to(everybody: list[Contender]) -> None:
    leaving = who_gives_way(everybody)
    rest = [one for one in everybody if one.package not in leaving]
    assert who_gives_way(rest) == ()
    assert in_foreground(rest) == in_foreground(everybody)


@given(contenders, st.sampled_from("abcdef"))
def test_who_is_asked_for_now_stays(everybody: list[Contender], name: str) -> None:
    now = an_app(name, asked=100)
    others = [one for one in everybody if one.package != now.package]
    assert in_foreground([*others, now]) == now.package
    assert now.package not in who_gives_way([*others, now])


def test_of_two_that_were_asked_for_at_once_the_last_by_name_stays() -> None:
    pair = [an_app("a", 1), an_app("b", 1)]
    assert who_gives_way(pair) == who_gives_way(pair[::-1]) == (package_name("com.t.a"),)
