"""The journal: bounded, in order, and able to say why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from mentra_trio.domain import facts
from mentra_trio.domain.attachment import UserState
from mentra_trio.domain.close_reasons import LINK_LOST
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.domain.lifecycle import AppEvent, AppState
from mentra_trio.environment import Environment
from mentra_trio.telemetry.journal import Journal

USER, PACKAGE = user_id("ann@example.com"), package_name("com.example.captions")
OTHER = package_name("com.example.notes")


class Clock:
    """One second later at every look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def journal(*, per_user: int = 200, users: int = 1000, facts: int = 200_000) -> Journal:
    return Journal(Environment(utcnow=Clock()), per_user=per_user, users=users, facts=facts)


def moved(
    old: AppState | None,
    new: AppState,
    cause: str,
    package: str = PACKAGE,
) -> facts.AppStateChanged:
    return facts.AppStateChanged(
        user=USER,
        package=package_name(package),
        old=old,
        new=new,
        event=AppEvent.LINK_LOST if old else None,
        cause=cause,
        seconds=3.00049,
    )


def test_entries_are_json_newest_last() -> None:
    kept = journal()
    kept.emit(moved(None, AppState.CONNECTING, "asked for"))
    kept.emit(
        facts.LinkEnded(
            endpoint="app", user=USER, package=PACKAGE, peer="1.2.3.4:5", reason=LINK_LOST
        )
    )
    kept.emit(facts.ServerDraining())
    entries = kept.entries(USER, 10)
    assert json.loads(json.dumps(entries)) == entries
    assert [entry["fact"] for entry in entries] == ["AppStateChanged", "LinkEnded"]
    assert entries[0] == {
        "at": "2026-01-31T12:00:01.000Z",
        "fact": "AppStateChanged",
        "userId": "ann@example.com",
        "packageName": "com.example.captions",
        "old": None,
        "new": "connecting",
        "event": None,
        "cause": "asked for",
        "seconds": 3.0,
    }
    assert entries[1]["reason"] == "1006 Connection lost"
    assert kept.entries(USER, 1) == entries[1:]
    assert kept.entries(USER, 0) == []
    assert kept.entries(user_id("nobody"), 10) == []


def trouble(name: str) -> facts.StoreTrouble:
    return facts.StoreTrouble(user=user_id(name), problem="x")


def over(name: str) -> facts.UserStateChanged:
    return facts.UserStateChanged(
        user=user_id(name), old=UserState.DISCONNECTING, new=None, cause="session over"
    )


def back(name: str) -> facts.UserStateChanged:
    return facts.UserStateChanged(
        user=user_id(name), old=None, new=UserState.CONNECTING, cause="glasses came"
    )


def lengths(kept: Journal, *names: str) -> list[int]:
    return [len(kept.entries(user_id(name), 999)) for name in names]


def test_it_is_bounded_per_user() -> None:
    kept = journal(per_user=3)
    for number in range(10):
        kept.emit(moved(None, AppState.CONNECTING, f"cause {number}"))
    assert [entry["cause"] for entry in kept.entries(USER, 99)] == ["cause 7", "cause 8", "cause 9"]


def test_of_those_whose_session_is_over_the_one_who_was_quiet_longest_is_forgotten() -> None:
    kept = journal(users=2)
    for name in ("ann", "bob"):
        kept.emit(over(name))
    kept.emit(trouble("ann"))
    kept.emit(over("cid"))
    assert lengths(kept, "ann", "bob", "cid") == [2, 0, 1]


def test_nobody_who_has_a_session_is_forgotten_for_another() -> None:
    kept = journal(users=2)
    names = [f"u{number}" for number in range(10_000)]
    for name in names:
        kept.emit(back(name))
        kept.emit(trouble(name))
    assert set(lengths(kept, *names)) == {2}


def test_many_users_share_the_room_and_have_it_again_when_there_are_fewer() -> None:
    kept = journal(per_user=10, facts=20)
    for _ in range(30):
        kept.emit(trouble("ann"))
    assert lengths(kept, "ann") == [10]
    for name in ("bob", "cid", "dan"):
        kept.emit(trouble(name))
    assert lengths(kept, "ann", "bob", "cid", "dan") == [5, 1, 1, 1]
    for name in ("bob", "cid", "dan"):
        kept.emit(over(name))
    for _ in range(30):
        kept.emit(trouble("ann"))
    assert lengths(kept, "ann", "bob", "cid", "dan") == [10, 2, 2, 2]


def test_who_comes_back_has_the_room_of_the_others() -> None:
    kept = journal(per_user=10, facts=20)
    for _ in range(30):
        kept.emit(trouble("ann"))
    kept.emit(over("ann"))
    for number in range(7):  # with eight of them, the share of each is the same
        kept.emit(trouble(f"u{number}"))
    kept.emit(back("ann"))
    assert lengths(kept, "ann", "u0") == [2, 1]
    assert kept.entries(user_id("ann"), 1)[0]["cause"] == "glasses came"


