"""Rooms, against a plain set of who is where."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mentra_trio.domain.ids import PackageName, UserId
from mentra_trio.domain.rooms import (
    METADATA_BYTES_MAX,
    ROOM_ID_CHARACTERS_MAX,
    ROOMS_AT_ONCE,
    Change,
    Denial,
    RoomConfig,
    Rooms,
)

A, B = PackageName("com.t.a"), PackageName("com.t.b")
ANN, BEN, CAT = (UserId(f"{name}@x.org") for name in ("ann", "ben", "cat"))

packages = st.sampled_from((A, B))
users = st.sampled_from((ANN, BEN, CAT))
room_ids = st.sampled_from(("one", "two", "three"))
bounds = st.none() | st.sampled_from((-1, 0, 1, 2, 2.5, 3))


class RoomsMachine(RuleBasedStateMachine):
    """The oracle knows who is where, in order, and the bound of the room's first guest."""

    def __init__(self) -> None:
        super().__init__()
        self.rooms = Rooms()
        self.there: dict[tuple[PackageName, str], list[UserId]] = {}
        self.bound: dict[tuple[PackageName, str], float | None] = {}

    @rule(package=packages, user=users, room_id=room_ids, bound=bounds)
    def joins(self, package: PackageName, user: UserId, room_id: str, bound: Any) -> None:
        place = (package, room_id)
        inside = self.there.get(place, [])
        limit = self.bound.get(place, bound)
        answer = self.rooms.join(package, user, room_id, RoomConfig(max_users=bound))
        if user in inside:
            assert isinstance(answer, Change)
            assert not answer.news
        elif limit is not None and limit > 0 and len(inside) + 1 > limit:
            assert answer is Denial.ROOM_FULL
            return
        else:
            self.bound[place] = limit
            inside = self.there.setdefault(place, [])
            inside.append(user)
            assert isinstance(answer, Change)
            assert answer.news
        assert answer.members == tuple(inside)
        assert answer.config.max_users == self.bound[place]

    @rule(package=packages, user=users, room_id=room_ids)
    def leaves(self, package: PackageName, user: UserId, room_id: str) -> None:
        answer = self.rooms.leave(package, user, room_id)
        inside = self.there.get((package, room_id), [])
        assert (answer is not None) == (user in inside)
        if answer is not None:
            self._gone(package, user, room_id)
            assert answer.members == tuple(self.there.get((package, room_id), ()))

    @rule(package=packages, user=users)
    def leaves_all(self, package: PackageName, user: UserId) -> None:
        left = {change.room_id for change in self.rooms.leave_all(package, user)}
        assert left == {
            room_id for (of, room_id), who in self.there.items() if of == package and user in who
        }
        for room_id in left:
            self._gone(package, user, room_id)

    def _gone(self, package: PackageName, user: UserId, room_id: str) -> None:
        self.there[package, room_id].remove(user)
        if not self.there[package, room_id]:
            del self.there[package, room_id], self.bound[package, room_id]

    @invariant()
    def both_sides_agree(self) -> None:
        assert len(self.rooms) == len(self.there)
        for package in (A, B):
            for room_id in ("one", "two", "three"):
                expected = tuple(self.there.get((package, room_id), ()))
                assert self.rooms.members(package, room_id) == expected
            for user in (ANN, BEN, CAT):
                mine = {r for (p, r), who in self.there.items() if p == package and user in who}
                assert set(self.rooms.of(package, user)) == mine


TestRooms = RoomsMachine.TestCase


@pytest.mark.parametrize(
    ("room_id", "config", "denial"),
    [
        ("", RoomConfig(), Denial.ROOM_ID_INVALID),
        ("r" * (ROOM_ID_CHARACTERS_MAX + 1), RoomConfig(), Denial.ROOM_ID_INVALID),
        (
            "r",
            RoomConfig(metadata_bytes=METADATA_BYTES_MAX + 1),
            Denial.ROOM_METADATA_TOO_LARGE,
        ),
    ],
)
def test_who_does_not_get_in_leaves_nothing_behind(
    room_id: str, config: RoomConfig, denial: Denial
) -> None:
    rooms = Rooms()
    assert rooms.join(A, ANN, room_id, config) is denial
    assert len(rooms) == 0
    assert rooms.of(A, ANN) == ()


def test_the_bounds_themselves_are_allowed() -> None:
    config = RoomConfig(metadata_bytes=METADATA_BYTES_MAX)
    assert isinstance(Rooms().join(A, ANN, "r" * ROOM_ID_CHARACTERS_MAX, config), Change)


def test_a_large_wish_for_a_room_that_is_there_counts_for_nothing() -> None:
    rooms = Rooms()
    rooms.join(A, ANN, "r")
    change = rooms.join(A, BEN, "r", RoomConfig(max_users=1, metadata_bytes=10**6))
    assert isinstance(change, Change)
    assert change.config == RoomConfig()


def test_a_user_is_in_so_many_rooms_of_an_app_and_in_others_of_another() -> None:
    rooms = Rooms()
    for number in range(ROOMS_AT_ONCE):
        assert isinstance(rooms.join(A, ANN, str(number)), Change)
    assert rooms.join(A, ANN, "one more") is Denial.TOO_MANY_ROOMS
    assert isinstance(rooms.join(A, ANN, "0"), Change), "it is in that one already"
    assert isinstance(rooms.join(B, ANN, "one more"), Change)
    assert isinstance(rooms.join(A, BEN, "one more"), Change)
    rooms.leave(A, ANN, "0")
    assert isinstance(rooms.join(A, ANN, "one more"), Change)


def test_nothing_is_remembered_of_who_has_left() -> None:
    rooms = Rooms()
    for user in (ANN, BEN):
        rooms.join(A, user, "one")
        rooms.join(A, user, "two")
    rooms.leave(A, ANN, "one")
    rooms.leave(A, ANN, "two")
    rooms.leave_all(A, BEN)
    assert not rooms._rooms
    assert not rooms._joined
