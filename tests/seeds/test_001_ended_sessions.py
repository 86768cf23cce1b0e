"""Seed 001: a session that has ended is never handed out again; a start makes a fresh one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from evidence import counted, is_in_order, lines_named, log_of, moves_in
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import APP_STOPPED
from mentra_trio.domain.facts import LinkAttached
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.starting import StartStage
from mentra_trio.sessions.arrivals import Arrival
from mentra_trio.testing.household import APP, USER, Household, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED

Deed = Callable[[Household, MemoryLink, MemoryLink], Awaitable[object]]
"""What is done to a household, its glasses and its app."""


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


# -- resurrection attempt: user reconnects, or somebody starts it ------------------------------


async def the_user_starts_it(house: Household, glasses: MemoryLink, _app: MemoryLink) -> None:
    assert (await house.directory.start_app(USER, APP)).success


async def the_user_reconnects(house: Household, glasses: MemoryLink, _app: MemoryLink) -> None:
    glasses.cut()
    await trio.sleep(20)
    assert house.state() == "dormant"
    await house.attached_glasses()
    await trio.sleep(7)


async def the_app_comes_by_itself(house: Household, glasses: MemoryLink, _app: MemoryLink) -> None:
    await house.app().expect("tpa_connection_ack")


TRIGGERS: dict[str, Deed] = {
    "start requested": the_user_starts_it,
    "user returned": the_user_reconnects,
    "link attached": the_app_comes_by_itself,
}


@pytest.mark.parametrize("cause", TRIGGERS)
async def test_manual_test_after_ownership_release_the_app_starts_successfully(
    cause: str, autojump_clock: MockClock
) -> None:
    """Start app; send OWNERSHIP_RELEASE; wait for DORMANT; trigger; verify that it starts."""
    async with open_one_app() as (house, glasses, app):
        ended = house.directory._users[USER].roster.apps[APP]
        await release_and_close(app)
        assert house.state() == "dormant"
        assert len(house.webhooks.starts) == 1, "it is not resurrected on disconnect"
        house.connect_when_called()
        await TRIGGERS[cause](house, glasses, app)
        fresh = house.directory._users[USER].roster.apps[APP]
        assert fresh is not ended
        assert (fresh.state.value, fresh.epoch) == ("running", 2)
        assert house.telemetry.crashes == []
        fresh_sessions = "mentra_fresh_sessions_total"
        assert counted(house.telemetry.facts, fresh_sessions, package=APP, cause="started") == 1
        assert counted(house.telemetry.facts, fresh_sessions, package=APP, cause=cause) == 1
        assert counted(house.telemetry.facts, fresh_sessions) == 2
        await trio.sleep(300)
        assert fresh.state.value == "running", "its heartbeat is set up, and it is its own"


async def test_grace_period_expires_while_the_user_is_away_then_the_user_reconnects(
    autojump_clock: MockClock,
) -> None:
    """The other way into DORMANT ends a session as well, and another goes on."""
    async with open_one_app() as (house, glasses, app):
        ended = house.directory._users[USER].roster.apps[APP]
        glasses.cut()
        app.cut()
        await trio.sleep(10)
        assert house.state() == "dormant"
        assert house.directory._users[USER].roster.apps == {}
        house.connect_when_called()
        await house.attached_glasses()
        await trio.sleep(1)
        fresh = house.directory._users[USER].roster.apps[APP]
        assert fresh is not ended
        assert fresh.state.value == "running"


async def test_expected_log_sequence(autojump_clock: MockClock) -> None:
    """Ownership released, running -> dormant ... later ... creating fresh session, connected."""
    async with open_one_app() as (house, _glasses, app):
        await release_and_close(app)
        released = len(house.telemetry.facts)
        house.connect_when_called()
        await house.directory.start_app(USER, APP)
        before = log_of(house.telemetry.facts[:released])
        later = log_of(house.telemetry.facts[released:])
        events = [line["event"] for line in before]
        assert is_in_order(["link ended", "ownership released", "app state changed"], events)
        [release] = lines_named(before, "ownership released")
        assert (release["user"], release["package"]) == (USER, APP)
        assert release["reason"] == "clean_shutdown"
        assert moves_in(before)[-1] == "running -> dormant"
        [fresh] = lines_named(later, "creating fresh session")
        assert (fresh["level"], fresh["package"], fresh["epoch"]) == ("info", APP, "2")
        wanted = ["creating fresh session", "calling the app server", "link attached"]
        assert is_in_order(wanted, [line["event"] for line in later])
        assert moves_in(later) == ["dormant -> resurrecting", "resurrecting -> running"]


async def test_a_first_session_is_not_logged_as_a_fresh_one(autojump_clock: MockClock) -> None:
    """What is monitored is "disposed, creating fresh session"; that is not said at info here."""
    async with open_one_app() as (house, _glasses, _app):
        assert lines_named(log_of(house.telemetry.facts), "creating fresh session") == []
        assert len(lines_named(log_of(house.telemetry.facts, "debug"), "creating fresh session"))


async def test_a_release_is_not_remembered_by_the_fresh_session(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        await release_and_close(app)
        again = await house.running_app()
        again.hang_up(1000)
        await wait_all_tasks_blocked()
        assert house.state() == "grace_period", "it has released nothing"


# -- whatever has ended a session, it is over ----------------------------------------------------


async def stopped(house: Household, _glasses: MemoryLink, _app: MemoryLink) -> None:
    await house.directory.stop_app(USER, APP)


async def evicted(house: Household, _glasses: MemoryLink, app: MemoryLink) -> None:
    house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
    app.cut()
    await trio.sleep(400)
    assert house.state() == "evicted"


async def start_failed(house: Household, glasses: MemoryLink, app: MemoryLink) -> None:
    await stopped(house, glasses, app)
    house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
    assert not (await house.directory.start_app(USER, APP)).success


async def removed(house: Household, _glasses: MemoryLink, _app: MemoryLink) -> None:
    await house.catalog.remove(APP)
    await wait_all_tasks_blocked()
    await house.add_app()


async def user_session_ended(house: Household, glasses: MemoryLink, _app: MemoryLink) -> None:
    glasses.cut()
    await trio.sleep(61)
    await house.attached_glasses()


@pytest.mark.parametrize("end", [stopped, evicted, start_failed, removed, user_session_ended])
async def test_a_disposed_session_is_never_returned_whatever_has_ended_it(
    end: Deed, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        ended = house.directory._users[USER].roster.apps[APP]
        await end(house, glasses, app)
        house.connect_when_called()
        assert (await house.directory.start_app(USER, APP)).success
        await wait_all_tasks_blocked()
        fresh = house.directory._users[USER].roster.apps[APP]
        assert fresh is not ended
        assert fresh.state.value == "running"
        assert app.closed_with is not None
        assert house.telemetry.crashes == []


async def test_connect_to_a_session_that_is_over_serves_nobody(autojump_clock: MockClock) -> None:
    """handleConnect on a disposed session: a safety net that takes the link and gives it back."""
    async with open_one_app() as (house, _glasses, _app):
        ended = house.directory._users[USER].roster.apps[APP]
        await house.directory.stop_app(USER, APP)
        attached = len(house.telemetry.of(LinkAttached))
        late = MemoryLink()
        assert await ended.borrow(Arrival(link=late)).returned() == APP_STOPPED
        assert len(house.telemetry.of(LinkAttached)) == attached
        assert late.pushed == []
        late.cut()


async def test_a_disconnect_is_ignored_after_the_end_of_the_user_session(
    autojump_clock: MockClock,
) -> None:
    """Ignoring onDisconnect callback after disposal."""
    async with open_one_app() as (house, glasses, app):
        glasses.cut()
        await trio.sleep(61)
        assert house.directory.users() == []
        told = len(house.telemetry.facts)
        app.hang_up(1000)
        await trio.sleep(100)
        assert log_of(house.telemetry.facts[told:]) == []
        assert len(house.webhooks.starts) == 1


async def test_dormant_sessions_do_not_stay_forever_if_the_user_never_returns(
    autojump_clock: MockClock,
) -> None:
    """Why option A was rejected: what is dormant holds no resources, and ends with its user."""
    async with open_one_app() as (house, glasses, app):
        await release_and_close(app)
        roster = house.directory._users[USER].roster
        assert roster.apps == {}
        assert [rest.package for rest in roster.resting] == [APP]
        glasses.cut()
        await trio.sleep(62)
        assert house.directory.users() == []
        assert list(roster.resting) == []
        assert await house.store.saved_users() == []


async def test_a_start_that_waits_for_the_end_of_a_session_does_not_survive_a_stop(
    autojump_clock: MockClock,
) -> None:
    """The user's last word counts: the app server is not called after it."""
    async with open_one_app() as (house, _glasses, _app), trio.open_nursery() as nursery:
        house.webhooks.stop_after = 2
        roster = house.directory._users[USER].roster
        roster.stop_now(APP, StopCause.USER)
        nursery.start_soon(roster.start, APP)
        await trio.sleep(1)
        roster.stop_now(APP, StopCause.USER)
        await trio.sleep(5)
        assert house.state() is None
        assert len(house.webhooks.starts) == 1
