from __future__ import annotations

from random import Random

import pytest

from mentra_trio.clients.reconnecting import Comeback, Ending, reconnect_delay
from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    LINK_LOST,
    SUPERSEDED,
    USER_SESSION_ENDED,
    CloseReason,
)

LOST = Ending(acked=True, reason=LINK_LOST)
FAILED = Ending(acked=False, reason=LINK_LOST)


def told_to_wait(seconds: float) -> Ending:
    return Ending(acked=False, reason=LINK_LOST, asked_s=seconds)


def test_three_attempts_at_growing_distances() -> None:
    lost = CloseReason(1006, "")
    assert [reconnect_delay(lost, failures) for failures in range(5)] == [1, 2, 4, None, None]


@pytest.mark.parametrize("code", [1005, 1006, 1011, 1012, 1013, 3000, 4001])
def test_these_codes_mean_come_back(code: int) -> None:
    assert reconnect_delay(CloseReason(code, "whatever"), 0) == 1.0


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1000, ""),
        (1001, ""),
        (1008, "Superseded"),
        (4000, "App stopped"),
        (4000, "User session ended"),
    ],
)
def test_these_mean_stay_away(code: int, text: str) -> None:
    assert reconnect_delay(CloseReason(code, text), 0) is None


def test_the_schedule_begins_anew_with_every_acknowledged_connection() -> None:
    comeback = Comeback()
    assert [comeback.delay(end) for end in (LOST, FAILED, LOST, FAILED, FAILED, FAILED)] == [
        *(1, 2),
        *(1, 2, 4, None),
    ]


def test_who_is_persistent_goes_on_at_random_within_a_growing_bound() -> None:
    comeback = Comeback(persistent=True, random=Random(7))
    expected = Random(7)
    assert [comeback.delay(end) for end in (LOST, FAILED, FAILED)] == [1, 2, 4]
    for ceiling in (8, 16, 32, 60, 60):
        assert comeback.delay(FAILED) == ceiling * expected.random()
    for _ in range(2000):
        delay = comeback.delay(FAILED)
        assert delay is not None
        assert 0 <= delay <= 60
    assert comeback.delay(LOST) == 1


@pytest.mark.parametrize("end", [APP_STOPPED, USER_SESSION_ENDED, SUPERSEDED])
@pytest.mark.parametrize("asked_s", [None, 2.0])
def test_who_is_persistent_still_hears_a_final_word(
    end: CloseReason, asked_s: float | None
) -> None:
    comeback = Comeback(persistent=True)
    assert comeback.delay(Ending(acked=True, reason=end, asked_s=asked_s)) is None


def test_a_wait_that_the_server_asked_for_is_no_failure() -> None:
    comeback = Comeback()
    assert comeback.delay(LOST) == 1
    assert [comeback.delay(told_to_wait(3)) for _ in range(10)] == [3] * 10
    assert [comeback.delay(told_to_wait(3)) for _ in range(3)] == [2, 4, None], "not for ever"
    assert comeback.delay(LOST) == 1
    assert comeback.delay(told_to_wait(10)) == 10, "after an ack, it is heeded again"


def test_at_once_is_not_taken_literally_and_much_later_not_heeded() -> None:
    comeback = Comeback()
    assert comeback.delay(told_to_wait(0)) == 1
    assert [comeback.delay(told_to_wait(11)) for _ in range(4)] == [1, 2, 4, None]
