"""One standard app at a time: whatever state the old one is in, and whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.close_reasons import APP_STOPPED
from mentra_trio.domain.errors import SessionEnded, StoreFailed, UnknownApp
from mentra_trio.domain.facts import AppStateChanged, GaveWay
from mentra_trio.domain.ids import PackageName, package_name, user_id
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.starting import StartResult, StartStage, superseded
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.environment import Environment
from mentra_trio.sessions.catalog import AppCatalog
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.telemetry.journal import Journal
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    virtual_environment,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.schedule import seeded_schedule
from mentra_trio.testing.trouble import REFUSED, BrokenSettings

NEW = package_name("com.t.new")
THIRD = package_name("com.t.third")
GAVE_WAY = f"stopped: {NEW} took the foreground"
LONG = 600.0


@asynccontextmanager
async def open_foreground(**settings: Any) -> AsyncGenerator[tuple[Household, MemoryLink]]:
    """A user with glasses; three standard apps whose servers answer, but not that of ``APP``."""
    async with open_household(**settings) as house:
        for package in (APP, NEW, THIRD):
            await house.add_app(package)
        house.connect_when_called(NEW)
        house.connect_when_called(THIRD)
        yield house, await house.attached_glasses()


def states(house: Household) -> dict[str, str]:
    session = house.directory.user(USER)
    assert session is not None
    return {app.package: app.state for app in session.apps}


async def start_into(
    house: Household, package: PackageName, results: dict[PackageName, StartResult]
) -> None:
    results[package] = await house.directory.start_app(USER, package)


def start(package: str) -> dict[str, str]:
    return {"type": "start_app", "packageName": package}


async def only_the_new_one_is_left(house: Household) -> None:
    calls = len([call for call in house.webhooks.starts if call.package == APP])
    await trio.sleep(LONG)
    assert states(house) == {NEW: "running"}
    assert list(await house.store.wanted_apps(USER)) == [NEW]
    assert len([call for call in house.webhooks.starts if call.package == APP]) == calls
    assert house.telemetry.of(GaveWay) == [GaveWay(user=USER, package=APP, to=NEW)]


# -- every state of the old app ----------------------------------------------------------------


async def lost(house: Household, *, after: float, **script: Any) -> None:
    link = await house.running_app()
    house.webhooks.plan(APP, WebhookScript(**script))
    link.cut()
    await trio.sleep(after)


async def released(house: Household) -> None:
    link = await house.running_app()
    link.say({"type": "ownership_release", "reason": "switching_clouds"})
    link.hang_up()
    await wait_all_tasks_blocked()


BEFORE: dict[str, Any] = {
    "running": lambda house: house.running_app(),
    "grace_period": partial(lost, after=2),
    "disconnected": partial(lost, after=5.1),
    "resurrecting": partial(lost, after=40, answer_after=LONG),
    "backoff": partial(lost, after=60, failure=REFUSED),
    "evicted": partial(lost, after=LONG, failure=REFUSED),
    "dormant": released,
}


@pytest.mark.parametrize("by", ["api", "glasses"])
@pytest.mark.parametrize("state", BEFORE)
async def test_whatever_state_the_old_app_is_in_it_is_stopped_for_good(
    state: str, by: str, autojump_clock: MockClock
) -> None:
    lifecycle = Lifecycle(grace_jitter_s=30, connect_s=100)
    async with open_foreground(lifecycle=lifecycle) as (house, glasses):
        await BEFORE[state](house)
        assert house.state() == state
        if by == "api":
            assert (await house.directory.start_app(USER, NEW)).success
        else:
            glasses.say(start(NEW))
        await only_the_new_one_is_left(house)
        ends = [fact for fact in house.telemetry.of(AppStateChanged) if fact.package == APP]
        assert ends[-1].new.value == "stopped"
        assert ends[-1].cause == GAVE_WAY


@pytest.mark.parametrize("by", ["api", "glasses"])
async def test_an_app_that_connects_is_stopped_and_who_waits_for_it_is_told(
    by: str, autojump_clock: MockClock
) -> None:
    async with open_foreground() as (house, glasses), trio.open_nursery() as nursery:
        results: dict[PackageName, StartResult] = {}
        nursery.start_soon(start_into, house, APP, results)
        late = await house.webhooks.next_start()
        assert house.state() == "connecting"
        if by == "api":
            assert (await house.directory.start_app(USER, NEW)).success
        else:
            glasses.say(start(NEW))
        await wait_all_tasks_blocked()
        assert results == {APP: superseded(APP, NEW)}
        assert results[APP].stage is StartStage.CONNECTION
        assert results[APP].superseded_by == NEW
        assert await house.answer(late).closed() == APP_STOPPED
        await only_the_new_one_is_left(house)


async def test_an_app_that_is_being_stopped_is_left_to_that(autojump_clock: MockClock) -> None:
    async with open_foreground() as (house, _glasses):
        await house.running_app()
        house.webhooks.stop_after = 4
        await house.directory.stop_app(USER, APP)
        assert house.state() == "stopping"
        assert (await house.directory.start_app(USER, NEW)).success
        assert house.state() == "stopping", "nobody waits for it"
        await trio.sleep(5)
        assert states(house) == {NEW: "running"}
        assert house.telemetry.of(GaveWay) == []
        assert len(house.webhooks.stops) == 1


async def test_an_app_whose_start_failed_is_not_wanted_any_more(autojump_clock: MockClock) -> None:
    async with open_foreground() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        assert not (await house.directory.start_app(USER, APP)).success
        assert list(await house.store.wanted_apps(USER)) == [APP]
        assert (await house.directory.start_app(USER, NEW)).success
        await only_the_new_one_is_left(house)


async def test_an_app_that_crashed_is_not_brought_back(autojump_clock: MockClock) -> None:
    store = BrokenSettings()
    async with open_foreground(store=store) as (house, _glasses):
        house.telemetry.expects_crashes = True
        link = await house.running_app()
        link.cut()
        store.broken = True
        await house.app().closed()
        store.broken = False
        assert house.state() == "grace_period"
        assert (await house.directory.start_app(USER, NEW)).success
        await only_the_new_one_is_left(house)


# -- how it is stopped -------------------------------------------------------------------------


async def test_it_is_stopped_as_by_the_user_before_the_new_one_begins(
    autojump_clock: MockClock,
) -> None:
    async with open_foreground() as (house, _glasses):
        old = await house.running_app()
        house.webhooks.stop_after = 3
        began = trio.current_time()
        assert (await house.directory.start_app(USER, NEW)).success
        assert trio.current_time() == began, "the stop webhook is not waited for"
        assert old.of_type("app_stopped")[0]["reason"] == "user_disabled"
        assert old.closed_with == APP_STOPPED
        (call,) = house.webhooks.stops
        assert (call.package, call.reason) == (APP, "user_disabled")
        moves = [(fact.package, fact.new.value) for fact in house.telemetry.of(AppStateChanged)]
        assert moves.index((APP, "stopping")) < moves.index((NEW, "connecting"))


@pytest.mark.parametrize("turns", range(6))
async def test_the_display_is_never_drawn_by_two(turns: int, autojump_clock: MockClock) -> None:
    """The old one draws in the very turn in which it is stopped, and while its server is told."""
    async with open_foreground() as (house, glasses):
        old = await house.running_app()
        house.webhooks.stop_after = 5
        house.webhooks.plan(
            NEW, WebhookScript(on_delivered=lambda call: draws(house.answer(call), "new"))
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, NEW)
            for _ in range(turns):
                draws(old, "old")
                await trio.lowlevel.checkpoint()
            draws(old, "old")
        draws(old, "old")
        await trio.sleep(10)
        texts = [message["layout"]["text"] for message in glasses.of_type("display_event")]
        assert texts[-1] == "new"
        assert "old" not in texts[texts.index("new") :]


def draws(link: MemoryLink, text: str) -> None:
    link.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": text}})


async def test_why_and_the_journal_tell_who_took_the_foreground(autojump_clock: MockClock) -> None:
    async with open_foreground() as (house, glasses):
        await house.running_app()
        house.webhooks.stop_after = 3
        before = len(glasses.of_type("app_state_change"))
        await house.directory.start_app(USER, NEW)
        snapshot = house.snapshot()
        assert snapshot is not None
        assert (snapshot.state, snapshot.cause) == ("stopping", GAVE_WAY)
        await trio.sleep(5)
        assert len(glasses.of_type("app_state_change")) > before
        journal = Journal(Environment())
        for fact in house.telemetry.facts:
            journal.emit(fact)
        story = journal.story(USER, APP)
        assert any(f"{APP} gave way: {NEW} took the foreground" in line for line in story)
        assert GAVE_WAY in story[-1]


# -- who is left alone -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["background", "system_dashboard"])
async def test_other_kinds_neither_stop_anybody_nor_are_stopped(
    kind: str, autojump_clock: MockClock
) -> None:
    async with open_foreground() as (house, _glasses):
        others = [await house.add_app(f"com.t.other{n}", kind=kind) for n in range(2)]
        await house.running_app()
        for other in others:
            await house.running_app(package=other)
        assert states(house) == dict.fromkeys([APP, *others], "running")
        await house.directory.start_app(USER, NEW)
        await trio.sleep(LONG)
        assert states(house) == dict.fromkeys([NEW, *others], "running")
        assert sorted(await house.store.wanted_apps(USER)) == sorted([NEW, *others])


async def test_the_app_in_the_foreground_stops_nothing_when_started_again(
    autojump_clock: MockClock,
) -> None:
    async with open_foreground() as (house, glasses):
        link = await house.running_app()
        assert (await house.directory.start_app(USER, APP)).success
        glasses.say(start(APP))
        await trio.sleep(1)
        assert link.is_open
        assert house.telemetry.of(GaveWay) == []


async def test_the_apps_of_another_user_are_left_alone(autojump_clock: MockClock) -> None:
    async with open_foreground() as (house, _glasses):
        other = user_id("u-2@x.org")
        await house.attached_glasses(other)
        link = await house.running_app(other)
        await house.running_app()
        await house.directory.start_app(USER, NEW)
        assert link.is_open
        assert house.state(other) == "running"


# -- a start that fails its checks -------------------------------------------------------------


async def test_who_fails_the_checks_stops_nobody(autojump_clock: MockClock) -> None:
    async with open_foreground() as (house, glasses):
        link = await house.running_app()
        with pytest.raises(UnknownApp):
            await house.directory.start_app(USER, package_name("com.never.seen"))
        glasses.say(start("com.never.seen"))
        with pytest.raises(SessionEnded):
            await house.directory.start_app(user_id("nobody@x.org"), NEW)
        await trio.sleep(1)
        errors = [message.get("error") for message in glasses.of_type("app_state_change")]
        assert "App com.never.seen not found" in errors
        assert link.is_open
        assert house.telemetry.of(GaveWay) == []
        assert list(await house.store.wanted_apps(USER)) == [APP]


@pytest.mark.parametrize("fails", ["new", "old"])
async def test_where_the_store_fails_nobody_is_stopped(
    fails: str, autojump_clock: MockClock
) -> None:
    broken: set[PackageName] = set()

    class Failing(MemoryStore):
        async def app(self, package: PackageName) -> AppRegistration | None:
            if package in broken:
                raise StoreFailed("disk I/O error")
            return await super().app(package)

    async with open_foreground(store=Failing()) as (house, glasses):
        link = await house.running_app()
        broken.add(NEW if fails == "new" else APP)
        with pytest.raises(StoreFailed):
            await house.directory.start_app(USER, NEW)
        glasses.say(start(NEW))
        await trio.sleep(1)
        errors = [message.get("error") for message in glasses.of_type("app_state_change")]
        assert f"App {NEW}: disk I/O error" in errors
        assert link.is_open
        assert states(house) == {APP: "running"}
        assert list(await house.store.wanted_apps(USER)) == [APP]


async def test_a_command_that_cannot_be_queued_stops_nobody(autojump_clock: MockClock) -> None:
    class Slow(MemoryStore):
        slow = False

        async def set_wanted(self, *names: Any, wanted: bool) -> None:
            if self.slow:
                await trio.sleep(LONG)
            await super().set_wanted(*names, wanted=wanted)

    store = Slow()
    async with open_foreground(store=store) as (house, glasses):
        link = await house.running_app()
        store.slow = True
        roster = house.directory._users[USER].roster
        for n in range(roster.wishes.queue.capacity + 1):
            roster.wishes.note(package_name(f"com.t.filler{n}"), wanted=False)
            await wait_all_tasks_blocked()
        result = await house.directory.start_app(USER, NEW)
        assert result.stage is StartStage.INTERNAL_ERROR
        glasses.say(start(NEW))
        await trio.sleep(1)
        assert any("wait" in (m.get("error") or "") for m in glasses.of_type("app_state_change"))
        assert link.is_open
        assert states(house) == {APP: "running"}


# -- two at once -------------------------------------------------------------------------------


class SlowToRead(MemoryStore):
    """A store that reads the registration of some apps slowly."""

    delays: dict[PackageName, float]

    async def app(self, package: PackageName) -> AppRegistration | None:
        found = await super().app(package)
        await trio.sleep(self.delays.get(package, 0.0))
        return found


@pytest.mark.parametrize("delays", [(0, 0), (2, 1), (1, 2), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("running", [False, True])
async def test_of_two_starts_the_last_command_wins_whoever_is_read_first(
    running: bool, delays: tuple[float, float], autojump_clock: MockClock
) -> None:
    store = SlowToRead()
    store.delays = {}
    async with open_foreground(store=store) as (house, _glasses):
        if running:
            await house.running_app()
        store.delays = dict(zip((THIRD, NEW), delays, strict=True))
        results: dict[PackageName, StartResult] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_into, house, THIRD, results)
            await until_asked_for(house, THIRD)
            nursery.start_soon(start_into, house, NEW, results)
        assert results[NEW].success
        first = results[THIRD]
        assert first.success or first == superseded(THIRD, NEW)
        await trio.sleep(LONG)
        assert states(house) == {NEW: "running"}
        assert list(await house.store.wanted_apps(USER)) == [NEW]


async def until_asked_for(house: Household, package: PackageName) -> None:
    """Until the command is given; a few turns later it takes effect."""
    for _ in range(50):
        if house.directory._users[USER].roster._awaited[package]:
            return
        await trio.lowlevel.checkpoint()
    raise AssertionError(f"nobody asks for {package}")


@pytest.mark.parametrize("delays", [(0, 0), (2, 1), (1, 2), (0, 1), (1, 0)])
async def test_of_two_starts_in_one_burst_of_the_glasses_the_last_wins(
    delays: tuple[float, float], autojump_clock: MockClock
) -> None:
    store = SlowToRead()
    store.delays = {}
    async with open_foreground(store=store) as (house, glasses):
        await house.running_app()
        store.delays = dict(zip((THIRD, NEW), delays, strict=True))
        glasses.say(start(THIRD), start(NEW))
        await trio.sleep(LONG)
        assert states(house) == {NEW: "running"}
        assert list(await house.store.wanted_apps(USER)) == [NEW]


async def test_the_app_in_the_foreground_started_again_beats_a_start_before_it(
    autojump_clock: MockClock,
) -> None:
    store = SlowToRead()
    store.delays = {}
    async with open_foreground(store=store) as (house, _glasses):
        link = await house.running_app()
        store.delays = {NEW: 1}
        results: dict[PackageName, StartResult] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_into, house, NEW, results)
            await until_asked_for(house, NEW)
            assert (await house.directory.start_app(USER, APP)).success
        assert results == {NEW: superseded(NEW, APP)}
        assert link.is_open
        assert list(await house.store.wanted_apps(USER)) == [APP]


async def test_a_start_during_the_stop_webhook_comes_after_it_and_takes_the_foreground_back(
    autojump_clock: MockClock,
) -> None:
    async with open_foreground() as (house, _glasses):
        await house.running_app()
        house.webhooks.stop_after = 3
        await house.directory.start_app(USER, NEW)
        house.connect_when_called(APP)
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            results: dict[PackageName, StartResult] = {}
            nursery.start_soon(start_into, house, APP, results)
            await trio.sleep(1)
            assert house.state(package=NEW) == "running", "it is stopped when the other begins"
        assert results[APP].success
        assert trio.current_time() - began == pytest.approx(3)
        await trio.sleep(LONG)
        assert states(house) == {APP: "running"}
        assert list(await house.store.wanted_apps(USER)) == [APP]


async def test_a_start_that_waits_for_a_stop_webhook_gives_way_to_a_later_one(
    autojump_clock: MockClock,
) -> None:
    async with open_foreground() as (house, _glasses):
        await house.running_app()
        house.webhooks.stop_after = 3
        await house.directory.stop_app(USER, APP)
        results: dict[PackageName, StartResult] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_into, house, APP, results)
            await trio.sleep(1)
            await house.directory.start_app(USER, NEW)
        assert results == {APP: superseded(APP, NEW)}
        assert states(house) == {NEW: "running"}


async def test_a_start_that_has_given_way_does_not_come_back_when_the_later_one_is_stopped(
    autojump_clock: MockClock,
) -> None:
    async with open_foreground() as (house, _glasses):
        await house.running_app()
        house.webhooks.stop_after = 3
        await house.directory.stop_app(USER, APP)
        results: dict[PackageName, StartResult] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_into, house, APP, results)
            await trio.sleep(1)
            await house.directory.start_app(USER, NEW)
            await house.directory.stop_app(USER, NEW)
        assert results == {APP: superseded(APP, NEW)}
        await trio.sleep(LONG)
        assert states(house) == {}
        assert list(await house.store.wanted_apps(USER)) == []


async def test_many_starts_in_every_order_leave_the_last(autojump_clock: MockClock) -> None:
    async with open_foreground() as (house, glasses):
        house.connect_when_called(APP)
        house.webhooks.stop_after = 1
        random = Random(7)
        for _ in range(60):
            glasses.say(*map(start, random.sample([APP, NEW, THIRD], 3)))
            await trio.sleep(random.choice([0, 0.3, 1, 1.5]))
        glasses.say(start(THIRD), start(NEW))
        await trio.sleep(LONG)
        assert states(house) == {NEW: "running"}
        assert list(await house.store.wanted_apps(USER)) == [NEW]


@pytest.mark.parametrize("turns", range(8))
async def test_a_caller_that_gives_up_leaves_all_or_nothing(
    turns: int, autojump_clock: MockClock
) -> None:
    async with open_foreground() as (house, _glasses):
        await house.running_app()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(house.directory.start_app, USER, NEW)
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        await trio.sleep(LONG)
        assert states(house) in ({APP: "running"}, {NEW: "running"})
        assert list(await house.store.wanted_apps(USER)) == list(states(house))


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("turns", range(8))
async def test_a_command_of_the_glasses_outlives_the_end_of_their_session(
    turns: int, after: int, autojump_clock: MockClock
) -> None:
    """It is not lost, and the next session begins with what was commanded last."""
    store = SlowToRead()
    store.delays = {}
    async with open_foreground(store=store) as (house, glasses):
        await house.running_app()
        store.delays = {NEW: 1}
        glasses.say(start(NEW))
        await wait_all_tasks_blocked()
        await trio.sleep(after)
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        house.directory._users[USER].end(StopCause.USER_SESSION_ENDED)
        await trio.sleep(3)
        assert NEW in await store.wanted_apps(USER)
        store.delays = {}
        await house.attached_glasses()
        await trio.sleep(1)
        assert states(house) == {NEW: "running"}
        assert list(await store.wanted_apps(USER)) == [NEW]


async def test_a_command_is_remembered_also_in_the_turn_in_which_its_checks_are_done(
    autojump_clock: MockClock,
) -> None:
    read = trio.Event()

    class Gated(MemoryStore):
        gated = False

        async def app(self, package: PackageName) -> AppRegistration | None:
            found = await super().app(package)
            if self.gated:
                await read.wait()  # who is woken by it does not look at a cancellation any more
            return found

    store = Gated()
    async with open_household(store=store) as house:
        await house.add_app(NEW, kind="background")
        glasses = await house.attached_glasses()
        await wait_all_tasks_blocked()
        store.gated = True
        glasses.say(start(NEW))
        await wait_all_tasks_blocked()
        read.set()
        house.directory._users[USER].end(StopCause.USER_SESSION_ENDED)
        await trio.sleep(3)
        assert list(await store.wanted_apps(USER)) == [NEW]
        assert house.webhooks.starts == []


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("last", [NEW, THIRD])
async def test_of_two_commands_that_outlive_the_session_the_last_one_wins(
    last: PackageName, seed: int, autojump_clock: MockClock
) -> None:
    first = THIRD if last == NEW else NEW
    store = SlowToRead()
    store.delays = {}
    async with open_foreground(store=store) as (house, glasses):
        await wait_all_tasks_blocked()
        store.delays = {NEW: 1, THIRD: 1}
        glasses.say(start(last), start(first), start(last))
        await wait_all_tasks_blocked()
        with seeded_schedule(seed):  # decides which of the two is told of the end first
            house.directory._users[USER].end(StopCause.USER_SESSION_ENDED)
            await trio.sleep(3)
        assert list(await store.wanted_apps(USER)) == [first, last]


# -- older data --------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(APP, THIRD, NEW), (THIRD, APP, NEW)])
async def test_of_several_wanted_standard_apps_the_newest_is_brought_up(
    order: Sequence[PackageName], autojump_clock: MockClock
) -> None:
    store = MemoryStore()
    async with open_household(store=store) as house:
        other = await house.add_app("com.t.other", kind="background")
        house.connect_when_called(other)
        for package in (APP, NEW, THIRD):
            await house.add_app(package)
            house.connect_when_called(package)
        for package in (*order[:1], other, *order[1:]):
            await store.set_wanted(USER, package, wanted=True)
        await house.attached_glasses()
        await trio.sleep(LONG)
        assert states(house) == {NEW: "running", other: "running"}
        assert list(await store.wanted_apps(USER)) == [other, NEW]
        gave_way = {fact.package: fact.to for fact in house.telemetry.of(GaveWay)}
        assert gave_way == {APP: NEW, THIRD: NEW}
        assert {call.package for call in house.webhooks.starts} == {NEW, other}
        journal = Journal(Environment())
        for fact in house.telemetry.facts:
            journal.emit(fact)
        assert f"{APP} gave way: {NEW} took the foreground" in journal.story(USER, APP)[-1]


async def two_background_apps_ran(store: MemoryStore) -> None:
    """Up to the death of their server; the newer of the two is ``NEW``."""
    async with open_household(store=store) as house:
        for package in (APP, NEW):
            await house.add_app(package, kind="background")
        await house.attached_glasses()
        await house.running_app()
        await house.running_app(package=NEW)
        await house.directory.surroundings.keeper.finish()


async def two_standard_apps_ran(store: MemoryStore) -> None:
    """What a server of before the rule has left: the newer of the two is ``NEW``."""
    await two_background_apps_ran(store)
    for package in (APP, NEW):
        await as_standard(store, package)


async def as_standard(store: MemoryStore, package: PackageName) -> None:
    """What an administrator does with the command line: behind the server's back."""
    await AppCatalog(store).add(package, url=f"http://{package}.test")


