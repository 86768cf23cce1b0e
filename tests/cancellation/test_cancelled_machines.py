"""The world of a machine is cancelled at any moment, whatever its servers are doing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.domain.timings import Lifecycle
from mentra_trio.testing.machines.one_app import OneApp
from mentra_trio.testing.machines.peopled import UNSAVED_S, PeopledMachine
from mentra_trio.testing.machines.surroundings import WatchedWebhooks


class Watched(OneApp):
    """A machine whose world runs in the Trio loop of the test, and whose jobs wait there."""

    LIFECYCLE = Lifecycle(resurrection_budget_s=4, health_s=3)

    def __init__(self) -> None:
        self.jobs: list[Callable[[], Awaitable[Any]]] = []

    def do(self, job: Callable[[], Awaitable[Any]]) -> Any:
        self.jobs.append(job)

    async def course(self) -> None:
        """An app starts, is lost and given up, heals, and is there when the server has died."""
        [key] = self.keys
        self.webhooks.treat(key[1], "well", connects=True)
        self.come(key)
        await trio.sleep(1)
        self.start(key)
        await trio.sleep(1)
        assert self.house.state(*key) == "running"
        self.webhooks.treat(key[1], "refused")
        self.lose(key)
        await trio.sleep(20)
        self.webhooks.treat(key[1], "well", connects=True)
        await trio.sleep(10 + UNSAVED_S)
        self.kill_the_server()
        await self.jobs.pop()()
        self.come(key)
        await trio.sleep(30)
        assert self.house.state(*key) == "running"
        self.stop(key)
        await trio.sleep(1)
        self.oracle.check()


@asynccontextmanager
async def machine() -> AsyncGenerator[Watched]:
    yield Watched()


async def live(machine: Watched) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(machine.world)
        await machine.course()
        nursery.cancel_scope.cancel("as at the end of an example")


async def nothing_is_left(machine: Watched) -> None:
    if hasattr(machine, "glasses"):
        assert not [link for link in machine.all_links if link.is_open]
        assert not machine.oracle.callers, "nobody waits for an answer"
        assert not any(machine.oracle.calls.values())
        assert machine.webhooks.in_flight == 0
    await live(Watched())


@cancels(
    PeopledMachine.world,
    WatchedWebhooks.start,
    WatchedWebhooks.health,
)
async def test_the_world_of_a_machine(autojump_clock: MockClock) -> None:
    assert await cancel_at_every_moment(machine, live, nothing_is_left, every=3) > 200
