"""Seed 004: registrations, recovery of their sessions, health, the dashboard, and monitoring."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from evidence import counted, lines_named, log_of
from on_the_wire import KEY, PACKAGE, ask
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.domain.close_reasons import APP_SILENT, GLASSES_SILENT
from mentra_trio.domain.facts import HealthChecked
from mentra_trio.domain.ids import PackageName, user_id
from mentra_trio.ports import SessionCall
from mentra_trio.testing.household import APP, USER, open_household, open_one_app
from mentra_trio.testing.links import WebhookScript
from mentra_trio.testing.trouble import ERROR, REFUSED
from mentra_trio.testing.world import World

USERS = [user_id(f"u-{n}@x.org") for n in range(6)]


def echo() -> App:
    app = App(PACKAGE, api_key=KEY)

    @app.session
    def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))

    return app


# -- server registration, and its recovery ---------------------------------------------------------


async def test_app_server_registration_and_handle_app_server_restart(world: World) -> None:
    """registrationId, packageName, webhookUrl, serverUrls, activeSessions; the number recovered."""
    process = await world.add(echo())
    await world.server.apps.add(
        PACKAGE, url=f"http://{PACKAGE}", server_urls=["https://b.example"], permissions=["ALL"]
    )
    registration = await world.server.apps.get(PACKAGE)
    assert registration is not None
    path = f"/api/registrations/{registration.registration_id}"
    async with world.glasses("a-b@x.org"), world.glasses("c@x.org"):
        for user in ("a-b@x.org", "c@x.org"):
            assert (await world.server.start_app(user, PACKAGE)).success
        status, body = await ask(world, "GET", path, KEY)
        shown = json.loads(body)
        assert status == 200
        assert shown["packageName"] == PACKAGE
        assert shown["registrationId"] == registration.registration_id
        assert shown["webhookUrl"] == f"http://{PACKAGE}/webhook"
        assert shown["serverUrls"] == ["https://b.example"]
        assert shown["activeSessions"] == [f"a-b@x.org-{PACKAGE}", f"c@x.org-{PACKAGE}"]
        assert KEY not in body.decode(), "the key is not told"
        await process.kill()
        await trio.sleep(1)
        process = await world.run(echo())
        status, body = await ask(world, "POST", f"{path}/restarted", KEY)
        assert (status, json.loads(body)) == (200, {"success": True, "recovered": 2})
        assert len(process.server.sessions) == 2
        assert world.state(PACKAGE, "a-b@x.org") == "running"


async def test_recovery_triggers_the_webhook_of_every_active_session_and_counts(
    autojump_clock: MockClock,
) -> None:
    """Skipped is who has no session, or does not run the app; one error does not stop the rest."""
    stopped, away, failing, *others = USERS
    async with open_household() as house:
        await house.add_app()
        links = await house.running_apps(USERS)
        await house.directory.stop_app(stopped, APP)
        (await house.attached_glasses(away)).cut()
        for link in links.values():
            link.cut()
        await trio.sleep(1)

        def connect(call: SessionCall) -> None:
            if call.user != failing:
                house.answer(call)

        house.webhooks.plan(APP, WebhookScript(on_delivered=connect))
        assert await house.directory.recover_app(APP) == len(others)
        assert {house.state(user) for user in others} == {"running"}
        called = [call.user for call in house.webhooks.starts[len(USERS) :]]
        assert sorted(called) == sorted([failing, *others]), "each once"
        assert {call.session_id for call in house.webhooks.starts} == {
            f"{user}-{APP}" for user in USERS
        }
        assert house.state(stopped) is None
        assert house.state(away) == "dormant"


async def test_recovery_of_an_unknown_registration_recovers_nothing(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, _app):
        assert await house.directory.recover_app(PackageName("com.t.unknown")) == 0


async def test_recovery_errors_are_logged_and_the_rest_is_counted(
    autojump_clock: MockClock,
) -> None:
    """`Error recovering session`: told with its user and reason; the others are recovered."""
    failing, away, *others = USERS
    async with open_household() as house:
        await house.add_app()
        links = await house.running_apps(USERS)
        (await house.attached_glasses(away)).cut()
        for link in links.values():
            link.cut()
        await trio.sleep(1)

        def connect(call: SessionCall) -> None:
            if call.user == failing:
                raise ERROR
            house.answer(call)

        house.webhooks.plan(APP, WebhookScript(on_delivered=connect))
        began = trio.current_time()
        assert await house.directory.recover_app(APP) == len(others)
        assert trio.current_time() - began < 1.0, "nobody is waited for who cannot come back"
        called = [call.user for call in house.webhooks.starts]
        assert called.count(failing) <= 1 + 2, "what fails is not tried again at once"
        calls = lines_named(log_of(house.telemetry.facts), "webhook called")
        failed = [line for line in calls if line["result"] != "ok"]
        assert {(line["user"], line["level"]) for line in failed} == {(failing, "warning")}
        ended = lines_named(log_of(house.telemetry.facts), "start ended")
        assert [line.get("stage") for line in ended if line["user"] == failing][-1] == "WEBHOOK"


# -- session recovery ------------------------------------------------------------------------------


async def test_recover_session_glasses_first_then_every_app_that_is_disconnected(
    autojump_clock: MockClock,
) -> None:
    """An app that is connected is left alone; a session that is unknown is begun anew."""
    async with open_one_app() as (house, glasses, app):
        lost = await house.add_app("com.t.lost", kind="background")
        (await house.running_app(package=lost)).cut()
        glasses.cut()
        await trio.sleep(30)
        assert house.state(package=lost) == "dormant"
        house.connect_when_called(lost)
        calls = len(house.webhooks.starts)
        again = await house.attached_glasses()
        await trio.sleep(1)
        assert house.state(package=lost) == "running"
        assert len(house.webhooks.starts) == calls + 1
        assert app.is_open
        again.cut()
        await trio.sleep(61)
        assert house.directory.user(USER) is None
        await house.attached_glasses()
        user = house.directory.user(USER)
        assert user is not None
        assert user.state == "CONNECTED"


# -- health monitoring -----------------------------------------------------------------------------


async def test_last_seen_timestamps_of_both_kinds_of_connection_follow_ping_and_pong(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.answers_pings = False
        await trio.sleep(15)
        user = house.directory.user(USER)
        assert user is not None
        assert user.last_seen is not None
        assert user.apps[0].last_seen is not None
        assert (user.last_seen - user.since).total_seconds() == 10.0, "the pong"
        assert (user.apps[0].last_seen - user.since).total_seconds() == 0.0
        assert (glasses.pings, app.pings) == (1, 1)


@pytest.mark.parametrize("silent", ["glasses", "app"])
async def test_stale_connections_are_cleaned_up(silent: str, autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        link, limit, reason = {
            "glasses": (glasses, 30, GLASSES_SILENT),
            "app": (app, 20, APP_SILENT),
        }[silent]
        link.answers_pings = False
        await trio.sleep(limit - 0.5)
        assert link.is_open
        await trio.sleep(1)
        assert link.closed_with == reason
        facts = house.telemetry.facts
        labels = {"endpoint": silent, "reason": str(reason)}
        assert counted(facts, "mentra_links_closed_total", **labels) == 1
        assert counted(facts, "mentra_links_closed_total") == 1


async def test_proactive_connection_health_checks(autojump_clock: MockClock) -> None:
    """App servers are asked before anybody needs them, and it is measured how they are."""
    async with open_one_app() as (house, _glasses, _app):
        await trio.sleep(100)
        well = len(house.telemetry.of(HealthChecked))
        assert well >= 3
        house.webhooks.health_failure = REFUSED
        await trio.sleep(100)
        name, facts = "mentra_health_checks_total", house.telemetry.facts
        assert counted(facts, name, package=APP, result="ok") == well
        assert counted(facts, name, package=APP, result="refused") >= 3
        [*_, line] = lines_named(log_of(facts), "health checked")
        assert (line["package"], line["result"], line["level"]) == (APP, "refused", "info")
        assert house.state() == "running", "an answer is no proof, and neither is its absence"


# -- dashboard integration -------------------------------------------------------------------------

EVENTS: dict[str, dict[str, Any]] = {
    "phone_notification": {"notificationId": "n", "title": "t", "content": "c"},
    "location_update": {"lat": 1.0, "lng": 2.0},
    "head_position": {"position": "up"},
    "glasses_battery_update": {"level": 50},
    "calendar_event": {"eventId": "e", "title": "t"},
}


async def test_event_handling_of_the_dashboard_app(autojump_clock: MockClock) -> None:
    """On 'connected' it subscribes to the necessary streams, and hears of all of them."""
    async with open_one_app() as (_house, glasses, app):
        app.say({"type": "subscription_update", "subscriptions": list(EVENTS)})
        await wait_all_tasks_blocked()
        for name, fields in EVENTS.items():
            glasses.say({"type": name, **fields})
        await wait_all_tasks_blocked()
        heard = [message["streamType"] for message in app.of_type("data_stream")]
        assert sorted(heard) == sorted(EVENTS)


async def test_content_management_app_disconnection_cleanup(autojump_clock: MockClock) -> None:
    """What a lost app shows stays in its grace (seed 003), and goes once it is given up."""
    async with open_one_app() as (house, glasses, app):
        app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "mine"}})
        await wait_all_tasks_blocked()
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        app.cut()
        await trio.sleep(60)
        assert glasses.of_type("display_event")[-1]["layout"]["text"] == "mine"
        await trio.sleep(340)
        assert house.state() == "evicted"
        assert glasses.of_type("display_event")[-1]["layout"]["text"] == ""


# -- next steps: monitoring ------------------------------------------------------------------------


async def test_detailed_connection_metrics(world: World) -> None:
    await world.add(echo())
    async with world.glasses() as glasses:
        assert (await world.server.start_app("u-1@x.org", PACKAGE)).success
        await wait_all_tasks_blocked()
        await glasses.say("hello")
        await glasses.until_shown("hello", package=PACKAGE)
        status, body = await ask(world, "GET", "/metrics")
        lines = body.decode().splitlines()
        assert status == 200
        assert 'mentra_user_sessions{state="CONNECTED"} 1.0' in lines
        assert 'mentra_app_sessions{state="running"} 1.0' in lines
        frames = [line for line in lines if line.startswith("mentra_frames_total{")]
        assert len(frames) == 4
        assert not any(line.endswith(" 0.0") for line in frames), "both kinds, in and out"


async def test_monitoring_dashboard(world: World) -> None:
    """The console; and what it shows is read from the admin routes."""
    async with world.glasses():
        status, page = await ask(world, "GET", "/console/")
        assert status == 200
        assert b"<html" in page.lower()
        status, body = await ask(world, "GET", "/api/admin/users", world.server.admin_token)
        [user] = json.loads(body)["users"]
        assert (user["userId"], user["state"]) == ("u-1@x.org", "CONNECTED")


async def test_comprehensive_error_logging(autojump_clock: MockClock) -> None:
    """Every failure of a start, a call or a link names its user, its app and its reason."""
    async with open_one_app() as (house, _glasses, app):
        house.webhooks.plan(APP, WebhookScript(failure=ERROR))
        app.cut()
        await trio.sleep(10)
        lines = log_of(house.telemetry.facts)
        for event, why in (("link ended", "reason"), ("webhook called", "problem")):
            [*_, line] = lines_named(lines, event)
            assert (line["user"], line["package"]) == (USER, APP)
            assert line[why]
        [*_, ended] = lines_named(lines, "start ended")
        assert (ended["stage"], ended["level"]) == ("WEBHOOK", "warning")
        assert "500" in ended["message"]
