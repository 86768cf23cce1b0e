"""App servers as all their users share them: health, restart at their word, crashes of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import APP_SILENT, APP_STOPPED
from mentra_trio.domain.facts import (
    EndpointChanged,
    FalseResurrection,
    HealthChecked,
    LinkAttached,
    OwnershipReleased,
    Quarantined,
)
from mentra_trio.domain.ids import PackageName, UserId, user_id
from mentra_trio.domain.timings import PROOF_S, Lifecycle
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED

# -- their word --------------------------------------------------------------------


async def test_a_server_that_says_it_was_restarted_gets_all_its_sessions_back(
    autojump_clock: MockClock,
) -> None:
    users = [user_id(f"u-{n}@x.org") for n in range(20)]
    async with open_household() as house:
        await house.add_app()
        links = list((await house.running_apps(users)).values())
        for link in links[:15]:
            link.cut()
        await trio.sleep(1)
        house.connect_when_called()
        began = trio.current_time()
        assert await house.directory.recover_app(APP) == 15
        assert trio.current_time() - began < 1.0, "grace is not waited for"
        assert all(house.state(user) == "running" for user in users)
        assert len(house.webhooks.starts) == 20 + 15
        assert await house.directory.recover_app(APP) == 0
        assert await house.directory.recover_app(PackageName("nobody")) == 0


async def test_its_word_brings_back_what_waits_and_what_was_given_up(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await trio.sleep(70)
        house.connect_when_called()
        assert house.state() == "backoff"
        assert await house.directory.recover_app(APP) == 1
        assert house.state() == "running"
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        house.directory._users[USER].roster.apps[APP].link.cut()  # type: ignore[union-attr]
        await glasses.expect("app_stopped", within=400)
        house.connect_when_called()
        assert await house.directory.recover_app(APP) == 1
        assert house.state() == "running"


async def test_a_link_that_died_with_the_machine_is_found_dead_at_its_word(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.answers_pings = False
        await trio.sleep(1)
        links = house.connect_when_called()
        assert await house.directory.recover_app(APP) == 0, "as far as is known, it runs"
        assert await link.closed() == APP_SILENT
        assert trio.current_time() == 1 + PROOF_S
        await house.telemetry.next(LinkAttached)
        await trio.sleep(1)
        assert house.state() == "running"
        assert len(links) == 1


async def test_an_app_that_is_there_is_left_alone_at_its_word_and_keeps_its_grace(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        calls = len(house.webhooks.starts)
        assert await house.directory.recover_app(APP) == 0
        await trio.sleep(60)
        assert link.is_open
        link.cut()
        await trio.sleep(4.9)
        assert house.state() == "grace_period"
        assert len(house.webhooks.starts) == calls


# -- their health -------------------------------------------------------------------


async def test_servers_in_use_are_asked_for_their_health_once_for_all_users(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.add_app()
        await house.add_app("com.t.unused")
        for n in range(5):
            await house.attached_glasses(user_id(f"u-{n}@x.org"))
            await house.running_app(user_id(f"u-{n}@x.org"))
        await trio.sleep(300)
        assert set(house.webhooks.health_checks) == {"http://com.t.a.test"}
        assert 9 <= len(house.webhooks.health_checks) <= 11
        assert {fact.result for fact in house.telemetry.of(HealthChecked)} == {"ok"}


async def test_a_server_that_is_well_again_is_tried_at_once(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        house.webhooks.health_failure = REFUSED
        link.cut()
        await glasses.expect("app_stopped", within=400)
        house.connect_when_called()
        house.webhooks.health_failure = None
        await trio.sleep(46)
        assert house.state() == "running", "and not after a quarter of an hour"
        assert [fact.answers for fact in house.telemetry.of(EndpointChanged)] == [False, True]


async def test_no_health_is_asked_for_where_that_is_switched_off(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app(lifecycle=Lifecycle(health_s=0)) as (house, _glasses, _link):
        await trio.sleep(300)
        assert house.webhooks.health_checks == []


async def test_a_server_that_moved_is_tried_at_its_new_address(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await trio.sleep(100)
        house.connect_when_called()
        began = len(house.webhooks.starts)
        await house.catalog.add(APP, url="http://elsewhere.test")
        await trio.sleep(0.1)
        assert house.state() == "running"
        [call] = house.webhooks.starts[began:]
        assert call.url == "http://elsewhere.test"


# -- hand-over -----------------------------------------------------------------------


async def test_a_release_because_of_our_own_call_is_a_handover(
    autojump_clock: MockClock,
) -> None:
    """The old runtime was alive and came without a token: our call makes it move."""
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        house.webhooks.plan(APP, WebhookScript(deliver_after=0))
        call = await house.webhooks.next_start()
        await wait_all_tasks_blocked()
        session = house.directory._users[USER].roster.apps[APP]
        session.floor = 1  # as if the call had been delivered a moment later
        old = house.app()
        await old.expect("tpa_connection_ack")
        old.say({"type": "ownership_release", "reason": "switching_clouds"})
        await trio.sleep(0.1)
        new = house.answer(call)
        await new.expect("tpa_connection_ack")
        old.hang_up(1005)
        await trio.sleep(60)
        assert house.state() == "running"
        assert new.is_open


@pytest.mark.parametrize("reason", ["switching_clouds", "clean_shutdown", "user_logout"])
async def test_a_release_without_a_call_of_ours_is_none(
    reason: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.say({"type": "ownership_release", "reason": reason})
        await trio.sleep(0.1)
        assert house.state() == "running"
        link.hang_up(1005)
        await wait_all_tasks_blocked()
        assert house.state() == "dormant"
        [fact] = house.telemetry.of(OwnershipReleased)
        assert (fact.reason, fact.handover) == (reason, False)
        assert house.telemetry.of(FalseResurrection) == []
        await house.app(token="t1").expect("tpa_connection_ack")
        assert house.state() == "running", "the app may come back by itself"


# -- our own crashes -------------------------------------------------------------------


class Fragile(MemoryStore):
    """A store that makes the greeting of one app crash."""

    broken = True

    async def app_settings(self, user: UserId, package: PackageName) -> Mapping[str, Any]:
        if self.broken and package == APP:
            raise KeyError("a bug of ours")
        return await super().app_settings(user, package)


async def test_an_app_session_that_keeps_crashing_is_quarantined_and_its_sibling_goes_on(
    autojump_clock: MockClock,
) -> None:
    store = Fragile()
    store.broken = False
    async with open_household(store=store) as house:
        house.telemetry.expects_crashes = True
        sibling = await house.add_app("com.t.b", kind="background")
        await house.add_app()
        glasses = await house.attached_glasses()
        neighbour = await house.running_app(package=sibling)
        link = await house.running_app()
        link.cut()
        store.broken = True
        crashed: list[MemoryLink] = []
        for _ in range(6):
            await trio.sleep(1)
            crashed.append(house.app(token="t2"))
            await crashed[-1].closed()
        assert {link.closed_with.code for link in crashed if link.closed_with} == {1011}
        assert len(house.telemetry.crashes) == 6
        assert house.state() == "evicted"
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.cause == "quarantined, its session kept crashing: KeyError"
        assert len(house.telemetry.of(Quarantined)) == 1
        assert len(glasses.of_type("app_stopped")) == 1
        assert await house.app(token="t2").closed() == APP_STOPPED
        assert neighbour.is_open
        store.broken = False
        house.connect_when_called()
        assert (await house.directory.start_app(USER, APP)).success


async def test_few_crashes_are_forgiven(autojump_clock: MockClock) -> None:
    store = Fragile()
    store.broken = False
    async with open_household(store=store) as house:
        house.telemetry.expects_crashes = True
        await house.add_app()
        await house.attached_glasses()
        link = await house.running_app()
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        for _ in range(10):
            link.cut()
            store.broken = True
            await trio.sleep(1)
            await house.app(token="t1").closed()
            store.broken = False
            await trio.sleep(1)
            link = house.app(token="t1")
            await link.expect("tpa_connection_ack")
            await trio.sleep(100)
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.state == "running"
        assert snapshot.subscriptions == ("button_press",)
        assert snapshot.epoch == 11


# -- their address -----------------------------------------------------------------------


async def test_sessions_that_have_not_heard_of_a_move_do_not_lead_the_others_back(
    autojump_clock: MockClock,
) -> None:
    users = [user_id(f"u-{n}@x.org") for n in range(50)]
    async with open_household() as house:
        await house.add_app()
        links = (await house.running_apps(users)).values()
        await house.catalog.add(APP, url="http://elsewhere.test")
        house.webhooks.starts.clear()
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        for link in links:
            link.cut()
        await trio.sleep(25)
        house.directory.users()  # nor does a look at them
        assert len(house.webhooks.starts) <= 15
        assert {call.url for call in house.webhooks.starts} == {"http://elsewhere.test"}
        endpoint = house.directory.surroundings.endpoints.known(APP)
        assert endpoint is not None
        assert endpoint.url == "http://elsewhere.test"