async def test_after_a_restart_one_of_two_running_apps_is_brought_back(
    autojump_clock: MockClock,
) -> None:
    """Their runtimes are alive and knock at the door; the database is of an older version."""
    store = MemoryStore()
    await two_standard_apps_ran(store)
    environment = virtual_environment(tokens="next")
    async with open_household(store=store, environment=environment) as house:
        await house.attached_glasses()
        assert await house.app(token="t1").closed() == APP_STOPPED
        await house.app(package=NEW, token="t2").expect("tpa_connection_ack")
        await only_the_new_one_is_left(house)
        assert house.webhooks.starts == []


@pytest.mark.parametrize("first", ["wishes", "command"])
async def test_a_command_beats_what_was_wanted_before(
    first: str, autojump_clock: MockClock
) -> None:
    class SlowWishes(MemoryStore):
        async def wanted_apps(self, user: Any) -> Sequence[PackageName]:
            wanted = await super().wanted_apps(user)
            await trio.sleep(1)
            return wanted

    store = SlowWishes()
    await store.set_wanted(USER, APP, wanted=True)
    async with open_foreground(store=store) as (house, glasses):
        house.connect_when_called(APP)
        await trio.sleep(2 if first == "wishes" else 0.5)
        glasses.say(start(NEW))
        await trio.sleep(LONG)
        assert states(house) == {NEW: "running"}
        assert list(await store.wanted_apps(USER)) == [NEW]


