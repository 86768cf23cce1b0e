"""An app's link: greeting, loss, grace, replacement, and the end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import (
    APP_SILENT,
    APP_STOPPED,
    CRASHED,
    LINK_LOST,
    SLOW_CONSUMER,
    SUPERSEDED,
    USER_SESSION_ENDED,
)
from mentra_trio.domain.facts import LinkAttached, LinkEnded, WebhookCalled
from mentra_trio.domain.ids import package_name
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.arrivals import Arrival
from mentra_trio.testing.household import (
    APP,
    USER,
    open_household,
    open_one_app,
    open_wearer,
    token_of,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import BrokenSettings

CONNECTED = {
    "type": "glasses_connection_state",
    "status": "CONNECTED",
    "modelName": "Even Realities G1",
}


async def test_the_device_snapshot_comes_before_the_ack(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.add_app(settings=[{"key": "lang", "type": "text", "defaultValue": "en"}])
        glasses = await house.attached_glasses()
        glasses.say(CONNECTED)
        link = await house.running_app()
        snapshot, ack = link.messages[:2]
        assert snapshot["type"] == "device_state_update"
        assert snapshot["fullSnapshot"] is True
        assert snapshot["state"] == {"connected": True, "modelName": "Even Realities G1"}
        assert ack["type"] == "tpa_connection_ack"
        assert ack["sessionId"] == f"{USER}-{APP}"
        assert ack["settings"] == [
            {"key": "lang", "type": "text", "defaultValue": "en", "value": "en"}
        ]
        assert ack["mentraosSettings"] == ack["augmentosSettings"]
        assert len(ack["mentraosSettings"]) == 10
        assert ack["capabilities"]["modelName"] == "Even Realities G1"


async def test_the_ack_says_null_where_the_glasses_are_unknown(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, _glasses, link):
        ack = link.of_type("tpa_connection_ack")[0]
        assert "capabilities" in ack
        assert ack["capabilities"] is None


async def test_the_users_own_settings_win_over_the_apps_defaults(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.add_app(settings=[{"key": "lang", "defaultValue": "en"}])
        await house.store.put_app_settings(USER, APP, {"lang": "de", "own": 1})
        await house.store.put_user_settings(USER, {"metricSystemEnabled": True})
        await house.attached_glasses()
        link = await house.running_app()
        ack = link.of_type("tpa_connection_ack")[0]
        assert ack["settings"] == [
            {"key": "lang", "defaultValue": "en", "value": "de"},
            {"key": "own", "value": 1},
        ]
        assert ack["mentraosSettings"]["metricSystemEnabled"] is True


async def test_a_reconnect_in_grace_keeps_everything_and_sends_no_webhook(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        link.say(
            {"type": "display_event", "layout": {"layoutType": "text_wall", "text": "still here"}}
        )
        await glasses.expect("display_event", packageName=APP)
        link.cut()
        await trio.sleep(4.9)
        assert house.state() == "grace_period"
        back = house.app()
        await back.expect("tpa_connection_ack")
        assert house.state() == "running"
        glasses.say({"type": "button_press", "buttonId": "b", "pressType": "short"})
        assert (await back.expect("data_stream"))["streamType"] == "button_press"
        assert len(house.webhooks.starts) == 1
        assert house.webhooks.stops == []
        assert glasses.of_type("app_stopped") == []
        assert len(glasses.shown_by(APP)) == 1, "the display was not touched"
        snapshot = house.snapshot()
        assert snapshot is not None
        assert (snapshot.epoch, snapshot.attempt) == (1, 1)


async def test_an_app_that_returns_in_grace_is_served_at_that_moment(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        await trio.sleep(1)
        back = house.app()
        await back.expect("tpa_connection_ack", within=0.01)


async def test_an_app_that_is_asked_for_in_grace_is_not_called_before_it_is_over(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link), trio.open_nursery() as nursery:
        link.cut()
        await trio.sleep(1)
        nursery.start_soon(house.directory.start_app, USER, APP)
        await trio.sleep(3.9)
        assert house.state() == "grace_period"
        assert len(house.webhooks.starts) == 1
        await house.app().expect("tpa_connection_ack")


async def test_a_subscription_without_its_permission_is_not_in_force(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.add_app(permissions=())
        await house.attached_glasses()
        link = await house.running_app()
        link.say({"type": "subscription_update", "subscriptions": ["button_press", "VAD"]})
        await link.expect("permission_error")
        snapshot = house.snapshot()
        assert snapshot is not None
        assert snapshot.subscriptions == ("button_press",)


async def test_the_grace_timer_does_not_outlive_its_reason(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        for _ in range(5):
            link.cut()
            await trio.sleep(4)
            link = house.app()
            await link.expect("tpa_connection_ack")
        await trio.sleep(60)
        assert house.state() == "running"


async def test_a_newer_link_takes_over_and_the_older_is_retired(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, old):
        old.say({"type": "subscription_update", "subscriptions": ["head_position"]})
        await wait_all_tasks_blocked()
        new = house.app(name="newer")
        await new.expect("tpa_connection_ack")
        assert old.closed_with == SUPERSEDED
        assert house.state() == "running"
        glasses.say({"type": "head_position", "position": "up"})
        await new.expect("data_stream")
        assert old.of_type("data_stream") == []


async def test_a_silent_app_is_lost_after_twenty_seconds(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.answers_pings = False
        silent_since = link.last_heard
        assert await link.closed() == APP_SILENT
        assert trio.current_time() - silent_since == pytest.approx(20)
        await wait_all_tasks_blocked()
        assert house.state() == "grace_period"


async def test_a_talking_app_is_alive_even_if_it_never_answers_a_ping(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.answers_pings = False
        for _ in range(20):
            await trio.sleep(15)
            link.say({"type": "subscription_update", "subscriptions": []})
        assert house.state() == "running"


async def test_an_app_that_does_not_read_is_disconnected_by_name(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        link.room = 3
        for _ in range(4):
            glasses.say({"type": "button_press", "buttonId": "b", "pressType": "short"})
        assert await link.closed() == SLOW_CONSUMER
        await wait_all_tasks_blocked()
        assert house.state() == "grace_period"
        assert glasses.is_open


async def test_a_users_stop_says_app_stopped_closes_1000_and_calls_the_stop_webhook(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        house.webhooks.stop_after = 60
        glasses.say({"type": "stop_app", "packageName": APP})
        assert await link.closed() == APP_STOPPED
        assert link.messages[-1]["type"] == "app_stopped"
        assert link.messages[-1]["reason"] == "user_disabled"
        call = await house.webhooks.next_stop()
        assert (call.reason, call.session_id) == ("user_disabled", f"{USER}-{APP}")
        began = trio.current_time()
        assert house.state() == "stopping"
        await trio.sleep(4.9)
        assert house.state() == "stopping"
        await trio.sleep(0.2)
        assert house.state() is None, "the webhook is bounded at 5 s"
        assert trio.current_time() - began < 5.2
        assert glasses.of_type("app_stopped") == []


async def test_a_stop_in_grace_wins_and_nothing_comes_after_it(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        await trio.sleep(2)
        assert await house.directory.stop_app(USER, APP)
        late = house.app()
        assert await late.closed() == APP_STOPPED
        await trio.sleep(20)
        assert house.state() is None
        assert len(house.webhooks.starts) == 1


async def test_late_sockets_of_a_start_that_was_given_up_hear_app_stopped(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(answer_after=60))
        await house.directory.start_app(USER, APP)
        call = await house.webhooks.next_start()
        assert await house.answer(call).closed() == APP_STOPPED
        assert await house.app().closed() == APP_STOPPED, "also over the path without a token"


async def test_sockets_of_an_older_life_are_superseded(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, first):
        token = token_of(house.webhooks.starts[0])
        await house.directory.stop_app(USER, APP)
        assert first.closed_with == APP_STOPPED
        current = await house.running_app()
        assert await house.app(token=token).closed() == SUPERSEDED
        assert current.is_open
        assert house.state() == "running"


async def test_inits_without_a_session_or_a_start_are_refused(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.add_app()
        nobody = house.app()
        assert (await nobody.closed()).text == "Session not found"
        await house.attached_glasses()
        never = house.app()
        assert (await never.closed()).text == "App not started for this session"
        assert house.state() is None


async def test_the_end_of_the_user_session_closes_apps_1008_without_a_stop_webhook(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app(lifecycle=Lifecycle(user_grace_s=60)) as (house, glasses, link):
        glasses.cut()
        await trio.sleep(59)
        assert link.is_open
        assert await link.closed() == USER_SESSION_ENDED
        assert link.messages[-1]["type"] == "app_stopped"
        await trio.sleep(10)
        assert house.webhooks.stops == []
        assert house.directory.users() == []
        assert list(await house.store.wanted_apps(USER)) == [APP]


async def test_garbage_of_an_app_costs_it_nothing(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, link):
        link.say("{", "[]", "null", b"\x00", '{"type":"never_heard_of_it"}', '{"type":7}')
        link.say('{"type":"display_event","layout":{"layoutType":"hologram"}}')
        link.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "ok"}})
        shown = await glasses.expect("display_event", packageName=APP)
        assert shown["layout"]["text"] == "ok"
        assert house.state() == "running"
        assert link.is_open


async def test_a_crash_inside_one_app_stays_inside_it(autojump_clock: MockClock) -> None:
    async with open_household(store=BrokenSettings()) as house:
        house.telemetry.expects_crashes = True
        await house.add_app()
        other = await house.add_app("com.t.b", kind="background")
        await house.attached_glasses()
        neighbour = await house.running_app(package=other)

        async with trio.open_nursery() as callers:
            callers.start_soon(house.directory.start_app, USER, APP)
            call = await house.webhooks.next_start()
            assert isinstance(house.store, BrokenSettings)
            house.store.broken = True
            assert await house.answer(call).closed() == CRASHED
        assert [crash.bulkhead for crash in house.telemetry.crashes] == ["app session"]
        assert neighbour.is_open
        assert house.state(package=package_name("com.t.b")) == "running"
        house.store.broken = False
        assert house.state() == "grace_period", "the app did nothing wrong, and comes back"
        await house.answer(call).expect("tpa_connection_ack")


async def test_a_link_that_is_offered_in_the_turn_of_a_stop_is_given_back(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, link):
        link.cut()
        await trio.sleep(1)
        app = house.directory._users[USER].roster.apps[APP]
        offered = MemoryLink()
        loan = app.borrow(Arrival(link=offered))
        app.stop(StopCause.USER)
        assert loan.over
        assert await loan.returned() == APP_STOPPED
        offered.cut()


@pytest.mark.parametrize("end", ["stop", "drain", "superseded", "cut"])
async def test_every_link_that_begins_to_serve_is_said_to_have_ended(
    end: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        match end:
            case "stop":
                await house.directory.stop_app(USER, APP)
            case "drain":
                house.directory.drain()
            case "superseded":
                await house.app().expect("tpa_connection_ack")
            case _:
                app.cut()
        await wait_all_tasks_blocked()
        ended = [fact for fact in house.telemetry.of(LinkEnded) if fact.endpoint == "app"]
        assert len(ended) == 1
        assert ended[0].reason == (app.closed_with or LINK_LOST)
    begun = [fact.endpoint for fact in house.telemetry.of(LinkAttached)]
    assert sorted(begun) == sorted(fact.endpoint for fact in house.telemetry.of(LinkEnded))
    assert glasses.closed_with is not None


async def test_a_stop_webhook_that_hangs_is_reported_as_such(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, _app):
        house.webhooks.stop_after = 60
        await house.directory.stop_app(USER, APP)
        await trio.sleep(6)
        (fact,) = [fact for fact in house.telemetry.of(WebhookCalled) if fact.kind == "stop"]
        assert fact.result == "timeout"
        assert fact.seconds == pytest.approx(5)


async def test_an_app_that_invents_streams_is_not_remembered_for_ever(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.add_app(permissions=())
        await house.attached_glasses()
        app = await house.running_app()
        for n in range(40):
            streams = [f"transcription:xx-XX?n={n}-{k}" for k in range(100)]
            app.say({"type": "subscription_update", "subscriptions": streams})
            await wait_all_tasks_blocked()
        session = house.directory._users[USER].roster.apps[APP]
        assert len(session.reported) <= 612
        assert app.is_open
