"""What an attempt leaves behind: no call in flight, no waiter, no way in for an older runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.concurrency.offers import Offers
from mentra_trio.domain.breaker import Sign
from mentra_trio.domain.close_reasons import APP_SILENT, SUPERSEDED, CloseReason
from mentra_trio.domain.facts import AppStateChanged
from mentra_trio.domain.ids import UserId, user_id
from mentra_trio.domain.lifecycle import AppState
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.ports import SessionCall
from mentra_trio.sessions.directory import AppClaim
from mentra_trio.sessions.endpoint import Endpoint
from mentra_trio.sessions.link_service import use_link
from mentra_trio.sessions.pulse import Pulse
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    USER,
    open_household,
    open_one_app,
    virtual_environment,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.trouble import REFUSED


async def test_a_call_whose_attempt_has_failed_is_not_in_flight_any_more(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _, link):
        house.webhooks.plan(APP, WebhookScript(answer_after=1_000))
        link.cut()
        await trio.sleep(5 + 0.8 + 10 + 0.1)
        assert house.state() == "backoff"
        assert house.webhooks.in_flight == 0


async def test_a_call_that_is_not_answered_is_given_up_for_the_next_one(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _, link):
        links = [link]
        house.webhooks.plan(
            APP,
            WebhookScript(
                answer_after=1_000, on_delivered=lambda call: links.append(house.answer(call))
            ),
        )
        for _ in range(3):
            links[-1].cut()
            await trio.sleep(7)
            assert house.state() == "running"
            assert house.webhooks.in_flight == 1


async def test_an_app_that_comes_before_its_call_is_delivered_replaces_the_one_before(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _, link):
        house.webhooks.plan(APP, WebhookScript(deliver_after=3))
        link.cut()
        await trio.sleep(7)
        assert house.state() == "resurrecting"
        newer = house.answer(house.webhooks.starts[-1])
        await newer.expect("tpa_connection_ack")
        older = house.answer(house.webhooks.starts[0])
        assert await older.closed() == SUPERSEDED
        assert newer.is_open


async def test_who_waits_for_a_recovery_is_told_when_the_user_leaves(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link), trio.open_nursery() as nursery:
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        link.cut()
        await trio.sleep(7)
        assert house.state() == "backoff"
        house.webhooks.plan(APP, WebhookScript(deliver_after=1_000))
        told_at: list[float] = []

        async def recover() -> None:
            assert await house.directory.recover_app(APP) == 0
            told_at.append(trio.current_time())

        house.webhooks.health_failure = REFUSED
        nursery.start_soon(recover)
        glasses.cut()
        await wait_all_tasks_blocked()
        assert house.state() == "dormant"
        await trio.sleep(0.1)
        assert told_at, "nobody will bring it back now"


async def test_a_resting_app_that_is_stopped_is_forgotten(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, link):
        link.say({"type": "ownership_release", "reason": "moving"})
        await wait_all_tasks_blocked()
        link.hang_up(1005)
        await wait_all_tasks_blocked()
        assert house.state() == "dormant"
        assert await house.directory.stop_app(USER, APP)
        assert house.state() is None
        glasses.cut()
        await house.attached_glasses()
        await trio.sleep(30)
        assert house.state() is None
        assert len(house.webhooks.starts) == 1


async def test_whoever_waits_for_a_session_to_be_recalled_waits_no_longer_than_it_lives(
    autojump_clock: MockClock,
) -> None:
    class Stuck(MemoryStore):
        async def user_settings(self, user: UserId) -> Mapping[str, Any]:
            await trio.sleep(1_000)
            raise AssertionError("nobody waited for it")

    claim = AppClaim(package=APP, session_id=f"{USER}-{APP}", user=None, token="t1")
    async with open_household(store=Stuck()) as house:
        await house.add_app()
        house.glasses()
        await wait_all_tasks_blocked()
        house.directory.drain()
        with trio.fail_after(1):
            await house.directory.until_here(claim)
            await house.directory._users[USER].recalled.wait()


async def test_a_link_that_ends_in_the_turn_in_which_a_newer_one_comes_was_replaced(
    autojump_clock: MockClock,
) -> None:
    for _ in range(20):  # the scheduler's order differs from time to time
        offers: Offers[str, CloseReason] = Offers(SUPERSEDED)
        link = MemoryLink("older")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end_and_offer, link, offers)
            reason = await use_link(
                link,
                handle=lambda frame: None,
                interval=10,
                silence=20,
                silent=APP_SILENT,
                offers=offers,
                pulse=Pulse(),
            )
        assert reason == SUPERSEDED


async def end_and_offer(link: MemoryLink, offers: Offers[str, CloseReason]) -> None:
    await wait_all_tasks_blocked()
    link.hang_up(1001, "going away")
    offers.offer("newer")


async def test_a_wish_for_an_app_that_was_removed_meanwhile_is_not_written(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, _):
        glasses.say({"type": "start_app", "packageName": "com.t.nobody"})
        await trio.sleep(1)
        assert await house.store.wanted_apps(USER) == [APP]


async def test_a_trial_that_was_not_made_is_made_by_the_next_at_once(
    autojump_clock: MockClock,
) -> None:
    endpoint = Endpoint(
        package=APP,
        url="http://one.test",
        lifecycle=Lifecycle(),
        environment=virtual_environment(),
        telemetry=RecordingTelemetry(),
    )
    endpoint.tell(Sign.AWAY)
    (await endpoint.turn(0.0)).over()
    with trio.fail_after(0.01):
        (await endpoint.turn(0.0)).over()


async def test_a_hand_over_to_a_runtime_that_never_comes_is_a_loss(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _, link):
        link.cut()
        house.webhooks.plan(APP, WebhookScript())
        await house.webhooks.next_start()
        await wait_all_tasks_blocked()
        house.directory._users[USER].roster.apps[APP].floor = 1  # it was delivered a moment later
        old = house.app()
        await old.expect("tpa_connection_ack")
        old.say({"type": "ownership_release", "reason": "switching_clouds"})
        await wait_all_tasks_blocked()
        old.hang_up(1005)
        house.connect_when_called()
        await trio.sleep(10)
        assert house.state() == "running", "it was called again"


async def test_nobody_is_given_up_while_its_server_is_being_tried(
    autojump_clock: MockClock,
) -> None:
    lifecycle = Lifecycle(resurrection_budget_s=10)
    async with open_household(lifecycle=lifecycle) as house:
        await house.add_app()
        links = await house.running_apps([USER, user_id("u-2@x.org")])

        def connect(call: SessionCall) -> None:
            house.answer(call)

        slow = WebhookScript(deliver_after=9, on_delivered=connect)
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED), slow)
        for link in links.values():
            link.cut()
        await trio.sleep(40)
        assert [house.state(user) for user in links] == ["running", "running"]
        moves = [fact.new for fact in house.telemetry.of(AppStateChanged)]
        assert AppState.EVICTED not in moves
