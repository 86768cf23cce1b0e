"""A lost app is brought back: when its server is called, how often, and what survives."""

from __future__ import annotations

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.breaker import CALL_EVERY, BreakerState, Sign
from mentra_trio.domain.close_reasons import APP_STOPPED, STALE_TOKEN, SUPERSEDED
from mentra_trio.domain.errors import WebhookFailed
from mentra_trio.domain.facts import AppStateChanged, FalseResurrection, WebhookCalled
from mentra_trio.domain.ids import user_id
from mentra_trio.domain.starting import StartResult
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    open_one_app,
    virtual_environment,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import ERROR, GONE, MISCONFIGURED, REFUSED, UNAVAILABLE


def failing(house: Household, failure: WebhookFailed) -> None:
    house.webhooks.plan(APP, WebhookScript(failure=failure))


def go_away(house: Household) -> None:
    """The app's server takes no connections any more."""
    failing(house, REFUSED)
    house.webhooks.health_failure = REFUSED


def come_back(house: Household) -> list[MemoryLink]:
    house.webhooks.health_failure = None
    return house.connect_when_called()


@attrs.define
class Calls:
    """When the app's server was called, counted from ``began``."""

    house: Household
    began: float
    at: list[float] = attrs.field(factory=list)

    async def watch(self) -> None:
        while True:
            await self.house.webhooks.next_start(within=1e6)
            self.at.append(trio.current_time() - self.began)


@pytest.mark.parametrize("seed", range(5))
async def test_the_webhook_comes_between_5_and_5_8_seconds_after_the_loss(
    seed: int, autojump_clock: MockClock
) -> None:
    async with open_one_app(environment=virtual_environment(seed)) as (house, glasses, link):
        link.cut()
        began = trio.current_time()
        await house.webhooks.next_start()
        assert 5.0 <= trio.current_time() - began <= 5.8
        assert house.state() == "resurrecting"
        assert house.webhooks.stops == [], "the author's onStop must not run because of us"
        assert glasses.of_type("app_stopped") == []


async def test_subscriptions_and_display_survive_and_the_first_real_list_replaces_them(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        link.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "A"}})
        await glasses.expect("display_event", packageName=APP)
        shown = len(glasses.of_type("display_event"))
        link.cut()
        new = house.answer(await house.webhooks.next_start())
        ack = await new.expect("tpa_connection_ack")
        assert ack["reconnectToken"]
        new.say({"type": "subscription_update", "subscriptions": []})
        await wait_all_tasks_blocked()
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ("button_press",)
        new.say({"type": "subscription_update", "subscriptions": ["head_position"]})
        await wait_all_tasks_blocked()
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ("head_position",)
        assert len(glasses.of_type("display_event")) == shown, "the display was left alone"


