from __future__ import annotations

import pytest

from mentra_trio.clients.reconnecting import reconnect_delay
from mentra_trio.domain.close_reasons import CloseReason


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
