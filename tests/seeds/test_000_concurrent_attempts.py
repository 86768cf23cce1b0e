"""Seed 000: several services want the same app at once; one attempt, one webhook, one result."""

from __future__ import annotations

import gc
import weakref

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import StartEnded, StartJoined, WebhookCalled
from mentra_trio.domain.starting import StartResult, StartStage
from mentra_trio.testing.household import APP, USER, Household, open_one_app, open_wearer
from mentra_trio.testing.links import WebhookScript


@attrs.define(eq=False)
class Service:
    """Somebody inside the server, or outside of it, who needs the app."""

    name: str
    result: StartResult | None = None
    told_at: float = -1.0

    async def ask(self, house: Household, after: float) -> None:
        await trio.sleep(after)
        self.result = await house.directory.start_app(USER, APP)
        self.told_at = trio.current_time()


async def three_services(house: Household) -> list[Service]:
    """A at once, B 100 ms later, C 200 ms later; the app connects after 300 ms."""
    services = [Service("A"), Service("B"), Service("C")]
    async with trio.open_nursery() as nursery:
        for n, service in enumerate(services):
            nursery.start_soon(service.ask, house, n * 0.1)
        call = await house.webhooks.next_start()
        await trio.sleep(0.3)
        house.answer(call)
    return services


async def test_scenario_only_one_webhook_is_sent_per_attempt(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, _glasses):
        await three_services(house)
        assert len(house.webhooks.starts) == 1


async def test_scenario_all_services_get_the_same_result_at_the_same_moment(
    autojump_clock: MockClock,
) -> None:
    """Event-based waiting: nobody polls, so nobody hears of it 100 ms late."""
    async with open_wearer() as (house, _glasses):
        services = await three_services(house)
        assert all(service.result is services[0].result for service in services)
        assert {service.told_at for service in services} == {0.3}


async def test_edge_case_1_app_connects_during_wait_period(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, _glasses):
        services = await three_services(house)
        assert [service.result for service in services] == [StartResult(success=True)] * 3


async def test_edge_case_2_app_fails_to_connect(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(answer_after=60))
        services = [Service("A"), Service("B")]
        async with trio.open_nursery() as nursery:
            for service in services:
                nursery.start_soon(service.ask, house, 0.0)
        first = services[0].result
        assert first is not None
        assert (first.success, first.stage) == (False, StartStage.TIMEOUT)
        assert services[1].result is first, "a waiter is not fobbed off with another error"
        assert len(house.webhooks.starts) == 1


async def test_edge_case_3_very_high_frequency_messages_cause_no_attempt(
    autojump_clock: MockClock,
) -> None:
    """Audio keeps its direct way: it neither waits, nor queues, nor brings anybody back."""
    async with open_one_app() as (house, glasses, app):
        app.say({"type": "subscription_update", "subscriptions": ["audio_chunk"]})
        await wait_all_tasks_blocked()
        app.cut()
        for n in range(1000):
            glasses.say(bytes([n % 256]) * 10)
        await trio.sleep(1)
        back = house.app()
        await back.expect("tpa_connection_ack")
        assert back.audio == []
        assert len(house.webhooks.starts) == 1
        glasses.say(b"live")
        await wait_all_tasks_blocked()
        assert back.audio == [b"live"], "once connected, all messages flow normally"


async def test_edge_case_4_session_cleanup_during_an_attempt(autojump_clock: MockClock) -> None:
    """Waiting services get failure results; nothing hangs, nothing is left behind."""
    async with open_wearer() as (house, glasses):
        house.webhooks.plan(APP, WebhookScript(answer_after=600))
        services = [Service(str(n)) for n in range(100)]
        async with trio.open_nursery() as nursery:
            for service in services:
                nursery.start_soon(service.ask, house, 0.0)
            await house.webhooks.next_start()
            glasses.cut()
            house.directory.drain()
            await wait_all_tasks_blocked()
            assert {service.told_at for service in services} == {0.0}
        assert {service.result.stage for service in services if service.result} == {
            StartStage.CONNECTION
        }
        await wait_all_tasks_blocked()
        assert house.directory.users() == []
        assert house.webhooks.in_flight == 0


async def test_memory_management_nothing_of_an_ended_attempt_is_kept(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        lives: list[weakref.ref[object]] = []
        for _ in range(30):
            await house.running_app()
            session = house.directory._users[USER].roster.apps[APP]
            lives.append(weakref.ref(session))
            await house.directory.stop_app(USER, APP)
            await wait_all_tasks_blocked()
            del session
        gc.collect()
        assert [life for life in lives if life() is not None] == []


async def test_metrics_wait_times_attempts_and_webhook_times_are_facts(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(deliver_after=0.05, answer_after=0.2))
        await three_services(house)
        await trio.sleep(1)
        (ended,) = house.telemetry.of(StartEnded)
        assert ended.stage == ""
        assert ended.seconds == pytest.approx(0.3)
        (called,) = house.telemetry.of(WebhookCalled)
        assert called.result == "ok"
        assert called.seconds == pytest.approx(0.25)
        assert len(house.telemetry.of(StartJoined)) == 2, "B and C waited for A's attempt"
