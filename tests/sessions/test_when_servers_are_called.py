"""When the server of an app is called, and when not: twice at once, or for an absent user."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import SUPERSEDED
from mentra_trio.domain.facts import StartEnded
from mentra_trio.domain.ids import user_id
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.testing.household import APP, USER, Household, open_one_app
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED


@asynccontextmanager
async def open_evicted_app() -> AsyncGenerator[tuple[Household, MemoryLink]]:
    """A household, and its glasses; the app's server was away for longer than the budget."""
    async with open_one_app(lifecycle=Lifecycle(health_s=0)) as (house, glasses, link):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await glasses.expect("app_stopped", within=400)
        yield house, glasses


async def test_an_answer_that_is_outstanding_from_the_call_before_is_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(answer_after=1_000))
        link.cut()
        again = house.answer(await house.webhooks.next_start())
        await again.expect("tpa_connection_ack")
        assert house.webhooks.in_flight == 1, "its answer may come long after the app is up"
        again.cut()
        await house.webhooks.next_start()
        assert house.webhooks.in_flight == 1
        await trio.sleep(0.1)
        assert house.state() == "resurrecting"


async def test_a_server_that_was_restarted_is_not_called_for_a_user_who_is_away(
    autojump_clock: MockClock,
) -> None:
    async with open_evicted_app() as (house, glasses):
        glasses.cut()
        await wait_all_tasks_blocked()
        before = len(house.webhooks.starts)
        house.connect_when_called()
        assert await house.directory.recover_app(APP) == 0
        await trio.sleep(20)
        assert len(house.webhooks.starts) == before
        assert house.state() == "evicted"
        await house.attached_glasses()
        await wait_all_tasks_blocked()
        assert house.state() == "running", "as soon as its user is back"


async def test_for_a_user_who_is_away_it_is_called_if_somebody_asks_for_the_app(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.cut()
        glasses.cut()
        house.connect_when_called()
        await trio.sleep(1)
        began = trio.current_time()
        assert (await house.directory.start_app(USER, APP)).success
        assert trio.current_time() - began >= 4, "within grace nobody is called, whoever asks"
        assert house.state() == "running"


async def test_whoever_runs_again_keeps_nobody_else_from_being_called(
    autojump_clock: MockClock,
) -> None:
    other = user_id("u-2@x.org")
    async with open_one_app() as (house, _glasses, link):
        await house.attached_glasses(other)
        second = await house.running_app(other)
        links = house.connect_when_called()
        link.cut()
        await trio.sleep(60)
        second.cut()
        await trio.sleep(6)
        assert [house.state(user) for user in (USER, other)] == ["running", "running"]
        assert len(links) == 2


async def test_an_evicted_app_for_which_its_server_was_tried_in_vain_rests_again_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_evicted_app() as (house, _glasses):
        tried = len(house.webhooks.starts)
        while len(house.webhooks.starts) == tried:
            await house.webhooks.next_start(within=1_000)
        await trio.sleep(0.1)
        assert house.state() == "evicted"


@pytest.mark.parametrize("rests_for", [1, 50])
async def test_what_was_kept_for_an_app_is_kept_over_its_rest(
    rests_for: float, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        link.cut()
        glasses.say({"type": "button_press", "buttonId": "1", "pressType": "short"})
        await wait_all_tasks_blocked()
        glasses.cut()
        await trio.sleep(6 + rests_for)
        assert house.state() == "dormant"
        await house.attached_glasses()
        again = house.answer(await house.webhooks.next_start())
        await again.expect("tpa_connection_ack")
        again.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        heard = await again.expect("data_stream", within=1)
        assert heard["data"]["buttonId"] == "1"


async def test_whoever_comes_over_a_newer_attempt_replaces_older_ones_delivered_or_not(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(deliver_after=100))
        link.cut()
        call = await house.webhooks.next_start()
        new = house.answer(call)
        await new.expect("tpa_connection_ack")
        assert await house.app(token="t1").closed() == SUPERSEDED
        assert new.is_open


async def test_a_turn_that_comes_with_the_end_of_a_rest_is_passed_on(
    autojump_clock: MockClock,
) -> None:
    async with open_evicted_app() as (house, _glasses):
        server = house.directory.surroundings.endpoints.known(APP)
        assert server is not None
        server.note_health(well=False)
        await wait_all_tasks_blocked()
        server.note_health(well=True)
        assert house.directory._users[USER].roster.stop_now(APP, StopCause.USER)
        await wait_all_tasks_blocked()
        assert not server.snapshot().trial


async def test_after_a_stop_no_socket_of_before_is_taken_for_the_new_one(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, _link):
        assert await house.directory.stop_app(USER, APP)
        house.webhooks.plan(APP, WebhookScript(deliver_after=5))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, APP)
            call = await house.webhooks.next_start()
            assert await house.app(token="t1").closed() == SUPERSEDED
            await house.answer(call).expect("tpa_connection_ack")


async def test_an_app_that_was_only_tried_and_runs_gets_its_whole_budget_when_it_is_lost(
    autojump_clock: MockClock,
) -> None:
    async with open_evicted_app() as (house, glasses):
        links = house.connect_when_called()
        await trio.sleep(900)
        assert house.state() == "running"
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        links[-1].cut()
        await trio.sleep(20)
        assert house.state() == "backoff"
        await glasses.expect("app_stopped", within=400)


async def test_a_start_is_told_from_a_resurrection(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        await house.answer(await house.webhooks.next_start()).expect("tpa_connection_ack")
        assert [fact.resurrection for fact in house.telemetry.of(StartEnded)] == [False, True]
