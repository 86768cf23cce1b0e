"""Starts: one webhook, one shared result, whatever the callers do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.errors import SessionEnded, UnknownApp, WebhookFailed, WebhookFailure
from mentra_trio.domain.facts import FrameIgnored, StartJoined, WebhookCalled
from mentra_trio.domain.ids import PackageName, UserId, package_name
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.starting import StartResult, StartStage
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.roster import APPS_AT_ONCE
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    open_one_app,
    open_wearer,
    token_of,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript


def refused() -> WebhookFailed:
    return WebhookFailed(WebhookFailure.REFUSED, "connection refused", delivered=False)


async def start_into(house: Household, results: list[StartResult]) -> None:
    results.append(await house.directory.start_app(USER, APP))


async def test_fifty_concurrent_starters_make_one_webhook_and_share_one_result(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        results: list[StartResult] = []
        async with trio.open_nursery() as callers:
            for _ in range(50):
                callers.start_soon(start_into, house, results)
            house.answer(await house.webhooks.next_start())
        assert len(house.webhooks.starts) == 1
        assert len(results) == 50
        assert results[0].success
        assert all(result is results[0] for result in results)
        assert len(house.telemetry.of(StartJoined)) == 49


async def test_a_cancelled_starter_takes_nobody_elses_attempt_with_it(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        results: list[StartResult] = []
        async with trio.open_nursery() as callers:
            with trio.move_on_after(0.5) as first:
                await house.directory.start_app(USER, APP)
            assert first.cancelled_caught
            callers.start_soon(start_into, house, results)
            house.answer(await house.webhooks.next_start())
        assert results == [StartResult(success=True)]
        assert len(house.webhooks.starts) == 1


async def test_the_webhook_may_be_answered_long_after_the_app_is_up(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(answer_after=25))
        began = trio.current_time()
        await house.running_app()
        assert trio.current_time() - began < 1
        await trio.sleep(40)
        assert house.state() == "running"
        assert [fact.result for fact in house.telemetry.of(WebhookCalled)] == ["ok"]


async def test_a_late_failure_of_the_webhook_means_nothing_once_the_app_is_up(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        late = WebhookFailed(WebhookFailure.ERROR, "500", delivered=True)
        house.webhooks.plan(APP, WebhookScript(answer_after=8, failure=late))
        await house.running_app()
        await trio.sleep(20)
        assert house.state() == "running"
        assert len(house.webhooks.starts) == 1


async def test_without_a_valid_init_the_start_times_out_ten_seconds_after_delivery(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, glasses):
        house.webhooks.plan(APP, WebhookScript(deliver_after=3, answer_after=60))
        began = trio.current_time()
        result = await house.directory.start_app(USER, APP)
        assert trio.current_time() - began == pytest.approx(13)
        assert (result.success, result.stage) == (False, StartStage.TIMEOUT)
        await wait_all_tasks_blocked()
        assert house.state() is None
        assert glasses.of_type("app_state_change")[-1]["error"] == result.message
        assert house.webhooks.in_flight == 0, "nothing of the attempt runs on"
        await trio.sleep(1)
        assert list(await house.store.wanted_apps(USER)) == [APP], "a failure changes no wish"


@pytest.mark.parametrize(
    "failure",
    [
        WebhookFailure.GONE,
        WebhookFailure.MISCONFIGURED,
        WebhookFailure.ERROR,
        WebhookFailure.UNAVAILABLE,
        WebhookFailure.REFUSED,
    ],
)
async def test_a_delivered_webhook_is_never_sent_again(
    failure: WebhookFailure, autojump_clock: MockClock
) -> None:
    async with open_wearer() as (house, _glasses):
        error = WebhookFailed(failure, "no", delivered=True)
        house.webhooks.plan(APP, WebhookScript(failure=error))
        result = await house.directory.start_app(USER, APP)
        assert result.stage is StartStage.WEBHOOK
        assert len(house.webhooks.starts) == 1


async def test_a_webhook_that_could_not_be_delivered_is_tried_once_more(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(failure=refused()), WebhookScript())
        async with trio.open_nursery() as callers:
            results: list[StartResult] = []
            callers.start_soon(start_into, house, results)
            await house.webhooks.next_start()
            house.answer(await house.webhooks.next_start())
        assert results[0].success
        first, second = house.webhooks.starts
        assert first.websocket_url == second.websocket_url, "it is one attempt"


async def test_an_app_server_that_is_down_fails_the_start_at_stage_webhook(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(failure=refused()))
        result = await house.directory.start_app(USER, APP)
        assert result.stage is StartStage.WEBHOOK
        assert "connection refused" in result.message
        assert len(house.webhooks.starts) == 2


async def test_a_wrong_key_over_the_attempts_own_url_ends_the_wait(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        results: list[StartResult] = []
        async with trio.open_nursery() as callers:
            callers.start_soon(start_into, house, results)
            call = await house.webhooks.next_start()
            token = token_of(call)
            house.directory.key_rejected(APP, call.session_id, None, "another token")
            await wait_all_tasks_blocked()
            assert house.state() == "connecting", "only the attempt's own token counts"
            house.directory.key_rejected(APP, call.session_id, None, token)
        assert results[0].stage is StartStage.AUTHENTICATION


async def test_a_second_start_of_a_running_app_is_a_success_without_a_webhook(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, _app):
        assert (await house.directory.start_app(USER, APP)).success
        assert len(house.webhooks.starts) == 1


async def test_stop_and_start_again_makes_a_new_life_after_the_old_one_is_wound_down(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, first):
        house.webhooks.stop_after = 2
        await house.directory.stop_app(USER, APP)
        began = trio.current_time()
        second = await house.running_app()
        assert trio.current_time() - began == pytest.approx(2)
        assert not first.is_open
        assert second.is_open
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.epoch == 2
        urls = {call.websocket_url for call in house.webhooks.starts}
        assert len(urls) == 2, "each attempt has a URL of its own"


async def test_a_stop_wins_over_a_start_that_waits_for_the_old_life(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, _app):
        house.webhooks.stop_after = 2
        await house.directory.stop_app(USER, APP)
        results: list[StartResult] = []
        async with trio.open_nursery() as callers:
            callers.start_soon(start_into, house, results)
            await wait_all_tasks_blocked()
            await house.directory.stop_app(USER, APP)
        assert results[0].stage is StartStage.CONNECTION
        assert len(house.webhooks.starts) == 1
        assert await house.store.wanted_apps(USER) == []


async def test_the_end_of_the_user_session_fails_all_waiters_in_the_same_turn(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        results: list[StartResult] = []
        async with trio.open_nursery() as callers:
            for _ in range(10):
                callers.start_soon(start_into, house, results)
            await house.webhooks.next_start()
            began = trio.current_time()
            house.directory.drain()
            await wait_all_tasks_blocked()
            assert len(results) == 10
            assert trio.current_time() == began
        assert {result.stage for result in results} == {StartStage.CONNECTION}
        assert all(result is results[0] for result in results)


async def test_unknown_apps_and_absent_users_are_told_apart(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        with pytest.raises(UnknownApp):
            await house.directory.start_app(USER, package_name("com.never.seen"))
        await house.add_app()
        with pytest.raises(SessionEnded):
            await house.directory.start_app(USER, APP)
        with pytest.raises(SessionEnded):
            await house.directory.stop_app(USER, APP)


async def test_a_failed_start_does_not_erase_what_the_user_wants(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(failure=refused()))
        assert not (await house.directory.start_app(USER, APP)).success
        assert list(await house.store.wanted_apps(USER)) == [APP]
        await house.directory.stop_app(USER, APP)
        assert list(await house.store.wanted_apps(USER)) == []


async def test_glasses_that_start_and_stop_in_one_burst_end_with_the_app_stopped(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, glasses):
        for _ in range(20):
            glasses.say(
                {"type": "start_app", "packageName": APP},
                {"type": "stop_app", "packageName": APP},
            )
        await trio.sleep(30)
        assert house.state() is None
        assert list(await house.store.wanted_apps(USER)) == []


async def test_removing_an_app_ends_it_for_its_users(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        assert await house.catalog.remove(APP)
        await wait_all_tasks_blocked()
        assert house.state() is None
        assert link.closed_with is not None
        assert link.closed_with.code == 1000
        assert link.of_type("app_stopped")[0]["reason"] == "system_stop"
        assert StopCause.REMOVED.value in {
            fact.cause for fact in house.telemetry.facts if hasattr(fact, "cause")
        }


async def test_a_start_in_grace_waits_for_the_app_to_come_back(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        await trio.sleep(1)
        results: list[StartResult] = []
        async with trio.open_nursery() as callers:
            callers.start_soon(start_into, house, results)
            await trio.sleep(1)
            assert results == []
            house.app()
        assert results[0].success
        assert len(house.webhooks.starts) == 1


async def test_a_start_in_grace_starts_the_app_anew_if_it_does_not_come_back(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.cut()
        await trio.sleep(1)
        for _ in range(3):
            glasses.say({"type": "start_app", "packageName": APP})
        call = await house.webhooks.next_start(within=8)
        assert trio.current_time() >= 5
        await house.answer(call).expect("tpa_connection_ack")
        await trio.sleep(10)
        assert house.state() == "running"
        assert len(house.webhooks.starts) == 2


async def test_any_number_of_starters(autojump_clock: MockClock) -> None:
    """More of them than commands may wait for the store: they all give the same command."""
    async with open_wearer() as (house, _glasses):
        results: list[StartResult] = []
        async with trio.open_nursery() as callers:
            for _ in range(3000):
                callers.start_soon(start_into, house, results)
            house.answer(await house.webhooks.next_start())
        assert len(results) == 3000
        assert all(result is results[0] for result in results)
        assert results[0].success


async def test_an_app_that_came_although_the_call_failed_is_not_called_again(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(failure=refused()), WebhookScript())
        async with trio.open_nursery() as callers:
            callers.start_soon(house.directory.start_app, USER, APP)
            call = await house.webhooks.next_start()
            await trio.sleep(0.5)
            house.answer(call)
        await trio.sleep(30)
        assert house.state() == "running"
        assert len(house.webhooks.starts) == 1


@pytest.mark.parametrize(("webhook_s", "connect_s"), [(30, 40), (8, 10)])
async def test_delivery_and_init_have_limits_of_their_own(
    webhook_s: float, connect_s: float, autojump_clock: MockClock
) -> None:
    lifecycle = Lifecycle(webhook_s=webhook_s, connect_s=connect_s)
    async with open_wearer(lifecycle=lifecycle) as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(deliver_after=3, answer_after=100))
        began = trio.current_time()
        result = await house.directory.start_app(USER, APP)
        assert result.stage is StartStage.TIMEOUT
        assert trio.current_time() - began == pytest.approx(3 + connect_s)


async def test_a_call_that_is_never_delivered_is_given_up(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(deliver_after=1000))
        began = trio.current_time()
        result = await house.directory.start_app(USER, APP)
        assert result.stage is StartStage.WEBHOOK
        assert trio.current_time() - began == pytest.approx(30)


async def test_wanted_apps_do_not_start_after_a_stop_that_came_first(
    autojump_clock: MockClock,
) -> None:
    class SlowWishes(MemoryStore):
        async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
            wanted = await super().wanted_apps(user)
            await trio.sleep(1)
            return wanted

    store = SlowWishes()
    async with open_household(store=store) as house:
        await house.add_app()
        await store.set_wanted(USER, APP, wanted=True)
        glasses = await house.attached_glasses()
        glasses.say({"type": "stop_app", "packageName": APP})
        await trio.sleep(5)
        assert house.webhooks.starts == []


async def test_wanted_apps_wait_for_the_ack(autojump_clock: MockClock) -> None:
    order: list[str] = []

    class Watched(MemoryStore):
        async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
            order.append("wanted apps")
            return await super().wanted_apps(user)

    class Noting(MemoryLink):
        def push(self, frame: str | bytes) -> bool:
            order.append("ack")
            return super().push(frame)

    async with open_household(store=Watched()) as house:
        link = Noting()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.lend, partial(house.directory.serve_glasses, USER))
            await trio.sleep(1)
            link.cut()
    assert order[0] == "ack"
    assert "wanted apps" in order


async def test_stop_and_start_in_grace_starts_anew(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, glasses):
        app = await house.running_app()
        house.webhooks.stop_after = 1
        app.cut()
        await trio.sleep(1)
        words = ["start_app", "stop_app", "start_app"]
        glasses.say(*({"type": word, "packageName": APP} for word in words))
        call = await house.webhooks.next_start(within=3)
        await house.answer(call).expect("tpa_connection_ack")
        assert list(await house.store.wanted_apps(USER)) == [APP]


async def test_glasses_that_invent_names_cost_nothing_lasting(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        await wait_all_tasks_blocked()
        for n in range(5000):
            word = "stop_app" if n % 2 else "start_app"
            glasses.say({"type": word, "packageName": f"com.invented.x{n}"})
        await trio.sleep(10)
        roster = house.directory._users[USER].roster
        assert roster.apps == {}
        assert len(roster._stops) + len(roster._lives) + len(roster._awaited) < 200
        assert glasses.is_open


async def test_an_app_that_was_removed_and_added_again_is_wanted_when_it_is_started_again(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        await house.running_app()
        await house.store.remove_app(APP)  # by another process, behind the server's back
        await house.add_app()
        assert list(await house.store.wanted_apps(USER)) == []
        assert (await house.directory.start_app(USER, APP)).success
        assert list(await house.store.wanted_apps(USER)) == [APP]


async def test_glasses_that_start_more_apps_than_can_run_are_ignored(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        for number in range(APPS_AT_ONCE + 1):
            package = await house.add_app(f"com.t.a{number}", kind="background")
            glasses.say({"type": "start_app", "packageName": package})
        await wait_all_tasks_blocked()
        assert len(house.directory._users[USER].roster.apps) == APPS_AT_ONCE
        [ignored] = house.telemetry.of(FrameIgnored)
        assert ignored.problem == f"{APPS_AT_ONCE} apps run already"
        await trio.sleep(20)
