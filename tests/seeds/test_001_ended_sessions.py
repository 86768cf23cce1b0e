"""Seed 001: a session that has ended is never handed out again; a start makes a fresh one."""

from __future__ import annotations

import gc
import weakref

import trio
from trio.testing import MockClock

from mentra_trio.domain.close_reasons import APP_STOPPED
from mentra_trio.domain.starting import StartStage
from mentra_trio.sessions.arrivals import Arrival
from mentra_trio.testing.household import APP, USER, Household, open_household
from mentra_trio.testing.links import MemoryLink


async def release_and_close(link: MemoryLink) -> None:
    link.say({"type": "ownership_release", "reason": "clean_shutdown"})
    link.hang_up(1000, "clean shutdown")
    await trio.sleep(7)


async def running_with_glasses(house: Household) -> MemoryLink:
    await house.add_app()
    await house.attached_glasses()
    return await house.running_app()


async def test_fixed_flow_start_after_ownership_release_works(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        link = await running_with_glasses(house)
        await release_and_close(link)
        again = await house.running_app()
        snapshot = house.snapshot()
        assert snapshot is not None
        assert (snapshot.state, snapshot.epoch) == ("running", 2)
        await trio.sleep(300)
        assert again.is_open, "its heartbeat and its timers are its own"


async def test_the_release_itself_closes_nothing(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        link = await running_with_glasses(house)
        link.say({"type": "ownership_release", "reason": "switching_clouds"})
        await trio.sleep(1)
        assert house.state() == "running"
        assert link.is_open


async def test_an_ended_session_cannot_be_reached(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        link = await running_with_glasses(house)
        ended = house.directory._users[USER].roster.apps[APP]
        await release_and_close(link)
        assert APP not in house.directory._users[USER].roster.apps
        late = MemoryLink()
        loan = ended.borrow(Arrival(link=late))
        assert await loan.returned() == APP_STOPPED, "who still holds it is told, never served"
        late.cut()


async def test_no_new_session_is_made_once_the_user_session_is_over(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await running_with_glasses(house)
        roster = house.directory._users[USER].roster
        house.directory.drain()
        result = await roster.start(APP)
        assert (result.success, result.stage) == (False, StartStage.CONNECTION)
        assert roster.apps == {} or all(app.ended.is_set() for app in roster.apps.values())


async def test_hundreds_of_release_and_start_cycles_leave_no_object_behind(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        link = await running_with_glasses(house)
        lives: list[weakref.ref[object]] = []
        for cycle in range(200):
            lives.append(weakref.ref(house.directory._users[USER].roster.apps[APP]))
            if cycle % 2:
                await release_and_close(link)
            else:
                await house.directory.stop_app(USER, APP)
            link = await house.running_app()
        gc.collect()
        assert sum(life() is not None for life in lives) == 0
        assert house.telemetry.crashes == []
