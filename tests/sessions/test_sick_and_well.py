"""One session in trouble does not speak for its server, nor one that was given up for the user."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.breaker import Sign
from mentra_trio.domain.ids import user_id
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.environment import Environment
from mentra_trio.ports import SessionCall
from mentra_trio.sessions.endpoint import Endpoint
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    Household,
    open_household,
    open_one_app,
    virtual_environment,
)
from mentra_trio.testing.links import FakeWebhooks, MemoryLink, WebhookScript
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.trouble import ERROR, REFUSED

SICK = user_id("sick@x.org")
USERS = [user_id(f"u-{n}@x.org") for n in range(20)]


class Picky(FakeWebhooks):
    """An app server that fails for one user, and may be down for all."""

    sick = False
    down = False
    house: Household
    links: dict[str, MemoryLink]

    async def start(self, call: SessionCall, *, delivered: Callable[[], None]) -> None:
        self.starts.append(call)
        await trio.lowlevel.checkpoint()
        if self.down:
            raise REFUSED
        if self.sick and call.user == SICK:
            raise ERROR
        delivered()
        self.links[call.user] = self.house.answer(call)


async def one_is_sick(house: Household, server: Picky) -> None:
    """All run, and for five minutes one does not; its app is given up."""
    server.house, server.links = house, {}
    await house.add_app()
    for user in (*USERS, SICK):
        await house.attached_glasses(user)
        assert (await house.directory.start_app(user, APP)).success
    server.sick = True
    server.links[SICK].cut()
    await trio.sleep(300)
    assert house.state(SICK) == "evicted"
    server.starts.clear()


async def test_one_sick_session_keeps_no_other_from_coming_back(
    autojump_clock: MockClock,
) -> None:
    server = Picky()
    async with open_household(webhooks=server) as house:
        await one_is_sick(house, server)
        for user in USERS[:10]:
            server.links[user].cut()
        await trio.sleep(6)
        assert {house.state(user) for user in USERS} == {"running"}


async def test_one_sick_session_keeps_no_newcomer_away(autojump_clock: MockClock) -> None:
    server, newcomer = Picky(), user_id("new@x.org")
    async with open_household(webhooks=server) as house:
        await one_is_sick(house, server)
        await house.store.set_wanted(newcomer, APP, wanted=True)
        await house.attached_glasses(newcomer)
        await trio.sleep(1)
        assert house.state(newcomer) == "running"


async def test_a_server_that_dies_after_one_was_sick_is_tried_as_if_nothing_had_been(
    autojump_clock: MockClock,
) -> None:
    server = Picky()
    async with open_household(webhooks=server) as house:
        await one_is_sick(house, server)
        server.down = True
        for user in USERS:
            server.links[user].cut()
        await trio.sleep(25)
        assert 8 <= len(server.starts) <= 15
        server.down = False
        await trio.sleep(2.5)
        assert {house.state(user) for user in USERS} == {"running"}


async def test_the_sick_one_is_tried_seldom_and_its_user_is_told_once(
    autojump_clock: MockClock,
) -> None:
    server = Picky()
    async with open_household(webhooks=server) as house:
        await one_is_sick(house, server)
        glasses = house.directory._users[SICK].desk.eyepiece
        assert glasses.attached
        for user in USERS[:5]:
            server.links[user].cut()
            await trio.sleep(600)
        calls = [call for call in server.starts if call.user == SICK]
        assert len(calls) <= 5
        assert house.state(SICK) == "evicted"


# -- given up by a server of ours before this one ---------------------------------------------


@pytest.mark.parametrize("others", [True, False])
async def test_what_was_given_up_before_our_restart_comes_back_when_others_do_or_seldom(
    others: bool, autojump_clock: MockClock
) -> None:
    store, lifecycle = MemoryStore(), Lifecycle(health_s=0)
    async with open_one_app(store=store, lifecycle=lifecycle) as (house, glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await glasses.expect("app_stopped", within=400)
    async with open_household(store=store, lifecycle=lifecycle) as house:
        house.connect_when_called()
        glasses = await house.attached_glasses()
        await trio.sleep(100)
        assert house.webhooks.starts == [], "no webhook because the glasses came"
        if others:
            await house.attached_glasses(SICK)
            assert (await house.directory.start_app(SICK, APP)).success
        await trio.sleep(5 if others else 801)
        assert house.state() == "running"
        assert glasses.of_type("app_stopped") == []


async def test_at_the_word_of_a_server_those_given_up_come_back_at_its_rate(
    autojump_clock: MockClock,
) -> None:
    lifecycle = Lifecycle(health_s=0, release_per_s=10)
    async with open_household(lifecycle=lifecycle) as house, trio.open_nursery() as nursery:
        await house.add_app()
        links = house.connect_when_called()
        for user in USERS:
            await house.attached_glasses(user)
            assert (await house.directory.start_app(user, APP)).success
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        for link in links:
            link.cut()
        await trio.sleep(200)
        assert {house.state(user) for user in USERS} == {"evicted"}
        house.webhooks.starts.clear()

        def connect(call: SessionCall) -> None:
            house.answer(call)

        house.webhooks.plan(APP, WebhookScript(deliver_after=0.05, on_delivered=connect))
        nursery.start_soon(house.directory.recover_app, APP)
        await trio.sleep(1)
        assert 8 <= len(house.webhooks.starts) <= 12
        await trio.sleep(2)
        assert {house.state(user) for user in USERS} == {"running"}


async def test_a_server_that_was_restarted_while_many_come_back_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        await trio.sleep(4.9)
        house.directory.surroundings.crowded_until.set(trio.current_time() + 12)
        await trio.sleep(2)
        assert house.state() == "grace_period"
        house.connect_when_called()
        assert await house.directory.recover_app(APP) == 1
        assert house.state() == "running"


async def test_grace_is_longer_while_many_come_back_but_not_for_ever(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.directory.surroundings.crowded_until.set(trio.current_time() + 1_000)
        link.cut()
        await trio.sleep(5 + 14.9)
        assert house.state() == "grace_period"
        await trio.sleep(0.2)
        assert house.state() == "disconnected"


# -- a trial that is not made ------------------------------------------------------------------


@attrs.define
class Line:
    """The endpoint alone, down since the beginning."""

    server: Endpoint

    async def next_turn_at(self) -> float:
        turn = await self.server.turn(0.0)
        turn.over()
        return trio.current_time()


def lone_endpoint() -> Endpoint:
    """One that was found down just now."""
    environment: Environment = virtual_environment()
    server = Endpoint(
        package=APP,
        url="http://one.test",
        lifecycle=Lifecycle(),
        environment=environment,
        telemetry=RecordingTelemetry(),
    )
    server.tell(Sign.AWAY)
    return server


@pytest.mark.parametrize("told", [False, True])
async def test_a_trial_that_was_not_made_is_made_by_the_next(
    told: bool, autojump_clock: MockClock
) -> None:
    server = lone_endpoint()
    line = Line(server)
    turn = await server.turn(0.0)
    began = trio.current_time()
    await wait_all_tasks_blocked()
    if told:
        server.tell(Sign.AWAY)
    turn.over()
    waited = await line.next_turn_at() - began
    assert (waited > 1) is told


async def test_a_server_that_gets_well_while_it_is_tried_in_vain_is_tried_again_at_once(
    autojump_clock: MockClock,
) -> None:
    server = lone_endpoint()
    server.note_health(well=False)
    turn = await server.turn(0.0)
    server.note_health(well=True)
    server.tell(Sign.AWAY)
    turn.over()
    began = trio.current_time()
    assert await Line(server).next_turn_at() == began
    server.tell(Sign.AWAY)
    assert await Line(server).next_turn_at() > began, "but only once"
