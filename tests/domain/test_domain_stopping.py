"""How the end of an app session is told, by cause."""

from __future__ import annotations

import pytest

from mentra_trio.domain.close_reasons import FINAL_FOR_SDK
from mentra_trio.domain.lifecycle import StopCause, wire_reason
from mentra_trio.domain.stopping import FAREWELLS


@pytest.mark.parametrize("cause", StopCause)
def test_every_cause_has_a_farewell_and_a_word_of_the_wire(cause: StopCause) -> None:
    assert cause in FAREWELLS
    assert wire_reason(cause) in {"user_disabled", "system_stop", "error"}


def test_only_a_user_is_blamed_for_what_a_user_did() -> None:
    blamed = {cause for cause in StopCause if wire_reason(cause) == "user_disabled"}
    assert blamed == {StopCause.USER, StopCause.FOREGROUND}


def test_the_stop_webhook_is_called_only_where_somebody_wanted_the_stop() -> None:
    called = {cause for cause, farewell in FAREWELLS.items() if farewell.call_webhook}
    wanted = {StopCause.USER, StopCause.FOREGROUND, StopCause.HARDWARE, StopCause.REMOVED}
    assert called == wanted


def test_where_the_app_did_nothing_wrong_the_sdk_comes_back_and_otherwise_it_does_not() -> None:
    returns = {c for c, farewell in FAREWELLS.items() if farewell.close.code not in FINAL_FOR_SDK}
    assert returns == {StopCause.SERVER_CLOSING, StopCause.CRASHED}


def test_the_end_of_a_user_session_runs_the_authors_on_stop_once() -> None:
    assert FAREWELLS[StopCause.USER_SESSION_ENDED].close.code == 1008
    assert FAREWELLS[StopCause.USER_SESSION_ENDED].close.text == "User session ended"


def test_an_app_that_shall_come_back_is_not_told_that_it_was_stopped() -> None:
    silent = {cause for cause, farewell in FAREWELLS.items() if not farewell.say_stopped}
    assert silent == {StopCause.SERVER_CLOSING, StopCause.CRASHED}
