"""What an app of SDK v3 is told when its reconnect is refused."""

from __future__ import annotations

import pytest

from mentra_trio.domain.close_reasons import (
    NO_SESSION,
    NOT_HERE_YET,
    NOT_STARTED,
    RESTARTING,
    STALE_TOKEN,
    SUPERSEDED,
    CloseReason,
)
from mentra_trio.domain.reconnects import FINAL, rejection_code


@pytest.mark.parametrize(
    ("close", "code"),
    [
        (NOT_STARTED, "NOT_RUNNING"),
        (NO_SESSION, "SESSION_NOT_FOUND"),
        (SUPERSEDED, "SESSION_EXPIRED"),
        (STALE_TOKEN, "SESSION_EXPIRED"),
    ],
)
def test_a_refusal_has_a_code_of_its_own(close: CloseReason, code: str) -> None:
    assert rejection_code(close) == code


@pytest.mark.parametrize("close", [NOT_HERE_YET, RESTARTING])
def test_later_is_not_said_by_a_rejection(close: CloseReason) -> None:
    assert rejection_code(close) is None


def test_only_an_app_that_does_not_run_is_told_to_give_up() -> None:
    assert {code for code in map(rejection_code, (NOT_STARTED, SUPERSEDED)) if code in FINAL} == {
        "NOT_RUNNING"
    }
