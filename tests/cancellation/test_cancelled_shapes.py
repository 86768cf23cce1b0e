"""The shapes that everything here is built from: whoever stops waiting takes nothing along."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.inbox import Inbox
from mentra_trio.concurrency.loan import Loan
from mentra_trio.concurrency.milestone import Milestone
from mentra_trio.concurrency.offers import Offers
from mentra_trio.concurrency.oneshot import OneShot
from mentra_trio.concurrency.race import race
from mentra_trio.concurrency.watched import Watched
from mentra_trio.domain.errors import SessionEnded
from mentra_trio.sessions.update_queue import UpdateQueue
from mentra_trio.telemetry.followers import Follower


@attrs.define(eq=False)
class Shapes:
    """One of each, and somebody else who waits for the same as the caller."""

    loan: Loan[str, str] = attrs.field(factory=lambda: Loan("a link"))
    offers: Offers[str, str] = attrs.field(factory=lambda: Offers("replaced"))
    shot: OneShot[str] = attrs.field(factory=OneShot)
    milestone: Milestone = attrs.field(factory=Milestone)
    watched: Watched[int] = attrs.field(factory=lambda: Watched(0))
    inbox: Inbox[str] = attrs.field(factory=Inbox)
    follower: Follower = attrs.field(factory=lambda: Follower(None))
    under_way: int = 0
    happened: bool = False

    def happen(self) -> None:
        """What everybody waits for; it happens once."""
        if self.happened:
            return
        self.happened = True
        self.loan.give_back("done")
        self.offers.offer("a link")
        self.shot.settle("done")
        self.milestone.set()
        self.watched.set(1)
        self.inbox.put("done")
        self.follower.put({"fact": "done"})

    async def part(self, seconds: float) -> str:
        self.under_way += 1
        try:
            await trio.sleep(seconds)
            return "done"
        finally:
            self.under_way -= 1


WAITS: dict[Callable[..., object], Callable[[Shapes], Awaitable[object]]] = {
    Loan.returned: lambda shapes: shapes.loan.returned(),
    Offers.until_offered: lambda shapes: shapes.offers.until_offered(),
    OneShot.wait: lambda shapes: shapes.shot.wait(),
    Milestone.wait: lambda shapes: shapes.milestone.wait(),
    Watched.until: lambda shapes: shapes.watched.until(lambda value: value == 1),
    Inbox.take: lambda shapes: shapes.inbox.take(),
    Follower.next: lambda shapes: shapes.follower.next(),
    race: lambda shapes: race(partial(shapes.part, 0.1), partial(shapes.part, 0.2)),
}


@pytest.mark.parametrize("function", WAITS, ids=lambda function: function.__qualname__)
@cancels(*WAITS)
async def test_who_waits_again_gets_it_all_the_same(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    wait = WAITS[function]

    @asynccontextmanager
    async def world() -> AsyncGenerator[Shapes]:
        yield Shapes()

    returned: list[Shapes] = []

    async def call(shapes: Shapes) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(happen_soon, shapes)
            await wait(shapes)
            returned.append(shapes)

    async def check(shapes: Shapes) -> None:
        assert shapes.under_way == 0
        shapes.happen()
        with trio.fail_after(1):
            if shapes not in returned:  # then nothing may have been taken
                await wait(shapes)

    assert await cancel_at_every_moment(world, call, check) > 1


async def happen_soon(shapes: Shapes) -> None:
    await trio.sleep(0.1)
    shapes.happen()


@attrs.define(eq=False)
class Work:
    """A queue at work, and what it has done."""

    queue: UpdateQueue
    done: list[str] = attrs.field(factory=list)
    failed: list[BaseException] = attrs.field(factory=list)

    async def do(self, name: str) -> str:
        await trio.sleep(0.1)
        self.done.append(name)
        return name


@asynccontextmanager
async def at_work() -> AsyncGenerator[Work]:
    failed: list[BaseException] = []
    work = Work(UpdateQueue(8, failed.append), failed=failed)
    async with trio.open_nursery() as nursery:
        work.queue.open(nursery)
        yield work
        nursery.cancel_scope.cancel("closing time")


@cancels(UpdateQueue.enqueue)
async def test_what_was_queued_is_done_although_nobody_waits_for_it(
    autojump_clock: MockClock,
) -> None:
    async def call(work: Work) -> None:
        work.queue.submit(partial(work.do, "before"))
        await work.queue.enqueue(partial(work.do, "the caller's"))

    async def check(work: Work) -> None:
        assert await work.queue.enqueue(partial(work.do, "after")) == "after"
        assert work.done == ["before", "the caller's", "after"]
        assert work.failed == []

    assert await cancel_at_every_moment(at_work, call, check) > 2


@cancels(UpdateQueue.finish)
async def test_who_waits_for_a_queue_that_is_cancelled_is_told(autojump_clock: MockClock) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[tuple[Work, list[object]]]:
        told: list[object] = []
        work = Work(UpdateQueue(8, told.append))
        async with trio.open_nursery() as nursery:
            for name in ("one", "two", "three"):
                nursery.start_soon(wait_for, work, name, told)
            yield work, told

    async def wait_for(work: Work, name: str, told: list[object]) -> None:
        try:
            told.append(await work.queue.enqueue(partial(work.do, name)))
        except SessionEnded as error:
            told.append(error)

    async def call(world: tuple[Work, list[object]]) -> None:
        work, _ = world
        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            work.queue.open(nursery)
            await work.queue.finish(1)

    async def check(world: tuple[Work, list[object]]) -> None:
        work, told = world
        await wait_all_tasks_blocked()
        if not work.done and not told:  # it was never run
            async with trio.open_nursery() as nursery:
                nursery.cancel_scope.cancel()
                work.queue.open(nursery)
        await trio.sleep(1)
        assert len(told) == 3

    assert await cancel_at_every_moment(world, call, check) > 4
