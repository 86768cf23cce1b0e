"""What SDK 2.1.29 does on each close: protocol.md section 2.8, and the sources of the SDK."""

from __future__ import annotations

import pytest

from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.testing.sdk_rules import (
    AS_2_1_29,
    WELL_BEHAVED,
    AfterClose,
    SdkQuirks,
    after_close,
    delay_before,
    exhausted,
)

BACK = AfterClose(returns=True)
ZOMBIE = AfterClose(returns=False)


def over(*stops: str) -> AfterClose:
    return AfterClose(returns=False, stops=stops)


@pytest.mark.parametrize(
    ("code", "text", "wanted"),
    [
        (1000, "", over("Clean disconnect: ")),
        (1000, "App stopped", over("Clean disconnect: App stopped")),
        (
            1000,
            "User session ended",
            over("Clean disconnect: User session ended", "User session ended"),
        ),
        (1001, "Away", over("Clean disconnect: Away")),
        (1008, "User session ended", over("User session ended")),
        (1008, "Superseded", ZOMBIE),
        (1008, "", ZOMBIE),
        (4000, "The App stopped.", ZOMBIE),
        (4000, "User session ended", over("User session ended")),
        (1005, "", BACK),
        (1006, "", BACK),
        (1011, "Oops", BACK),
        (1012, "", BACK),
        (1013, "Later", BACK),
        (3000, "", BACK),
        (4000, "", BACK),
        (4000, "app stopped", BACK),
    ],
)
def test_what_follows_from_a_close(code: int, text: str, wanted: AfterClose) -> None:
    found = after_close(CloseReason(code, text), AS_2_1_29)
    assert found == wanted
    assert found.kept == (not wanted.stops)


@pytest.mark.parametrize(
    ("code", "text", "wanted"),
    [
        (1000, "User session ended", over("Clean disconnect: User session ended")),
        (1008, "User session ended", over("User session ended")),
        (1008, "Superseded", over("Refused: Superseded")),
        (4000, "App stopped", over("Refused: App stopped")),
        (1011, "", BACK),
    ],
)
def test_what_would_follow_if_it_behaved(code: int, text: str, wanted: AfterClose) -> None:
    assert after_close(CloseReason(code, text), WELL_BEHAVED) == wanted


def test_the_schedule_of_attempts() -> None:
    assert [delay_before(attempts) for attempts in range(5)] == [1.0, 2.0, 4.0, None, None]
    assert [exhausted(attempts) for attempts in range(5)] == [False, False, False, True, True]


def test_the_default_is_as_the_sdk_is() -> None:
    assert SdkQuirks() == AS_2_1_29