async def test_nothing_is_missed_while_a_new_runtime_says_what_it_wants(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        wanted = ["button_press", "head_position", "VAD"]
        link.say({"type": "subscription_update", "subscriptions": wanted})
        await wait_all_tasks_blocked()
        link.cut()
        new = house.answer(await house.webhooks.next_start())
        await new.expect("tpa_connection_ack")
        new.say({"type": "subscription_update", "subscriptions": ["VAD"]})
        await wait_all_tasks_blocked()
        for number in range(3):  # nobody has asked for these yet
            glasses.say({"type": "button_press", "buttonId": str(number), "pressType": "short"})
        glasses.say({"type": "head_position", "position": "up"})
        await wait_all_tasks_blocked()
        new.say({"type": "subscription_update", "subscriptions": ["VAD", "button_press"]})
        await trio.sleep(Lifecycle().settle_s + 0.01)
        glasses.say({"type": "button_press", "buttonId": "3", "pressType": "short"})
        await wait_all_tasks_blocked()
        heard = new.of_type("data_stream")
        assert [message["streamType"] for message in heard] == ["button_press"] * 4
        assert [message["data"]["buttonId"] for message in heard] == ["0", "1", "2", "3"]


async def test_a_late_socket_of_an_older_attempt_never_disturbs_the_newer(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        call = await house.webhooks.next_start()
        assert await house.app(token="t1").closed() == SUPERSEDED
        new = house.answer(call)
        await new.expect("tpa_connection_ack")
        assert await house.app(token="t1").closed() == SUPERSEDED
        assert new.is_open
        assert len(house.telemetry.of(FalseResurrection)) == 1, "the old runtime was still alive"


@pytest.mark.parametrize("token", ["t1", None], ids=["over its own URL", "without a token"])
async def test_up_to_the_webhook_the_app_may_come_back_by_itself(
    token: str | None, autojump_clock: MockClock
) -> None:
    lifecycle = Lifecycle(grace_jitter_s=100)
    async with open_one_app(lifecycle=lifecycle) as (house, _glasses, link):
        link.cut()
        await trio.sleep(6)
        assert house.state() == "disconnected"
        await house.app(token=token).expect("tpa_connection_ack")
        await trio.sleep(200)
        assert house.state() == "running"
        assert len(house.webhooks.starts) == 1


async def test_an_app_that_comes_while_its_webhook_is_not_delivered_ends_the_call(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(deliver_after=3))
        link.cut()
        await house.webhooks.next_start()
        await house.app(token="t1").expect("tpa_connection_ack")
        assert house.webhooks.in_flight == 0
        await trio.sleep(60)
        assert house.state() == "running"
        assert len(house.webhooks.starts) == 2


async def test_an_init_of_the_newest_attempt_attaches_during_backoff(
    autojump_clock: MockClock,
) -> None:
    lifecycle = Lifecycle(connect_s=2.0)
    async with open_one_app(lifecycle=lifecycle) as (house, _glasses, link):
        link.cut()
        call = await house.webhooks.next_start()
        await trio.sleep(2.5)
        assert house.state() == "backoff"
        await house.answer(call).expect("tpa_connection_ack")
        assert house.state() == "running"
        await trio.sleep(100)
        assert len(house.webhooks.starts) == 2, "what was pending is not sent any more"


async def test_what_comes_of_an_attempt_that_the_app_itself_gave_up_is_a_ghost(
    autojump_clock: MockClock,
) -> None:
    """An SDK without an ack in time answers 500, never runs its author's code, and goes on."""
    async with open_one_app() as (house, _glasses, link):
        house.webhooks.plan(APP, WebhookScript(answer_after=5, failure=ERROR), WebhookScript())
        link.cut()
        call = await house.webhooks.next_start()
        await trio.sleep(5.1)
        assert house.state() == "backoff"
        assert await house.answer(call).closed() == APP_STOPPED
        assert house.state() == "backoff"
        again = await house.webhooks.next_start()
        assert await house.answer(call).closed() == SUPERSEDED
        await house.answer(again).expect("tpa_connection_ack")
        assert house.state() == "running"


@pytest.mark.parametrize("away", [1, 5, 25, 60, 120, 170])
async def test_an_app_whose_server_is_away_runs_again_soon_after_it_is_back(
    away: float, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, link):
        go_away(house)
        link.cut()
        began = trio.current_time()
        await trio.sleep(away)
        come_back(house)
        while house.state() != "running":
            await house.telemetry.next(AppStateChanged, within=100)
        took = trio.current_time() - began - away
        if away < 5:
            assert took <= 5.8
        else:
            assert took <= (2.0 if away < 60 else 15.0)
        assert glasses.of_type("app_stopped") == []
        failed = [f for f in house.telemetry.of(WebhookCalled) if f.result != "ok"]
        assert len(failed) <= 10, "mostly it was only asked whether it is there"


async def test_a_server_that_starts_apps_but_is_never_well_is_called_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        go_away(house)
        link.cut()
        await trio.sleep(20)
        house.connect_when_called()
        await trio.sleep(CALL_EVERY * Lifecycle().probe_s)
        assert house.state() == "running"


async def test_while_its_server_is_asked_an_app_may_come_and_its_user_may_start_it(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        go_away(house)
        house.webhooks.health_after = 1.0
        link.cut()
        await trio.sleep(8)
        endpoint = house.directory.surroundings.endpoints.known(APP)
        assert endpoint is not None
        await endpoint.state.until(lambda state: state is BreakerState.HALF_OPEN)
        before = len(house.webhooks.starts)
        assert not (await house.directory.start_app(USER, APP)).success
        assert len(house.webhooks.starts) == before + 1, "its own start is tried at once"
        await endpoint.state.until(lambda state: state is BreakerState.HALF_OPEN)
        assert len(house.webhooks.starts) == before + 1
        again = house.app()
        await again.expect("tpa_connection_ack")
        assert not endpoint.snapshot().trial
        assert house.state() == "running"


async def test_after_its_budget_an_app_is_evicted_and_the_glasses_are_told_once(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        failing(house, UNAVAILABLE)
        link.cut()
        began = trio.current_time()
        await glasses.expect("app_stopped", within=400)
        assert 185.0 <= trio.current_time() - began <= 187.0
        assert house.state() == "evicted"
        change = [m for m in glasses.of_type("app_state_change") if m.get("error")]
        assert len(change) == 1
        assert "503" in change[0]["error"]
        before = len(house.webhooks.starts)
        glasses.cut()
        again = await house.attached_glasses()
        await trio.sleep(30)
        assert len(house.webhooks.starts) == before, "no webhook because the glasses came"
        assert house.state() == "evicted"
        assert again.of_type("app_stopped") == []


async def evicted(house: Household, glasses: MemoryLink, link: MemoryLink) -> None:
    failing(house, REFUSED)
    link.cut()
    await glasses.expect("app_stopped", within=400)
    assert house.state() == "evicted"


async def test_an_evicted_app_comes_back_by_the_users_start(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, link):
        await evicted(house, glasses, link)
        house.connect_when_called()
        result = await house.directory.start_app(USER, APP)
        assert result == StartResult(success=True)
        assert house.state() == "running"


async def test_an_evicted_app_comes_back_by_its_own_init(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, link):
        await evicted(house, glasses, link)
        await house.app(token="t1").expect("tpa_connection_ack")
        assert house.state() == "running"


async def test_an_evicted_app_comes_back_when_its_server_is_back(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app(lifecycle=Lifecycle(health_s=0)) as (house, glasses, link):
        await evicted(house, glasses, link)
        before = len(house.webhooks.starts)
        await trio.sleep(3000)
        assert len(house.webhooks.starts) - before == 3, "once in 15 minutes"
        assert house.state() == "evicted"
        assert len(glasses.of_type("app_stopped")) == 1, "said once"
        house.connect_when_called()
        await trio.sleep(900)
        assert house.state() == "running"


@pytest.mark.parametrize("failure", [GONE, MISCONFIGURED])
async def test_a_server_that_is_gone_or_misconfigured_is_not_tried_every_two_seconds(
    failure: WebhookFailed, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, _glasses, link):
        failing(house, failure)
        link.cut()
        await trio.sleep(60)
        assert len(house.webhooks.starts) - 1 <= 5
        assert house.state() == "backoff"


async def test_an_app_that_fails_although_its_server_answers_is_retried_at_growing_gaps(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house, trio.open_nursery() as nursery:
        await house.add_app()
        await house.attached_glasses()
        link = await house.running_app()
        failing(house, ERROR)
        link.cut()
        calls = Calls(house, trio.current_time())
        nursery.start_soon(calls.watch)

        async def others_are_well() -> None:
            while True:
                await trio.sleep(0.4)
                server.tell(Sign.GOOD)

        server = house.directory.surroundings.endpoints.of(APP, f"http://{APP}.test")
        nursery.start_soon(others_are_well)
        await trio.sleep(60)
        gaps = [b - a for a, b in zip(calls.at, calls.at[1:], strict=False)]
        assert len(gaps) >= 4
        assert gaps == sorted(gaps)
        assert gaps[0] < 1.1
        nursery.cancel_scope.cancel()


async def test_a_users_own_start_is_tried_at_once_whatever_is_known_of_the_server(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        failing(house, REFUSED)
        link.cut()
        await trio.sleep(100)
        assert house.state() == "backoff"
        house.connect_when_called()
        began = trio.current_time()
        assert (await house.directory.start_app(USER, APP)).success
        assert trio.current_time() == began


async def test_all_who_want_the_app_meanwhile_get_the_same_result(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        results: list[StartResult] = []

        async def ask(after: float) -> None:
            await trio.sleep(after)
            results.append(await house.directory.start_app(USER, APP))

        link.cut()
        async with trio.open_nursery() as nursery:
            for n in range(50):
                nursery.start_soon(ask, n * 0.1)
            house.answer(await house.webhooks.next_start())
        assert results == [StartResult(success=True)] * 50
        assert len(house.webhooks.starts) == 2


async def test_without_its_user_an_app_is_not_brought_back_but_with_its_user_it_is(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        glasses.cut()
        link.cut()
        await trio.sleep(20)
        assert house.state() == "dormant"
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ("button_press",)
        assert len(house.webhooks.starts) == 1
        await house.attached_glasses()
        await house.answer(await house.webhooks.next_start()).expect("tpa_connection_ack")
        assert house.state() == "running"
        assert len(house.webhooks.starts) == 2


async def test_released_and_closed_an_app_is_dormant_until_its_user_comes_back(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.say({"type": "ownership_release", "reason": "switching_clouds"})
        await trio.sleep(0.1)
        link.hang_up(1005)
        await trio.sleep(60)
        assert house.state() == "dormant"
        assert len(house.webhooks.starts) == 1
        glasses.cut()
        await house.attached_glasses()
        await house.answer(await house.webhooks.next_start()).expect("tpa_connection_ack")
        assert house.state() == "running"


async def test_ten_thousand_users_of_one_app_call_a_dead_server_as_often_as_one_would(
    autojump_clock: MockClock,
) -> None:
    users = [user_id(f"u-{n}@x.org") for n in range(300)]
    async with open_household() as house:
        await house.add_app()
        links = (await house.running_apps(users)).values()
        house.webhooks.starts.clear()
        go_away(house)
        for link in links:
            link.cut()
        await trio.sleep(170)
        assert len(house.webhooks.starts) <= 10
        assert len(house.webhooks.health_checks) <= 45
        house.webhooks.starts.clear()
        come_back(house)
        await trio.sleep(15 + len(users) / 200 + 0.5)
        assert all(house.state(user) == "running" for user in users)
        assert len(house.webhooks.starts) == len(users), "exactly one each"


async def test_a_stale_reconnect_token_neither_attaches_nor_wakes(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        token = link.of_type("tpa_connection_ack")[0]["reconnectToken"]
        link.cut()
        link = house.app(reconnect_token=token)
        newer = (await link.expect("tpa_connection_ack"))["reconnectToken"]
        assert await house.app(reconnect_token=token).closed() == STALE_TOKEN
        assert link.is_open
        link.say({"type": "ownership_release", "reason": "switching_clouds"})
        await trio.sleep(0.1)
        link.hang_up(1005)
        await wait_all_tasks_blocked()
        assert await house.app(reconnect_token=token).closed() == STALE_TOKEN
        await trio.sleep(60)
        assert house.state() == "dormant"
        await house.app(reconnect_token=newer).expect("tpa_connection_ack")
