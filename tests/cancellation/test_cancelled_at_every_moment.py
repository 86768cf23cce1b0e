"""Whoever waits may give up at any moment: nobody else is hurt, and nothing is left behind."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock, wait_all_tasks_blocked
from whole_house import OTHER, SlowStore, lend_until_greeted, nothing_is_left

from mentra_trio.domain.breaker import Sign
from mentra_trio.domain.facts import LinkAttached
from mentra_trio.domain.ids import UserId
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.starting import StartResult
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.ports import SessionChange
from mentra_trio.sessions.directory import AppClaim, Directory
from mentra_trio.sessions.endpoint import Endpoint
from mentra_trio.sessions.foreground import Foreground
from mentra_trio.sessions.keeper import Keeper
from mentra_trio.sessions.roster import Roster
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    virtual_environment,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.trouble import REFUSED

# -- Roster.start ---------------------------------------------------------------------------


@asynccontextmanager
async def where_two_want_an_app() -> AsyncGenerator[tuple[Household, list[StartResult]]]:
    results: list[StartResult] = []
    async with open_household(store=SlowStore()) as house, trio.open_nursery() as nursery:

        async def want_it_too() -> None:
            await trio.sleep(0.01)
            results.append(await house.directory.start_app(USER, APP))

        await house.add_app()
        await house.attached_glasses()
        house.connect_when_called(after=0.05)
        nursery.start_soon(want_it_too)
        yield house, results


@cancels(Roster.start, Foreground.look)
async def test_a_start_that_is_given_up_takes_nobody_elses_with_it(
    autojump_clock: MockClock,
) -> None:
    async def start(world: tuple[Household, list[StartResult]]) -> None:
        await world[0].directory._users[USER].roster.start(APP)

    async def check(world: tuple[Household, list[StartResult]]) -> None:
        house, results = world
        await trio.sleep(5)
        assert results == [StartResult(success=True)]
        assert len(house.webhooks.starts) == 1
        await nothing_is_left(house)

    assert await cancel_at_every_moment(where_two_want_an_app, start, check) > 20


@cancels(Roster.start, Roster.until_clear)
async def test_a_start_that_waits_for_an_end_and_is_given_up_is_forgotten(
    autojump_clock: MockClock,
) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[Household]:
        async with open_household(store=SlowStore()) as house:
            await house.add_app()
            await house.attached_glasses()
            house.connect_when_called(after=0.05)
            await house.directory.start_app(USER, APP)
            house.webhooks.stop_after = 0.5
            assert house.directory._users[USER].roster.stop_now(APP, StopCause.USER)
            yield house

    async def start(house: Household) -> None:
        await house.directory._users[USER].roster.start(APP)

    assert await cancel_at_every_moment(world, start, nothing_is_left) > 10


# -- Directory.serve_app ----------------------------------------------------------------------


@asynccontextmanager
async def after_a_restart() -> AsyncGenerator[tuple[Household, MemoryLink]]:
    """A server that has yet to read of its user, and a link of the app that was running."""
    store = SlowStore()
    async with open_household(store=store) as house:
        await house.add_app()
        await house.attached_glasses()
        first = await house.running_app()
        first.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        await house.directory.surroundings.keeper.finish()
    environment = attrs.evolve(virtual_environment(), new_token=iter("abcdefghijk").__next__)
    async with open_household(store=store, environment=environment) as house:
        yield house, MemoryLink("cancelled")


@cancels(Directory.serve_app, MemoryLink.lend)
async def test_a_connection_that_is_cancelled_leaves_its_session_to_the_next(
    autojump_clock: MockClock,
) -> None:
    claim = AppClaim(package=APP, session_id=f"{USER}-{APP}", user=None, token="t1")

    async def serve(world: tuple[Household, MemoryLink]) -> None:
        house, link = world
        serve_app = partial(house.directory.serve_app, claim)
        await lend_until_greeted(link, serve_app, "tpa_connection_ack")

    async def check(world: tuple[Household, MemoryLink]) -> None:
        house, link = world
        assert not link.is_open
        await wait_all_tasks_blocked()
        await trio.sleep(0.05)
        assert house.state() == "grace_period", "as if the link had been lost"
        again = house.app(token="t1")
        await again.expect("tpa_connection_ack")
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ("button_press",)
        again.cut()
        assert house.webhooks.starts == []
        await nothing_is_left(house)

    assert await cancel_at_every_moment(after_a_restart, serve, check) > 10


async def test_a_running_apps_connection_that_is_cancelled_is_a_lost_link(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house, trio.open_nursery() as nursery:
        await house.add_app()
        await house.attached_glasses()
        link = await house.running_app()
        with trio.CancelScope() as connection:
            second = MemoryLink("second")
            claim = AppClaim(package=APP, session_id=f"{USER}-{APP}", user=None, token="t1")

            async def cancel_when_greeted() -> None:
                await second.expect("tpa_connection_ack")
                connection.cancel()

            nursery.start_soon(cancel_when_greeted)
            await second.lend(partial(house.directory.serve_app, claim))
        assert not link.is_open
        await wait_all_tasks_blocked()
        assert house.state() == "grace_period"
        await house.app(token="t1").expect("tpa_connection_ack")
        assert len(house.webhooks.starts) == 1


@pytest.mark.parametrize("state", ["grace_period", "disconnected", "resurrecting", "backoff"])
async def test_a_connection_that_is_withdrawn_at_once_ends_no_wait(
    state: str, autojump_clock: MockClock
) -> None:
    claim = AppClaim(package=APP, session_id=f"{USER}-{APP}", user=None, token=None)

    @asynccontextmanager
    async def world() -> AsyncGenerator[Household]:
        lifecycle = Lifecycle(grace_jitter_s=40 if state == "disconnected" else 0.8)
        async with open_household(lifecycle=lifecycle) as house:
            await house.add_app()
            await house.attached_glasses()
            link = await house.running_app()
            if state == "backoff":
                house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
            link.cut()
            await trio.sleep(1 if state == "grace_period" else 6.5)
            assert house.state() == state
            yield house

    async def serve(house: Household) -> None:
        serve_app = partial(house.directory.serve_app, claim)
        await lend_until_greeted(MemoryLink("withdrawn"), serve_app, "tpa_connection_ack")

    async def check(house: Household) -> None:
        await wait_all_tasks_blocked()
        attached = len(house.telemetry.of(LinkAttached)) > 2
        assert house.state() == ("grace_period" if attached else state)
        await trio.sleep(2.5)
        assert house.state() in {"grace_period", state, "resurrecting", "backoff"}
        links = house.connect_when_called(after=0.05)
        await trio.sleep(60)
        assert house.state() == "running"
        for link in links:
            link.cut()
        await nothing_is_left(house)

    assert await cancel_at_every_moment(world, serve, check) > 5


# -- Directory.recover_app ---------------------------------------------------------------------


@cancels(Directory.recover_app)
async def test_a_recovery_that_is_given_up_goes_on_without_its_caller(
    autojump_clock: MockClock,
) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[Household]:
        async with open_household(store=SlowStore()) as house:
            await house.add_app()
            links = house.connect_when_called(after=0.05)
            for user in (USER, OTHER):
                await house.attached_glasses(user)
                await house.directory.start_app(user, APP)
            for link in links:
                link.cut()
            await wait_all_tasks_blocked()
            yield house

    async def recover(house: Household) -> None:
        assert await house.directory.recover_app(APP) == 2

    async def check(house: Household) -> None:
        await trio.sleep(6.5)
        assert [house.state(user) for user in (USER, OTHER)] == ["running", "running"]
        assert len(house.webhooks.starts) == 4, "one each, and one each again"
        for user in (USER, OTHER):
            assert await house.directory.stop_app(user, APP)
        assert house.directory._users.keys() == {USER, OTHER}
        for session in house.directory._users.values():
            session.end(StopCause.USER_SESSION_ENDED)
        await wait_all_tasks_blocked()
        await nothing_is_left(house)

    assert await cancel_at_every_moment(world, recover, check, every=2) > 10


# -- Endpoint.turn -------------------------------------------------------------------------------


@attrs.define(eq=False)
class Line:
    """A server that is down, and others who stand in its line, before and behind the caller."""

    endpoint: Endpoint
    had_turns: list[str] = attrs.field(factory=list)

    async def wait(self, name: str, *, lost_at: float = 0.0) -> None:
        turn = await self.endpoint.turn(lost_at)
        try:
            self.had_turns.append(name)
            await trio.sleep(0.5)
            self.endpoint.tell(Sign.GOOD)
        finally:
            turn.over()


@asynccontextmanager
async def in_the_middle_of_a_line() -> AsyncGenerator[Line]:
    line = Line(
        Endpoint(
            package=APP,
            url="http://one.test",
            lifecycle=Lifecycle(),
            environment=virtual_environment(),
            telemetry=RecordingTelemetry(),
        )
    )
    line.endpoint.tell(Sign.AWAY)
    await trio.sleep(0.1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.wait, "before")
        await wait_all_tasks_blocked()

        async def come_behind() -> None:
            await wait_all_tasks_blocked()
            await line.wait("behind", lost_at=trio.current_time())

        nursery.start_soon(come_behind)
        yield line


@cancels(Endpoint.turn)
async def test_whoever_leaves_the_line_leaves_no_place_and_no_trial(
    autojump_clock: MockClock,
) -> None:
    async def wait(line: Line) -> None:
        await line.wait("the caller")

    async def check(line: Line) -> None:
        await trio.sleep(10)
        assert [name for name in line.had_turns if name != "the caller"] == ["before", "behind"]
        snapshot = line.endpoint.snapshot()
        assert (snapshot.waiting, snapshot.trial) == (0, False)
        with trio.fail_after(1):
            await line.wait("one more")

    assert await cancel_at_every_moment(in_the_middle_of_a_line, wait, check) > 8


async def test_whoever_tries_first_and_gives_up_leaves_the_trial_to_the_next(
    autojump_clock: MockClock,
) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[Line]:
        async with in_the_middle_of_a_line() as line:
            line.endpoint.tell(Sign.AWAY)
            yield line

    async def wait(line: Line) -> None:
        with trio.fail_after(10):
            await line.wait("the caller")

    async def check(line: Line) -> None:
        await trio.sleep(10)
        assert line.endpoint.snapshot().waiting == 0
        assert set(line.had_turns) >= {"before", "behind"}

    assert await cancel_at_every_moment(world, wait, check) > 8


# -- Keeper.save_now -----------------------------------------------------------------------------


@attrs.define(eq=False)
class Note:
    """Something to write down, that knows when it was."""

    user: UserId
    written_down: bool = False

    def change(self) -> SessionChange:
        return SessionChange(user=self.user, record={"device": {}})

    def written(self, change: SessionChange) -> None:
        self.written_down = True


@attrs.define(eq=False)
class Desk:
    """A keeper at work, and somebody else who waits for it."""

    keeper: Keeper
    notes: list[Note]
    answers: list[bool] = attrs.field(factory=list)

    def note(self, user: UserId) -> None:
        self.notes.append(Note(user))
        self.keeper.note(user, None, self.notes[-1])

    async def save(self) -> None:
        await self.keeper.save_now()
        self.answers.append(all(note.written_down for note in self.notes))


@asynccontextmanager
async def a_desk() -> AsyncGenerator[Desk]:
    """A round of writing is under way, and something was noted since."""
    desk = Desk(Keeper(store=SlowStore(), telemetry=RecordingTelemetry()), [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(desk.keeper.run)
        desk.note(USER)
        await trio.sleep(0.11)
        desk.note(OTHER)
        nursery.start_soon(desk.save)
        yield desk
        nursery.cancel_scope.cancel()


@cancels(Keeper.save_now)
async def test_whoever_does_not_wait_for_the_disk_changes_nothing_for_those_who_do(
    autojump_clock: MockClock,
) -> None:
    async def save(desk: Desk) -> None:
        await desk.keeper.save_now()
        assert all(note.written_down for note in desk.notes)

    async def check(desk: Desk) -> None:
        await trio.sleep(0.5)
        assert desk.answers == [True], "it returned when all was on disk"
        assert len(await desk.keeper.store.saved_users()) == 2
        desk.note(USER)
        began = trio.current_time()
        await desk.save()
        assert desk.answers == [True, True]
        assert trio.current_time() - began < 0.1, "nobody waits for the delay"
        began = trio.current_time()
        await desk.save()
        assert trio.current_time() == began, "there is nothing to wait for"

    assert await cancel_at_every_moment(a_desk, save, check) > 5
