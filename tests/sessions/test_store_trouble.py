"""A store that fails costs as little as possible, and is reported; it is no crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.close_reasons import NO_SETTINGS, NOT_HERE_YET
from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.facts import StoreTrouble
from mentra_trio.domain.ids import PackageName, UserId
from mentra_trio.domain.starting import StartStage
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, open_household, open_one_app, open_wearer


class Failing(MemoryStore):
    """A store whose disk is full, or whatever: the operations in ``broken`` fail."""

    broken: frozenset[str] = frozenset()

    def _check(self, name: str) -> None:
        if name in self.broken:
            raise StoreFailed("disk I/O error")

    reads_of_apps = 0

    async def app(self, package: PackageName) -> AppRegistration | None:
        self.reads_of_apps += 1
        self._check("app")
        return await super().app(package)

    async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
        self._check("wanted_apps")
        return await super().wanted_apps(user)

    async def set_wanted(self, user: UserId, package: PackageName, *, wanted: bool) -> None:
        self._check("set_wanted")
        await super().set_wanted(user, package, wanted=wanted)

    async def app_settings(self, user: UserId, package: PackageName) -> Mapping[str, Any]:
        self._check("app_settings")
        return await super().app_settings(user, package)

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        self._check("user_settings")
        return await super().user_settings(user)


async def test_settings_that_could_not_be_read_are_told_when_they_can(
    autojump_clock: MockClock,
) -> None:
    store = Failing()
    await store.put_user_settings(USER, {"brightness": 9})
    store.broken = frozenset({"user_settings"})
    async with open_household(store=store) as house:
        glasses = await house.attached_glasses()
        await trio.sleep(5)
        assert glasses.of_type("settings_update") == []
        store.broken = frozenset()
        told = await glasses.expect("settings_update")
        assert told["settings"]["brightness"] == 9
        assert house.directory.live(USER).settings["brightness"] == 9
        await trio.sleep(5)
        assert len(glasses.of_type("settings_update")) == 1


async def test_a_user_gets_a_session_with_the_default_settings(autojump_clock: MockClock) -> None:
    store = Failing()
    store.broken = frozenset({"user_settings", "wanted_apps"})
    async with open_household(store=store) as house:
        await house.attached_glasses()
        await wait_all_tasks_blocked()
        assert len(house.telemetry.of(StoreTrouble)) == 2
        assert house.telemetry.crashes == []


@pytest.mark.parametrize("broken", ["app_settings", "user_settings"])
async def test_an_app_that_reconnects_is_asked_to_try_again_rather_than_misled(
    broken: str, autojump_clock: MockClock
) -> None:
    store = Failing()
    async with open_one_app(store=store) as (house, _glasses, app):
        store.broken = frozenset({broken})
        app.cut()
        await trio.sleep(1)
        assert await house.app().closed() == NO_SETTINGS
        await wait_all_tasks_blocked()
        assert house.state() == "grace_period"
        store.broken = frozenset()
        await house.app().expect("tpa_connection_ack")
        assert house.state() == "running"
        assert len(house.telemetry.of(StoreTrouble)) == 1
        assert house.telemetry.crashes == []


async def test_a_start_without_a_registration_to_read_fails_with_its_stage(
    autojump_clock: MockClock,
) -> None:
    store = Failing()
    async with open_wearer(store=store) as (house, glasses):
        store.broken = frozenset({"app"})
        glasses.say({"type": "start_app", "packageName": APP})
        await trio.sleep(1)
        errors = [m.get("error") for m in glasses.of_type("app_state_change")]
        assert "App com.t.a: disk I/O error" in errors
        with pytest.raises(StoreFailed):
            await house.directory.start_app(USER, APP)
        assert house.webhooks.starts == []
        assert house.state() is None
        assert house.telemetry.crashes == []


async def test_a_start_whose_registration_cannot_be_read_again_fails_with_its_stage(
    autojump_clock: MockClock,
) -> None:
    class FailsLater(Failing):
        async def app(self, package: PackageName) -> AppRegistration | None:
            found = await super().app(package)
            self.broken = frozenset({"app"})
            return found

    async with open_wearer(store=FailsLater()) as (house, _glasses):
        assert isinstance(house.store, Failing)
        house.store.broken = frozenset()
        result = await house.directory.start_app(USER, APP)
        assert (result.success, result.stage) == (False, StartStage.INTERNAL_ERROR)
        assert house.telemetry.crashes == []


async def test_a_start_that_could_not_be_written_down_is_not_acknowledged(
    autojump_clock: MockClock,
) -> None:
    store = Failing()
    async with open_wearer(store=store) as (house, glasses):
        store.broken = frozenset({"set_wanted"})
        with pytest.RaisesGroup(StoreFailed):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(house.directory.start_app, USER, APP)
                house.answer(await house.webhooks.next_start())
        glasses.say({"type": "stop_app", "packageName": APP})
        await wait_all_tasks_blocked()
        assert house.state() is None, "the stop itself needs no store"
        assert house.telemetry.crashes == []


async def test_an_app_that_cannot_be_looked_up_is_tried_again_at_growing_gaps(
    autojump_clock: MockClock,
) -> None:
    store = Failing()
    async with open_one_app(store=store) as (house, _glasses, app):
        store.broken = frozenset({"app"})
        app.cut()
        before = store.reads_of_apps
        await trio.sleep(60)
        assert house.state() == "backoff"
        assert 4 <= store.reads_of_apps - before <= 9
        store.broken = frozenset()
        house.connect_when_called()
        await trio.sleep(30)
        assert house.state() == "running"


async def test_an_app_that_is_gone_from_the_store_is_over_when_its_server_would_be_called(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, app):
        await house.store.remove_app(APP)
        app.cut()
        await trio.sleep(10)
        assert house.state() is None
        assert len(house.webhooks.starts) == 1


async def test_what_the_user_wants_is_asked_again_and_no_app_is_turned_away_meanwhile(
    autojump_clock: MockClock,
) -> None:
    store = Failing()
    async with open_household(store=store) as house:
        await house.add_app()
        await store.set_wanted(USER, APP, wanted=True)
        store.broken = frozenset({"wanted_apps"})
        await house.attached_glasses()
        assert await house.app(token="of-before").closed() == NOT_HERE_YET
        house.connect_when_called()
        store.broken = frozenset()
        await trio.sleep(2)
        assert house.state() == "running"


@pytest.mark.parametrize("for_good", [False, True])
async def test_what_was_kept_by_a_server_before_is_asked_for_again_for_a_while(
    for_good: bool, autojump_clock: MockClock
) -> None:
    store = Failing()
    async with open_one_app(store=store) as (house, _glasses, link):
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
    store.broken = frozenset({"wanted_apps"})
    async with open_household(store=store) as house:
        await trio.sleep(0.5)
        store.broken = store.broken if for_good else frozenset()
        await house.attached_glasses()
        snapshot = house.snapshot()
        assert (snapshot is None) is for_good
        assert snapshot is None or snapshot.subscriptions == ("button_press",)
