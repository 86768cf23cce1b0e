"""Fields in log lines: what is remembered of them, and what must not be."""

from __future__ import annotations

import hashlib

from mentra_trio.domain import facts
from mentra_trio.domain.attachment import UserState
from mentra_trio.domain.close_reasons import APP_SILENT, CloseReason
from mentra_trio.domain.facts import Fact
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.domain.lifecycle import AppEvent, AppState
from mentra_trio.telemetry.log_fields import USERS_REMEMBERED, user_hash, words_for
from mentra_trio.telemetry.logfmt import known_word

USER, PACKAGE = user_id("ann@example.com"), package_name("com.example.captions")
ANN = "u:" + hashlib.sha256(b"ann@example.com").hexdigest()[:12]


def words(fact: Fact, *, as_given: bool = False) -> str:
    return words_for(type(fact), user_ids_as_given=as_given)(fact)


def ended(reason: CloseReason) -> Fact:
    return facts.LinkEnded(
        endpoint="app", user=USER, package=PACKAGE, peer=f"{PACKAGE} at [::1]:5", reason=reason
    )


def test_fields_stand_in_the_order_of_the_fact() -> None:
    moved = facts.AppStateChanged(
        user=USER,
        package=PACKAGE,
        old=AppState.GRACE_PERIOD,
        new=AppState.RUNNING,
        event=AppEvent.LINK_ATTACHED,
        cause="link attached",
        seconds=1.23456,
    )
    assert words(moved) == (
        f" user={ANN} package={PACKAGE} old=grace_period new=running trigger=link_attached"
        ' cause="link attached" seconds=1.235'
    )
    came = facts.UserStateChanged(user=USER, old=None, new=UserState.CONNECTING, cause="came")
    assert words(came) == f" user={ANN} new=CONNECTING cause=came"
    assert words(came, as_given=True) == f" user={USER} new=CONNECTING cause=came"
    peer = f'"{PACKAGE} at [::1]:5"'
    start = f" endpoint=app user={ANN} package={PACKAGE} peer={peer}"
    assert words(ended(APP_SILENT)) == f'{start} reason="1011 No pong received"'
    assert words(ended(CloseReason(4000, "what the peer said"))) == f"{start} reason=4000"


def test_long_texts_are_cut_everywhere() -> None:
    long = "x" * 1_000
    for cut in (
        facts.UserStateChanged(user=USER, old=None, new=None, cause=long),
        facts.StoreTrouble(user=USER, problem=long),
        facts.FrameIgnored(endpoint="e", peer=f"{PACKAGE} of {long}", problem=""),
    ):
        assert len(words(cut)) < 400
        assert len(words(cut, as_given=True)) < 400


def test_a_name_that_holds_an_address_is_masked() -> None:
    name = "ann 192.0.2.1:5000"
    ignored = facts.FrameIgnored(endpoint="glasses", peer=name, problem="x")
    assert words(ignored) == f" endpoint=glasses peer={user_hash(name)} problem=x"


def test_mail_addresses_of_others_are_masked() -> None:
    trouble = facts.StoreTrouble(user=USER, problem="no row of 'bob@example.com' here")
    bob = user_hash("bob@example.com")
    assert words(trouble) == f" user={ANN} problem=\"no row of '{bob}' here\""
    assert "bob@example.com" in words(trouble, as_given=True)


def test_what_peers_make_up_is_not_remembered() -> None:
    made_up = [
        facts.FrameIgnored(endpoint="app", peer=f"192.0.2.1:{n}", problem=f"no type {n}")
        for n in range(100)
    ]
    words(made_up[0])
    before = known_word.cache_info().currsize
    for fact in made_up:
        words(fact)
        words(fact, as_given=True)
    assert known_word.cache_info().currsize == before


def test_short_names_are_remembered_for_a_bounded_number_of_users() -> None:
    names = [user_hash(f"user {number}") for number in range(USERS_REMEMBERED + 100)]
    assert len(set(names)) == len(names)
    assert user_hash.cache_info().currsize <= USERS_REMEMBERED
    assert user_hash("user 0") == names[0], "forgotten, and found out again"
