"""The oracle objects to each thing that must not happen, and to nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mentra_trio.domain.attachment import UserState
from mentra_trio.domain.close_reasons import LINK_LOST
from mentra_trio.domain.facts import (
    AppStateChanged,
    AttemptBegan,
    Crashed,
    Fact,
    FreshSession,
    LinkAttached,
    LinkEnded,
    UserStateChanged,
)
from mentra_trio.domain.ids import AppSessionId, PackageName, package_name, user_id
from mentra_trio.domain.lifecycle import AppEvent, AppState
from mentra_trio.ports import SessionCall
from mentra_trio.testing.household import APP, USER
from mentra_trio.testing.oracle import Oracle

KEY = (USER, APP)
OTHER = package_name("com.t.b")
CALL = SessionCall(
    url="http://a.test",
    user=USER,
    package=APP,
    session_id=AppSessionId("s"),
    websocket_url="ws://x/s/t1/app-ws",
    timestamp="now",
)


def moved(
    old: AppState | None, new: AppState, event: AppEvent | None = None, package: PackageName = APP
) -> Fact:
    return AppStateChanged(user=USER, package=package, old=old, new=new, event=event, cause="")


def user_moved(old: UserState | None, new: UserState | None) -> Fact:
    return UserStateChanged(user=USER, old=old, new=new, cause="")


def attached(package: PackageName | None = APP) -> Fact:
    return LinkAttached(endpoint="x", user=USER, package=package, peer="p")


def ended(package: PackageName | None = APP) -> Fact:
    return LinkEnded(endpoint="x", user=USER, package=package, peer="p", reason=LINK_LOST)


def began(epoch: int) -> Fact:
    return FreshSession(user=USER, package=APP, cause="", epoch=epoch)


def attempt() -> Fact:
    return AttemptBegan(user=USER, package=APP, resurrection=False, attempt=1)


STARTED = (moved(None, AppState.CONNECTING), began(1), attempt())
RUNS = (
    *STARTED,
    attached(),
    moved(AppState.CONNECTING, AppState.RUNNING, AppEvent.LINK_ATTACHED),
)
LOST = (*RUNS, ended(), moved(AppState.RUNNING, AppState.GRACE_PERIOD, AppEvent.LINK_LOST))
STOPPED = (
    *RUNS,
    moved(AppState.RUNNING, AppState.STOPPING, AppEvent.STOP_REQUESTED),
    ended(),
    moved(AppState.STOPPING, AppState.STOPPED, AppEvent.WOUND_DOWN),
)
RELEASED = (*RUNS, ended(), moved(AppState.RUNNING, AppState.DORMANT, AppEvent.LINK_RELEASED))
HERE = (
    user_moved(None, UserState.INITIALIZING),
    user_moved(UserState.INITIALIZING, UserState.CONNECTING),
    attached(None),
    user_moved(UserState.CONNECTING, UserState.CONNECTED),
)


@pytest.fixture(autouse=True)
def _time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio.current_time", lambda: 1.0)


@pytest.mark.parametrize("facts", [STARTED, RUNS, LOST, STOPPED, RELEASED, HERE])
def test_what_is_in_order_is_not_objected_to(facts: tuple[Fact, ...]) -> None:
    oracle = Oracle()
    for fact in facts:
        oracle.note(fact)
    oracle.check()


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ((*RUNS, moved(None, AppState.CONNECTING)), "began as CONNECTING while"),
        ((moved(None, AppState.RUNNING),), "began as RUNNING, out of nothing"),
        ((*RUNS, moved(AppState.GRACE_PERIOD, AppState.RUNNING)), "left GRACE_PERIOD, but was"),
        (
            (*RUNS, moved(AppState.RUNNING, AppState.BACKOFF, AppEvent.LINK_LOST)),
            "moved off the table",
        ),
        ((*RUNS, attached()), "has two live links"),
        ((*LOST, ended()), "its link ended twice"),
        ((*LOST, attempt()), "an attempt while AppState.GRACE_PERIOD"),
        ((*RELEASED, attempt()), "an attempt while AppState.DORMANT"),
        ((*STOPPED, moved(None, AppState.CONNECTING), began(1)), "life 1 comes again"),
        (
            (*RUNS, moved(AppState.RUNNING, AppState.STOPPED, AppEvent.STOP_REQUESTED)),
            "is over, and a link is left",
        ),
        ((*HERE, attached(None)), "has two glasses"),
        ((*HERE, ended(None), ended(None)), "glasses ended twice"),
        ((*HERE, user_moved(UserState.CONNECTED, None)), "session is over, and glasses are left"),
        (
            (*HERE, user_moved(UserState.CONNECTED, UserState.INITIALIZING)),
            "moved off the table",
        ),
        ((*HERE, *RUNS, user_moved(UserState.CONNECTED, None)), "outlives its user's session"),
        ((Crashed(bulkhead="app session", who="x", error=ValueError("planted")),), "planted"),
    ],
)
def test_what_is_not_is(facts: tuple[Fact, ...], problem: str) -> None:
    oracle = Oracle()
    for fact in facts:
        oracle.note(fact)
    with pytest.raises(AssertionError, match=problem):
        oracle.check()


def twice_called(oracle: Oracle) -> None:
    oracle.call_began(CALL)
    oracle.call_began(CALL)


def stopped_and_called(oracle: Oracle) -> None:
    oracle.commanded(KEY, False)
    oracle.call_began(CALL)


def heard_late(oracle: Oracle) -> None:
    for _ in range(2):
        oracle.speaks(USER)
    oracle.hears(KEY, USER, 2)
    oracle.hears(KEY, USER, 1)


def heard_twice(oracle: Oracle) -> None:
    oracle.speaks(USER)
    oracle.hears(KEY, USER, 1)
    oracle.hears(KEY, USER, 1)


def heard_of_another(oracle: Oracle) -> None:
    oracle.speaks(USER)
    oracle.hears(KEY, user_id("u-2@x.org"), 1)


def heard_what_nobody_said(oracle: Oracle) -> None:
    oracle.hears(KEY, USER, 1)


@pytest.mark.parametrize(
    ("deed", "problem"),
    [
        (twice_called, "two attempts are in flight"),
        (stopped_and_called, "a webhook after the user's stop"),
        (heard_late, "heard 1 after 2"),
        (heard_twice, "heard 1 after 1"),
        (heard_of_another, "heard what u-2@x.org said"),
        (heard_what_nobody_said, "never said"),
    ],
)
def test_what_a_test_does_and_hears(deed: Callable[[Oracle], None], problem: str) -> None:
    oracle = Oracle()
    for fact in STARTED:
        oracle.note(fact)
    oracle.check()
    deed(oracle)
    with pytest.raises(AssertionError, match=problem):
        oracle.check()


def test_what_a_dying_server_had_not_written_down_may_be_heard_twice() -> None:
    oracle = Oracle()
    oracle.speaks(USER)
    oracle.hears(KEY, USER, 1)
    oracle.server_died(0.1)
    oracle.hears(KEY, USER, 1)
    oracle.check()


@pytest.mark.parametrize(("again", "problem"), [(1, "heard 1 after 2"), (2, "heard 2 after 2")])
def test_but_not_three_times_nor_what_was_heard_since(again: int, problem: str) -> None:
    oracle = Oracle()
    for number in (1, 2):
        oracle.speaks(USER)
        oracle.hears(KEY, USER, number)
        if number == 1:
            oracle.server_died(0.1)
    oracle.hears(KEY, USER, 1)
    oracle.check()
    oracle.hears(KEY, USER, again)
    with pytest.raises(AssertionError, match=problem):
        oracle.check()


def test_who_starts_one_standard_app_does_not_want_the_other_any_more() -> None:
    oracle = Oracle(exclusive=frozenset({APP, OTHER}))
    oracle.commanded(KEY, True)
    oracle.commanded((USER, OTHER), True)
    assert oracle.wanted == {KEY: False, (USER, OTHER): True}
