"""Durations and bounds: the documented defaults, and what may not be set."""

from __future__ import annotations

from typing import Any

import pytest

from mentra_trio.domain.timings import Heartbeat, Lifecycle, Limits


def test_the_defaults_that_others_rely_on() -> None:
    lifecycle, heartbeat, limits = Lifecycle(), Heartbeat(), Limits()
    assert (lifecycle.grace_s, lifecycle.grace_jitter_s, lifecycle.user_grace_s) == (5, 0.8, 60)
    assert (lifecycle.connect_s, lifecycle.webhook_s) == (10, 30)
    assert (lifecycle.resurrection_budget_s, lifecycle.release_per_s) == (180, 200)
    assert (heartbeat.interval_s, heartbeat.app_pong_s, heartbeat.glasses_pong_s) == (10, 20, 30)
    assert (limits.message_bytes, limits.pre_auth_bytes, limits.auth_s) == (1_048_576, 4_096, 4)


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (Lifecycle, {"grace_s": -1}),
        (Lifecycle, {"connect_s": 0}),
        (Lifecycle, {"grace_jitter_s": float("nan")}),
        (Heartbeat, {"interval_s": 0}),
        (Limits, {"message_bytes": 0}),
    ],
)
def test_nonsense_is_refused_by_name(cls: type[Any], values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        cls(**values)
