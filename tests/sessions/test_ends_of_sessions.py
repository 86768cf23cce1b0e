"""How a user session ends: with what was commanded written down, and also before it began."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import attrs
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.attachment import UserState
from mentra_trio.domain.ids import PackageName, UserId
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.update_queue import UpdateQueue
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, Household, open_household, open_wearer


@attrs.define(eq=False)
class SlowStore(MemoryStore):
    """Takes ``seconds`` to write a command down, and to read settings."""

    seconds: float = 3.0

    async def set_wanted(self, user: UserId, package: PackageName, *, wanted: bool) -> None:
        await trio.sleep(self.seconds)
        await super().set_wanted(user, package, wanted=wanted)

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        await trio.sleep(self.seconds)
        return await super().user_settings(user)


async def command_and_end(house: Household, package: PackageName = APP) -> None:
    """The glasses start an app; their user's session ends while that is being written."""
    session = house.directory._users[USER]
    session.roster.begin_start(package)
    await trio.sleep(0.1)
    session.end(StopCause.USER_SESSION_ENDED)
    await wait_all_tasks_blocked()


async def test_what_was_commanded_is_written_before_the_session_is_over(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    async with open_wearer(store=store, lifecycle=Lifecycle(stop_s=5.0)) as (house, _glasses):
        await command_and_end(house)
        assert USER in house.directory._users, "the next life must not begin beside it"
        await house.directory._users[USER].ended.wait()
        assert await store.wanted_apps(USER) == [APP]


async def test_a_store_that_takes_too_long_does_not_hold_the_session_for_ever(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore(seconds=100.0)
    async with open_household(store=store, lifecycle=Lifecycle(stop_s=5.0)) as house:
        await house.add_app()
        house.glasses()
        await trio.sleep(101)
        began = trio.current_time()
        await command_and_end(house)
        await house.directory._users[USER].ended.wait()
        assert 4 < trio.current_time() - began < 6
        assert await store.wanted_apps(USER) == []


async def test_what_was_commanded_is_written_although_everything_is_cancelled(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    async with open_household(store=store, lifecycle=Lifecycle(stop_s=5.0)) as house:
        await house.add_app()
        house.glasses()
        await trio.sleep(4)
        house.directory._users[USER].roster.begin_start(APP)
        await trio.sleep(0.1)
        house.directory.nursery.cancel_scope.cancel()  # this block, too
        await trio.lowlevel.checkpoint()
    assert await store.wanted_apps(USER) == [APP]


async def test_a_session_that_ends_in_the_turn_in_which_it_begins_does_nothing(
    autojump_clock: MockClock,
) -> None:
    async with open_household(store=SlowStore(seconds=50.0)) as house:
        session = house.directory._begin(USER, UserState.INITIALIZING)
        assert session is not None
        session.end(StopCause.USER_SESSION_ENDED)
        with trio.fail_after(1):
            await session.ended.wait()
        assert USER not in house.directory._users


async def test_a_queue_that_is_finished_takes_nothing_and_has_done_all(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    queue, done = UpdateQueue(8, lambda error: None, outlives=True), []

    async def do(name: str) -> None:
        await trio.sleep(1)
        done.append(name)

    async with trio.open_nursery() as beside:
        queue.open(beside)
        queue.submit(partial(do, "one"))
        queue.submit(partial(do, "two"))
        beside.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await queue.finish(5)
            assert done == ["one", "two"]
            await queue.finish(5)