async def test_after_a_restart_the_other_is_forgotten_before_anybody_comes(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    await two_standard_apps_ran(store)
    environment = virtual_environment(tokens="next")
    async with open_household(store=store, environment=environment) as house:
        await trio.sleep(1)
        assert states(house) == {NEW: "grace_period"}
        assert list(await store.wanted_apps(USER)) == [NEW]
        saved = await store.saved_session(USER)
        assert saved is not None
        assert set(saved.apps) == {NEW}


async def test_a_stop_is_not_forgotten_while_it_is_found_out_who_is_brought_back(
    autojump_clock: MockClock,
) -> None:
    store = SlowToRead()
    store.delays = {}
    await two_background_apps_ran(store)
    store.delays = {NEW: 1}
    environment = virtual_environment(tokens="next")
    async with open_household(store=store, environment=environment) as house:
        await trio.sleep(0.5)
        await house.directory.stop_app(USER, APP)
        await trio.sleep(1)
        assert states(house) == {NEW: "grace_period"}
        saved = await store.saved_session(USER)
        assert saved is not None
        assert set(saved.apps) == {NEW}


async def test_an_app_at_rest_since_before_a_restart_gives_way(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_foreground(store=store) as (house, glasses):
        await released(house)
        glasses.cut()
        assert house.state() == "dormant"
        await house.directory.surroundings.keeper.finish()
    environment = virtual_environment(tokens="next")
    async with open_household(store=store, environment=environment) as house:
        house.connect_when_called(NEW)
        async with trio.open_nursery() as nursery:
            await trio.sleep(1)
            assert states(house) == {APP: "dormant"}
            nursery.start_soon(house.directory.start_app, USER, NEW)
        assert states(house) == {NEW: "running"}
        await house.attached_glasses()
        await only_the_new_one_is_left(house)


async def test_the_registration_counts_as_it_is_now(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_foreground(store=store) as (house, _glasses):
        await AppCatalog(store).add(APP, url=f"http://{APP}.test", kind="background")
        await house.running_app()
        await as_standard(store, APP)
        assert (await house.directory.start_app(USER, NEW)).success
        await only_the_new_one_is_left(house)


async def test_a_start_given_after_the_one_that_takes_the_foreground_is_not_void(
    autojump_clock: MockClock,
) -> None:
    """The old app is asked for again while it is about to give way: that command is the last."""
    store = SlowToRead()
    store.delays = {}
    async with open_foreground(store=store) as (house, _glasses):
        await released(house)
        house.connect_when_called(APP)
        store.delays = {NEW: 1, APP: 3}
        results: dict[PackageName, StartResult] = {}
        async with trio.open_nursery() as nursery:
            nursery.start_soon(start_into, house, NEW, results)
            await until_asked_for(house, NEW)
            nursery.start_soon(start_into, house, APP, results)
        assert results[APP].success
        assert results[NEW] == superseded(NEW, APP)
        await trio.sleep(LONG)
        assert states(house) == {APP: "running"}
        assert list(await store.wanted_apps(USER)) == [APP]


async def test_a_start_given_before_it_is_told_who_took_the_foreground(
    autojump_clock: MockClock,
) -> None:
    store = SlowToRead()
    store.delays = {}
    async with open_foreground(store=store) as (house, _glasses):
        await released(house)
        results: dict[PackageName, StartResult] = {}
        async with trio.open_nursery() as nursery:
            store.delays = {APP: 3}
            nursery.start_soon(start_into, house, APP, results)
            await until_asked_for(house, APP)
            await wait_all_tasks_blocked()
            store.delays = {}
            await house.directory.start_app(USER, NEW)
            assert states(house) == {NEW: "running"}
        assert results == {APP: superseded(APP, NEW)}
