"""Things that happen in one turn of the scheduler, in every order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import CRASHED, LINK_LOST, RESTARTING
from mentra_trio.domain.ids import PackageName, UserId, user_id
from mentra_trio.domain.lifecycle import AppState, StopCause
from mentra_trio.domain.starting import StartResult
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.arrivals import Arrival
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    open_one_app,
    open_wearer,
)
from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.trouble import ERROR

TURNS = range(7)


def stop_now(house: Household, glasses: MemoryLink) -> None:
    house.directory._users[USER].roster.stop_now(APP, StopCause.USER)


def stop_by_glasses(house: Household, glasses: MemoryLink) -> None:
    glasses.say({"type": "stop_app", "packageName": APP})


def drain(house: Household, glasses: MemoryLink) -> None:
    house.directory.drain()


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("end", [stop_now, stop_by_glasses, drain])
async def test_a_link_that_is_lost_just_before_the_end(
    turns: int, end: Any, autojump_clock: MockClock
) -> None:
    for _ in range(4):  # the scheduler's order differs from time to time
        async with open_one_app() as (house, glasses, app):
            await wait_all_tasks_blocked()
            app.cut()
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            end(house, glasses)
            await wait_all_tasks_blocked()
            assert house.telemetry.crashes == []
            assert house.state() is None


@pytest.mark.parametrize("turns", TURNS)
async def test_glasses_that_are_lost_just_before_the_end(
    turns: int, autojump_clock: MockClock
) -> None:
    for _ in range(4):
        async with open_one_app() as (house, glasses, _app):
            await wait_all_tasks_blocked()
            glasses.cut()
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            house.directory.drain()
            await wait_all_tasks_blocked()
            assert house.telemetry.crashes == []
            assert house.directory.users() == []


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("word", ["start_app", "stop_app"])
async def test_a_command_of_the_glasses_in_the_turn_of_the_end(
    word: str, turns: int, autojump_clock: MockClock
) -> None:
    for _ in range(4):
        async with open_household() as house:
            await house.add_app()
            glasses = await house.attached_glasses()
            await wait_all_tasks_blocked()
            glasses.say({"type": word, "packageName": APP})
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            house.directory.drain()
            await wait_all_tasks_blocked()
            assert house.telemetry.crashes == []


class Uncancellable(MemoryStore):
    """A store in a thread: what has begun is finished, whoever is cancelled."""

    slow_s = 0.0

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        with trio.CancelScope(shield=True):
            await trio.sleep(self.slow_s)
            found = await super().user_settings(user)
        return found

    async def set_wanted(self, user: UserId, package: PackageName, *, wanted: bool) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(self.slow_s)
            await super().set_wanted(user, package, wanted=wanted)


async def test_an_app_that_is_stopped_while_its_settings_are_read_is_not_greeted_any_more(
    autojump_clock: MockClock,
) -> None:
    store = Uncancellable()
    async with open_one_app(store=store) as (house, glasses, app):
        house.webhooks.stop_after = 3
        app.cut()
        await trio.sleep(1)
        store.slow_s = 0.5
        back = house.app()
        await trio.sleep(0.1)
        stop_by_glasses(house, glasses)
        await trio.sleep(1)
        assert back.of_type("tpa_connection_ack") == []
        assert house.directory._users[USER].roster.apps[APP].link is None


async def test_a_command_outlives_the_session_in_which_it_was_given(
    autojump_clock: MockClock,
) -> None:
    store = Uncancellable()
    async with open_one_app(store=store) as (house, glasses, _app):
        assert list(await store.wanted_apps(USER)) == [APP]
        store.slow_s = 0.5
        stop_by_glasses(house, glasses)
        await wait_all_tasks_blocked()
        house.directory.drain()
        await trio.sleep(2)
        assert list(await store.wanted_apps(USER)) == []


async def test_waiters_are_told_at_once_also_while_the_store_is_slow(
    autojump_clock: MockClock,
) -> None:
    store = Uncancellable()
    store.slow_s = 3.0
    async with open_wearer(store=store) as (house, _glasses):
        told: list[float] = []

        async def ask() -> None:
            await house.directory.start_app(USER, APP)
            told.append(trio.current_time())

        async with trio.open_nursery() as callers:
            callers.start_soon(ask)
            callers.start_soon(ask)
            await trio.sleep(1)
            ended = trio.current_time()
            house.directory.drain()
        assert told == [ended, ended]


async def test_glasses_that_are_offered_in_the_turn_of_a_drain_are_given_back(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.attached_glasses()
        late = MemoryLink("late")
        loan = house.directory._users[USER].offers.offer(late)
        house.directory.drain()
        assert loan.over
        assert await loan.returned() == RESTARTING
        late.cut()


async def test_glasses_that_return_while_the_old_session_is_wound_down_get_a_fresh_one(
    autojump_clock: MockClock,
) -> None:
    store = Uncancellable()
    lifecycle = Lifecycle(user_grace_s=0.5)
    async with open_one_app(store=store, lifecycle=lifecycle) as (house, glasses, _app):
        store.slow_s = 2.0
        stop_by_glasses(house, glasses)
        await wait_all_tasks_blocked()
        glasses.cut()
        await trio.sleep(1)
        old = house.directory._users[USER]
        assert old.over
        store.slow_s = 0.0
        back = house.glasses()
        await back.expect("connection_ack")
        assert house.directory._users[USER] is not old
        assert back.is_open


async def test_a_hard_cancel_still_lets_the_peers_come_back(autojump_clock: MockClock) -> None:
    """Cancelled from outside without a drain: no app is told that it was stopped for good."""
    async with open_one_app() as (house, glasses, app):
        house.directory.nursery.cancel_scope.cancel("pulled the plug")
        await wait_all_tasks_blocked()
        assert app.closed_with == RESTARTING
        assert glasses.closed_with == RESTARTING
        assert app.of_type("app_stopped") == []


async def test_a_crash_of_a_user_session_stays_inside_it(autojump_clock: MockClock) -> None:
    class Broken(MemoryStore):
        broken = True

        async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
            if self.broken and user == USER:
                raise RuntimeError("planted")
            return await super().wanted_apps(user)

    store = Broken()
    async with open_household(store=store) as house:
        house.telemetry.expects_crashes = True
        other = await house.attached_glasses(user_id("other@x.org"))
        assert await house.glasses().closed() == CRASHED
        assert [crash.bulkhead for crash in house.telemetry.crashes] == ["user session"]
        assert other.is_open
        store.broken = False
        await house.attached_glasses()


@pytest.mark.parametrize("turns", TURNS)
async def test_glasses_that_come_back_as_an_app_goes_to_rest_bring_it_back(
    turns: int, autojump_clock: MockClock
) -> None:
    for _ in range(6):
        async with open_one_app() as (house, glasses, app):
            ends = trio.current_time() + Lifecycle().grace_s
            glasses.cut()
            app.cut()
            await wait_all_tasks_blocked()
            house.connect_when_called()
            await trio.sleep_until(ends)
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            house.glasses()
            await trio.sleep(5)
            assert house.state() == "running"


@pytest.mark.parametrize("turns", TURNS)
async def test_an_app_at_the_door_as_its_call_fails_is_served_or_was_too_late(
    turns: int, autojump_clock: MockClock
) -> None:
    results: list[StartResult] = []

    async def start(house: Household) -> None:
        results.append(await house.directory.start_app(USER, APP))

    for _ in range(8):
        async with open_wearer() as (house, _glasses), trio.open_nursery() as nursery:
            nursery.start_soon(start, house)
            await house.webhooks.next_start()
            await wait_all_tasks_blocked()
            app, link = house.directory._users[USER].roster.apps[APP], MemoryLink()
            assert app.attempt is not None
            app.attempt.failure.settle(ERROR)
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            in_time = app.state is AppState.CONNECTING
            app.borrow(Arrival(link=link, serial=app.attempt.serial))
            await wait_all_tasks_blocked()
            assert results.pop().success is in_time
            link.close(LINK_LOST)
