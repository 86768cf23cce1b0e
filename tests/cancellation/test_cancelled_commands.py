"""Commands, and waits for what others do: given up at any moment, the household goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock, wait_all_tasks_blocked
from whole_house import OTHER, SlowStore, lend_until_greeted, nothing_is_left

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.breaker import Sign
from mentra_trio.domain.close_reasons import APP_STOPPED
from mentra_trio.domain.facts import AppStateChanged
from mentra_trio.domain.ids import UserId
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.ports import AppCall
from mentra_trio.sessions.app_calls import call_app_server
from mentra_trio.sessions.app_settings import change_app_settings
from mentra_trio.sessions.catalog import AppCatalog
from mentra_trio.sessions.directory import AppClaim, Directory
from mentra_trio.sessions.endpoint import Endpoint
from mentra_trio.sessions.keeper import Keeper
from mentra_trio.sessions.roster import Roster
from mentra_trio.sessions.settings import store_user_settings
from mentra_trio.sessions.tool_calls import ToolCalls
from mentra_trio.sessions.wishes import Wishes
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    open_one_app,
    open_wearer,
)
from mentra_trio.testing.links import FakeWebhooks, MemoryLink
from mentra_trio.testing.recording import RecordingTelemetry

A_SERVER = AppRegistration(package=APP, url=f"http://{APP}.test", key_hash="")
Call = Callable[[Household], Awaitable[object]]


@asynccontextmanager
async def one_app() -> AsyncGenerator[Household]:
    """A user who runs one app and whose app is stopped and started by nobody else."""
    async with open_one_app(store=SlowStore()) as (house, _, _):
        yield house


async def usable(house: Household) -> None:
    """Registered or not, running or not: the app can be registered, started and lost."""
    await trio.sleep(20)  # a start that nobody waits for fails by then
    for session in list(house.directory._users.values()):
        if session.user != USER:
            session.end(StopCause.USER_SESSION_ENDED)
    await house.add_app()
    await nothing_is_left(house)


def claim_of(user: UserId) -> AppClaim:
    return AppClaim(package=APP, session_id=f"{user}-{APP}", user=None, token=None)


async def until_somebody_comes(house: Household) -> None:
    house.glasses(OTHER)
    await house.directory.until_here(claim_of(OTHER))


async def set_up(house: Household) -> None:
    await change_app_settings(house.directory, A_SERVER, USER, {"size": 1})


async def use_a_tool(house: Household) -> None:
    house.webhooks.post_after = 0.1
    calls = ToolCalls(house.directory.surroundings)
    try:
        await calls.call(A_SERVER, USER, "note", {})
    finally:
        assert not calls._under_way


async def call_it(house: Household) -> None:
    house.webhooks.post_after = 0.1
    around, call = house.directory.surroundings, AppCall(url="", path="/tool", body={})
    await call_app_server(around, USER, APP, "tool", call)


COMMANDS: dict[Callable[..., object], Call] = {
    Directory.start_app: lambda house: house.directory.start_app(USER, APP),
    Directory.stop_app: lambda house: house.directory.stop_app(USER, APP),
    Directory.change_user_settings: lambda house: house.directory.change_user_settings(
        USER, {"brightness": 1}
    ),
    store_user_settings: lambda house: store_user_settings(house.store, USER, {"brightness": 1}),
    change_app_settings: set_up,
    ToolCalls.call: use_a_tool,
    call_app_server: call_it,
    Directory.until_here: until_somebody_comes,
    Roster.stop: lambda house: house.directory._users[USER].roster.stop(APP),
    Wishes.write_stop: lambda house: house.directory._users[USER].roster.wishes.write_stop(APP),
    AppCatalog.add: lambda house: house.catalog.add("com.t.b", url="http://b.test"),
    AppCatalog.get: lambda house: house.catalog.get(APP),
    AppCatalog.by_registration: lambda house: house.catalog.by_registration("reg_x"),
    AppCatalog.list: lambda house: house.catalog.list(),
    AppCatalog.remove: lambda house: house.catalog.remove(APP),
    AppCatalog.rotate_key: lambda house: house.catalog.rotate_key(APP),
    Household.add_app: lambda house: house.add_app("com.t.b"),
    Household.attached_glasses: lambda house: house.attached_glasses(),
}


@pytest.mark.parametrize("function", COMMANDS, ids=lambda function: function.__qualname__)
@cancels(*COMMANDS)
async def test_a_command_that_is_given_up(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    assert await cancel_at_every_moment(one_app, COMMANDS[function], usable) > 1


async def test_a_stop_that_is_given_up_has_stopped_the_app(autojump_clock: MockClock) -> None:
    async def stop(house: Household) -> None:
        await house.directory._users[USER].roster.stop(APP)

    async def check(house: Household) -> None:
        assert house.state() in {None, "stopping", "stopped"}
        await usable(house)

    assert await cancel_at_every_moment(one_app, stop, check) > 1


async def until_called(house: Household) -> None:
    await house.directory.stop_app(USER, APP)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.directory.start_app, USER, APP)
        house.answer(await house.webhooks.next_start())


async def until_told_to_stop(house: Household) -> None:
    house.webhooks.stop_after = 0.1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.directory.stop_app, USER, APP)
        await house.webhooks.next_stop()


async def until_posted_to(house: Household) -> None:
    house.webhooks.post_after = 0.1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.webhooks.post, AppCall(url="", path="/tool", body={}))
        await house.webhooks.next_post()


async def until_a_fact(house: Household) -> None:
    house.telemetry._new = type(house.telemetry._new)()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.directory.stop_app, USER, APP)
        await house.telemetry.next(AppStateChanged)


async def run_again(house: Household) -> None:
    await house.directory.stop_app(USER, APP)
    await house.webhooks.next_stop()
    house.webhooks._new_starts = type(house.webhooks._new_starts)()
    await house.running_app()


async def run_for_others(house: Household) -> None:
    house.webhooks._new_starts = type(house.webhooks._new_starts)()
    await house.running_apps([OTHER])


WAITS: dict[Callable[..., object], Call] = {
    FakeWebhooks.next_start: until_called,
    FakeWebhooks.next_stop: until_told_to_stop,
    FakeWebhooks.next_post: until_posted_to,
    FakeWebhooks.post: until_posted_to,
    RecordingTelemetry.next: until_a_fact,
    Household.running_app: run_again,
    Household.running_apps: run_for_others,
}


@pytest.mark.parametrize("function", WAITS, ids=lambda function: function.__qualname__)
@cancels(*WAITS)
async def test_a_test_that_waits_for_the_household_and_gives_up(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    assert await cancel_at_every_moment(one_app, WAITS[function], usable) > 1


@pytest.mark.parametrize(
    "function",
    [MemoryLink.listen, MemoryLink.expect, MemoryLink.closed],
    ids=lambda function: function.__qualname__,
)
@cancels(MemoryLink.listen, MemoryLink.expect, MemoryLink.closed)
async def test_who_waits_at_a_link_takes_nothing_out_of_it(
    function: Callable[..., Awaitable[object]], autojump_clock: MockClock
) -> None:
    arguments: dict[Callable[..., Any], tuple[Any, ...]] = {
        MemoryLink.expect: ("pong",),
        MemoryLink.listen: (lambda frame: None, trio.current_time() + 3600),
    }

    @asynccontextmanager
    async def world() -> AsyncGenerator[MemoryLink]:
        yield MemoryLink("cancelled")

    async def call(link: MemoryLink) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(everything_happens, link)
            await function(link, *arguments.get(function, ()))

    async def check(link: MemoryLink) -> None:
        await everything_happens(link)
        with trio.fail_after(1):
            await function(link, *arguments.get(function, ()))

    async def everything_happens(link: MemoryLink) -> None:
        await trio.sleep(0.1)
        link.say("one", "two")
        link.push('{"type": "pong"}')
        link.push('{"type": "pong"}')
        link.close(APP_STOPPED)

    assert await cancel_at_every_moment(world, call, check) > 1


@cancels(Directory.serve_glasses)
async def test_glasses_whose_connection_is_cancelled_are_lost_glasses(
    autojump_clock: MockClock,
) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[Household]:
        async with open_household(store=SlowStore()) as house:
            await house.add_app()
            yield house

    async def serve(house: Household) -> None:
        serve_glasses = partial(house.directory.serve_glasses, USER)
        await lend_until_greeted(MemoryLink("cancelled"), serve_glasses, "connection_ack")

    async def check(house: Household) -> None:
        await wait_all_tasks_blocked()
        snapshot = house.directory.user(USER)
        assert snapshot is None or not snapshot.connected
        await nothing_is_left(house)

    assert await cancel_at_every_moment(world, serve, check) > 5


@pytest.mark.parametrize(
    ("function", "sign"),
    [(Endpoint.until_hopeless, Sign.AWAY), (Endpoint.until_good, Sign.GOOD)],
    ids=["until_hopeless", "until_good"],
)
@cancels(Endpoint.until_hopeless, Endpoint.until_good)
async def test_who_watches_a_server_and_stops_is_forgotten(
    function: Callable[[Endpoint], Awaitable[None]], sign: Sign, autojump_clock: MockClock
) -> None:
    def endpoint_of(house: Household) -> Endpoint:
        found = house.directory.surroundings.endpoints.known(APP)
        assert found is not None
        return found

    async def call(house: Household) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell_soon, house)
            await function(endpoint_of(house))

    async def tell_soon(house: Household) -> None:
        await trio.sleep(0.1)
        endpoint_of(house).tell(sign)

    async def check(house: Household) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tell_soon, house)
            with trio.fail_after(1):
                await function(endpoint_of(house))
        endpoint_of(house).tell(Sign.GOOD)
        await usable(house)

    assert await cancel_at_every_moment(one_app, call, check) > 1


# -- the end, and the beginning ---------------------------------------------------------------


@asynccontextmanager
async def a_few_users() -> AsyncGenerator[Household]:
    async with open_wearer(store=SlowStore(), lifecycle=Lifecycle(user_grace_s=10)) as (house, _):
        house.connect_when_called(after=0.01)
        await house.directory.start_app(USER, APP)
        for number in range(25):
            await house.attached_glasses(UserId(f"u-{number + 10}@x.org"))
        yield house


ENDS: dict[Callable[..., object], Call] = {
    Directory.close: lambda house: house.directory.close(),
    Directory.drain_in_lots: lambda house: house.directory.drain_in_lots(),
    Keeper.finish: lambda house: house.directory.surroundings.keeper.finish(),
}


@pytest.mark.parametrize("function", ENDS, ids=lambda function: function.__qualname__)
@cancels(*ENDS)
async def test_an_end_that_is_given_up_is_begun_again(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    async def check(house: Household) -> None:
        await house.directory.close()
        assert len(await house.store.saved_users()) == 26, "all is on disk"
        await house.directory.drain_in_lots()
        await wait_all_tasks_blocked()
        assert house.directory.users() == []
        async with open_household(store=house.store) as after:
            await after.add_app()
            await nothing_is_left(after)

    assert await cancel_at_every_moment(a_few_users, ENDS[function], check, every=3) > 0
