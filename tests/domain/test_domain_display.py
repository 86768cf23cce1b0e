"""Display rules."""

from __future__ import annotations

import pytest

from mentra_trio.domain.display import Frame, expired, wait_before_next
from mentra_trio.domain.ids import PackageName


def frame(duration_ms: float | None) -> Frame:
    return Frame(
        package=PackageName("p"), view="main", layout={}, duration_ms=duration_ms, shown_at=100.0
    )


def test_the_first_frame_is_never_delayed() -> None:
    assert wait_before_next(0.0, None, 0.3) == 0.0


@pytest.mark.parametrize(("now", "wait"), [(10.0, 0.3), (10.1, 0.2), (10.3, 0.0), (99.0, 0.0)])
def test_the_next_waits_until_the_throttle_is_over(now: float, wait: float) -> None:
    assert wait_before_next(now, 10.0, 0.3) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("duration_ms", "now", "over"),
    [(None, 1e9, False), (1000, 100.9, False), (1000, 101.0, True), (500.5, 100.5006, True)],
)
def test_a_frame_expires_after_its_duration(
    duration_ms: float | None, now: float, over: bool
) -> None:
    assert expired(frame(duration_ms), now) is over