async def test_who_follows_sees_the_very_entry_that_is_kept() -> None:
    kept = journal()
    with kept.follow(None) as follower:
        kept.emit(trouble("ann"))
        assert await follower.next() == kept.entries(user_id("ann"), 9)


def test_even_those_with_a_session_are_bounded() -> None:
    kept = journal(facts=5)
    for number in range(9):
        kept.emit(trouble(f"u{number}"))
    assert lengths(kept, "u0", "u3", "u4", "u8") == [0, 0, 1, 1]


def test_of_those_with_a_session_too_the_one_who_was_quiet_longest_is_forgotten() -> None:
    kept = journal(facts=3)
    for name in ("ann", "bob", "cid", "ann", "dan"):
        kept.emit(trouble(name))
    assert lengths(kept, "ann", "bob", "cid", "dan") == [1, 0, 1, 1]


def test_a_list_of_usual_length_is_kept_as_it_is() -> None:
    kept = journal()
    for number in (20, 21):
        names = tuple(f"s{one}" for one in range(number))
        kept.emit(
            facts.SubscriptionsChanged(user=USER, package=PACKAGE, streams=(), rejected=names)
        )
        assert kept.entries(USER, 1)[0]["rejected"] == list(names[:20])


def test_long_lists_are_cut() -> None:
    kept = journal()
    streams = tuple(f"s{number}" for number in range(200))
    kept.emit(facts.SubscriptionsChanged(user=USER, package=PACKAGE, streams=streams, rejected=()))
    assert len(kept.entries(USER, 1)[0]["streams"]) == 20


def test_the_story_tells_what_led_to_the_state_and_ends_with_it() -> None:
    kept = journal()
    kept.emit(moved(None, AppState.CONNECTING, "of an earlier life"))
    kept.emit(moved(None, AppState.CONNECTING, "asked for"))
    kept.emit(moved(AppState.CONNECTING, AppState.RUNNING, "link attached"))
    kept.emit(moved(AppState.RUNNING, AppState.GRACE_PERIOD, "of another app", OTHER))
    kept.emit(
        facts.LinkEnded(endpoint="app", user=USER, package=PACKAGE, peer="p", reason=LINK_LOST)
    )
    kept.emit(moved(AppState.RUNNING, AppState.GRACE_PERIOD, "link lost"))
    kept.emit(facts.StoreTrouble(user=USER, problem="later"))
    lines = kept.story(USER, PACKAGE)
    assert [line.partition(" ")[2] for line in lines] == [
        "com.example.captions became connecting: asked for",
        "com.example.captions became running after 3.0 s connecting: link attached",
        "the app link ended: 1006 Connection lost",
        "com.example.captions became grace_period after 3.0 s running: link lost",
    ]
    times = [line.partition(" ")[0] for line in lines]
    assert times == sorted(times)


def test_a_story_has_at_most_five_lines() -> None:
    kept = journal()
    for number in range(20):
        kept.emit(facts.StoreTrouble(user=USER, problem=f"disk full {number}"))
    kept.emit(moved(AppState.RUNNING, AppState.GRACE_PERIOD, "link lost"))
    lines = kept.story(USER, PACKAGE)
    assert len(lines) == 5
    assert "grace_period" in lines[-1]
    assert [line[-2:] for line in lines[:-1]] == ["16", "17", "18", "19"], "the latest of them"


@pytest.mark.parametrize("user", ["nobody", "ann@example.com"])
def test_the_story_of_nothing_says_so(user: str) -> None:
    kept = journal()
    kept.emit(facts.StoreTrouble(user=USER, problem="disk full"))
    [line] = kept.story(user_id(user), PACKAGE)
    assert "nothing is known" in line


def test_every_fact_that_can_explain_has_a_sentence() -> None:
    kept = journal()
    kept.emit(moved(None, AppState.CONNECTING, "asked for"))
    for stage, message in (("TIMEOUT", "no init"), ("", "")):
        kept.emit(
            facts.StartEnded(user=USER, package=PACKAGE, stage=stage, message=message, seconds=10)
        )
    kept.emit(
        facts.WebhookCalled(
            user=USER,
            package=PACKAGE,
            kind="session",
            result="refused",
            seconds=0.1,
            problem="cannot connect",
        )
    )
    kept.emit(moved(AppState.CONNECTING, AppState.RUNNING, "link attached"))
    text = "\n".join(kept.story(USER, PACKAGE))
    assert "failed after 10.0 s at TIMEOUT: no init" in text
    assert "the start succeeded" in text
    assert "session webhook: refused after 0.1 s (cannot connect)" in text
