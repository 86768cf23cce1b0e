"""Close reasons: what may be sent, and what it makes the other side do."""

from __future__ import annotations

import pytest

from mentra_trio.domain import close_reasons
from mentra_trio.domain.close_reasons import FINAL_FOR_SDK, CloseReason

REASONS = {
    name: value for name, value in vars(close_reasons).items() if isinstance(value, CloseReason)
}
NEVER_SENT = {1005, 1006, 1015}
COMES_BACK = {
    *("APP_SILENT", "NOT_YET", "SLOW_CONSUMER", "UPDATES_OVERFLOW", "RESTARTING", "CRASHED"),
    "TOO_BIG",
}
"""Closes after which an app shall reconnect by itself (protocol.md 2.8)."""
STAYS_AWAY = {
    *("APP_STOPPED", "USER_SESSION_ENDED", "SUPERSEDED", "BAD_API_KEY", "NO_SESSION"),
    *("NOT_STARTED", "BAD_INIT", "ADDRESS_NOT_ALLOWED"),
}


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS.keys())
def test_a_reason_fits_into_a_close_frame(reason: CloseReason) -> None:
    assert 1000 <= reason.code <= 1015 or 3000 <= reason.code <= 4999
    assert reason.code not in NEVER_SENT or reason is close_reasons.LINK_LOST
    assert 0 < len(reason.text.encode()) <= 123


@pytest.mark.parametrize("name", sorted(COMES_BACK))
def test_trouble_lets_an_app_come_back(name: str) -> None:
    reason = REASONS[name]

    assert reason.code not in FINAL_FOR_SDK
    assert "App stopped" not in reason.text and "User session ended" not in reason.text


@pytest.mark.parametrize("name", sorted(STAYS_AWAY))
def test_a_final_close_keeps_an_app_away(name: str) -> None:
    assert REASONS[name].code in FINAL_FOR_SDK


def test_the_texts_that_the_sdk_looks_for() -> None:
    assert CloseReason(1000, "App stopped") == close_reasons.APP_STOPPED
    assert CloseReason(1008, "User session ended") == close_reasons.USER_SESSION_ENDED


@pytest.mark.parametrize(("text", "shown"), [("Gone", "1000 Gone"), ("", "1000")])
def test_how_a_reason_reads(text: str, shown: str) -> None:
    assert str(CloseReason(1000, text)) == shown
