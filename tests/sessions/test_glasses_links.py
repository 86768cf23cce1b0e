"""The glasses' link: ack first, replacement, the user's grace period, and its end."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import (
    GLASSES_REPLACED,
    GLASSES_SILENT,
    RESTARTING,
    USER_SESSION_ENDED,
)
from mentra_trio.domain.ids import user_id
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.testing.household import APP, USER, open_household, open_one_app
from mentra_trio.testing.links import WebhookScript


async def test_the_ack_is_the_first_word_and_wanted_apps_start_after_it_side_by_side(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        packages = [await house.add_app(f"com.t.{name}", kind="background") for name in "abc"]
        for package in packages:
            await house.store.set_wanted(USER, package, wanted=True)
            house.webhooks.plan(package, WebhookScript(deliver_after=3))
        began = trio.current_time()
        glasses = await house.attached_glasses()
        assert trio.current_time() == began, "no start is waited for"
        assert glasses.messages[0]["type"] == "connection_ack"
        assert glasses.messages[0]["sessionId"] == USER
        await wait_all_tasks_blocked()
        assert sorted(call.package for call in house.webhooks.starts) == packages
        assert trio.current_time() == began


async def test_connection_init_repeats_the_ack(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        glasses.say({"type": "connection_init", "userId": "somebody@else.org"})
        assert (await glasses.expect("connection_ack"))["sessionId"] == USER


async def test_a_ping_is_answered(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        glasses.say({"type": "ping"})
        assert "timestamp" in await glasses.expect("pong")


async def test_a_second_socket_replaces_the_first_whose_late_close_is_ignored(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, first, app):
        second = house.glasses(name="second")
        await second.expect("connection_ack")
        assert await first.closed() == GLASSES_REPLACED
        first.hang_up(1000)
        await trio.sleep(300)
        session = house.directory.user(USER)
        assert session is not None
        assert (session.state, session.connected) == ("CONNECTED", True)
        assert app.is_open
        app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "hi"}})
        await second.expect("display_event")
        assert first.shown_by(APP) == []


async def test_apps_go_on_while_the_glasses_are_away_and_displays_are_shown_again(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say({"type": "subscription_update", "subscriptions": ["audio_chunk"]})
        app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "one"}})
        await glasses.expect("display_event", packageName=APP)
        glasses.cut()
        await trio.sleep(30)
        session = house.directory.user(USER)
        assert session is not None
        assert (session.state, session.connected) == ("DISCONNECTED", False)
        back = await house.attached_glasses()
        shown = await back.expect("display_event")
        assert (shown["layout"]["text"], shown["packageName"]) == ("one", APP)
        microphone = await back.expect("microphone_state_change")
        assert microphone["isMicrophoneEnabled"] is True
        assert app.is_open
        assert len(house.webhooks.starts) == 1
        assert len(app.of_type("tpa_connection_ack")) == 1


async def test_what_an_app_draws_meanwhile_is_shown_when_the_glasses_return(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        glasses.cut()
        await trio.sleep(1)
        for text in ("old", "older", "newest"):
            app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": text}})
            await trio.sleep(1)
        back = await house.attached_glasses()
        assert (await back.expect("display_event"))["layout"]["text"] == "newest"
        assert len(back.of_type("display_event")) == 1


async def test_a_display_whose_time_is_over_is_not_shown_again(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        wall = {"layoutType": "text_wall", "text": "brief"}
        app.say({"type": "display_event", "layout": wall, "durationMs": 2000})
        shown = await glasses.expect("display_event", packageName=APP)
        assert shown["durationMs"] == 2000
        glasses.cut()
        await trio.sleep(3)
        back = await house.attached_glasses()
        await trio.sleep(1)
        assert back.shown_by(APP) == []
        assert len(back.of_type("display_event")) == 1, "what may still be on them is cleared"


@pytest.mark.parametrize(("away", "survives"), [(59.0, True), (61.0, False)])
async def test_the_users_grace_period(
    away: float, survives: bool, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        glasses.cut()
        await trio.sleep(away)
        assert app.is_open is survives
        await house.attached_glasses()
        await wait_all_tasks_blocked()
        assert len(house.webhooks.starts) == (1 if survives else 2), "wanted apps start anew"


async def test_the_user_grace_is_a_setting(autojump_clock: MockClock) -> None:
    async with open_one_app(lifecycle=Lifecycle(user_grace_s=3)) as (_house, glasses, app):
        glasses.cut()
        began = trio.current_time()
        assert await app.closed() == USER_SESSION_ENDED
        assert trio.current_time() - began == pytest.approx(3)


async def test_silent_glasses_are_lost_after_thirty_seconds(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        glasses.answers_pings = False
        silent_since = glasses.last_heard
        assert await glasses.closed() == GLASSES_SILENT
        assert trio.current_time() - silent_since == pytest.approx(30)


async def test_garbage_of_the_glasses_costs_them_nothing(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        glasses.say("", "nonsense", "[1]", '{"type":1}', '{"no":"type"}', b"")
        glasses.say('{"type":"start_app"}', '{"type":"start_app","packageName":"no spaces!"}')
        glasses.say('{"type":"from_the_future","x":1}', '{"type":"location_update","lat":"x"}')
        glasses.say({"type": "ping"})
        await glasses.expect("pong")
        assert glasses.is_open


async def test_users_are_strangers_to_each_other(autojump_clock: MockClock) -> None:
    other = user_id("someone@else.org")
    async with open_household() as house:
        await house.add_app()
        mine, theirs = await house.attached_glasses(), await house.attached_glasses(other)
        app, their_app = await house.running_app(), await house.running_app(other)
        for link in (app, their_app):
            link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        mine.say({"type": "button_press", "buttonId": "b", "pressType": "short"})
        await app.expect("data_stream")
        app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "x"}})
        await mine.expect("display_event", packageName=APP)
        assert their_app.of_type("data_stream") == []
        assert theirs.shown_by(APP) == []


async def test_a_drain_closes_all_links_so_that_their_peers_come_back(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        house.directory.drain()
        assert await glasses.closed() == RESTARTING
        assert await app.closed() == RESTARTING
        assert app.of_type("app_stopped") == []
        assert await house.glasses().closed() == RESTARTING
        assert list(await house.store.wanted_apps(USER)) == [APP]
        assert house.webhooks.stops == []


async def test_two_directories_in_one_run_are_independent(autojump_clock: MockClock) -> None:
    async with open_household() as one, open_household() as two:
        await one.add_app()
        await two.add_app()
        await one.attached_glasses()
        glasses = await two.attached_glasses()
        await one.running_app()
        app = await two.running_app()
        one.directory.drain()
        await trio.sleep(5)
        assert one.directory.users() == []
        assert [user.user for user in two.directory.users()] == [USER]
        assert app.is_open
        assert glasses.is_open


async def test_a_changed_model_is_told_to_the_apps_once(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        state = {"type": "glasses_connection_state", "status": "CONNECTED"}
        for _ in range(5):
            glasses.say({**state, "modelName": "Mentra Live", "wifi": {"connected": True}})
        glasses.say({"type": "glasses_battery_update", "level": 80, "charging": False})
        await trio.sleep(1)
        changes = [m["state"] for m in app.of_type("device_state_update")[1:]]
        assert changes == [
            {"connected": True, "modelName": "Mentra Live", "wifiConnected": True},
            {"batteryLevel": 80, "charging": False},
        ]
        (update,) = app.of_type("capabilities_update")
        assert update["modelName"] == "Mentra Live"
        assert update["capabilities"]["hasCamera"] is True


async def test_changed_user_settings_reach_every_app_as_the_full_set(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        await house.directory.change_user_settings(USER, {"metricSystemEnabled": True})
        update = await app.expect("augmentos_settings_update")
        assert update["settings"]["metricSystemEnabled"] is True
        assert len(update["settings"]) == 10
        glasses.say({"type": "request_settings"})
        assert (await glasses.expect("settings_update"))["settings"] == update["settings"]
