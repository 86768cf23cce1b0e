"""Coalesced actions: many requests, few runs."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.concurrency.coalesced import Coalesced


async def test_a_burst_is_one_run_a_moment_after_its_first_request(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    runs: list[float] = []
    coalesced = Coalesced(lambda: runs.append(trio.current_time()), 0.15)
    nursery.start_soon(coalesced.run)
    for _ in range(10):
        coalesced.request()
        await trio.sleep(0.01)
    await trio.sleep(1)
    assert runs == [pytest.approx(0.15)]


async def test_a_request_made_by_the_action_itself_is_not_lost(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    runs: list[int] = []

    def act() -> None:
        runs.append(len(runs))
        if len(runs) < 3:
            coalesced.request()

    coalesced = Coalesced(act, 0.1)
    nursery.start_soon(coalesced.run)
    coalesced.request()
    await trio.sleep(2)
    assert runs == [0, 1, 2]


async def test_without_requests_nothing_runs(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    runs: list[int] = []
    nursery.start_soon(Coalesced(lambda: runs.append(1), 0.1).run)
    await trio.sleep(60)
    await wait_all_tasks_blocked()
    assert runs == []
