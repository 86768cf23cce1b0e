"""Seed 004: how app sessions start, run, end and recover; the states of users and of apps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
import trio
from evidence import counted, lines_named, log_of
from on_the_wire import KEY, PACKAGE, PlainAppServer, ask, heard
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.attachment import UserState
from mentra_trio.domain.close_reasons import APP_STOPPED, USER_SESSION_ENDED
from mentra_trio.domain.facts import LinkAttached, StartJoined, UserStateChanged
from mentra_trio.domain.ids import UserId, package_name, user_id
from mentra_trio.domain.lifecycle import AppState, legacy_name
from mentra_trio.domain.starting import StartResult, StartStage
from mentra_trio.sessions.snapshots import AppSnapshot
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    open_one_app,
    open_wearer,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED
from mentra_trio.testing.world import World

WALL = {"type": "display_event", "layout": {"layoutType": "text_wall", "text": "mine"}}


def app_of(house: Household) -> AppSnapshot:
    snapshot = house.snapshot()
    assert snapshot is not None
    return snapshot


def app_state(house: Household) -> str:
    return app_of(house).app_state


# -- session start flow: user request ------------------------------------------------------------


async def test_cloud_checks_if_the_app_is_already_loading_or_running(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, APP)
            call = await house.webhooks.next_start()
            nursery.start_soon(house.directory.start_app, USER, APP)
            await wait_all_tasks_blocked()
            assert len(house.telemetry.of(StartJoined)) == 1, "already loading"
            house.answer(call)
        assert (await house.directory.start_app(USER, APP)).success, "already running"
        assert len(house.webhooks.starts) == 1


# -- session start flow: webhook trigger, app connection, validation -------------------------------


@pytest.fixture
async def server(world: World, nursery: trio.Nursery) -> AsyncGenerator[PlainAppServer]:
    plain = PlainAppServer(world)
    await plain.register()
    await nursery.start(plain.run)
    yield plain
    nursery.cancel_scope.cancel("test over")


@pytest.mark.parametrize("user", ["u-1@x.org", "a-b-c@my-mail.example.org"])
async def test_webhook_trigger_connection_and_validation(
    user: str, world: World, server: PlainAppServer, nursery: trio.Nursery
) -> None:
    """The body of the webhook, the init over its URL, and an id with dashes that nobody splits."""
    registration = await world.server.apps.get(PACKAGE)
    assert registration is not None
    path = f"/api/registrations/{registration.registration_id}"
    async with world.glasses(user):
        nursery.start_soon(world.server.start_app, user, PACKAGE)
        await trio.sleep(1)
        [body] = server.bodies
        url = body["augmentOSWebsocketUrl"]
        assert body["type"] == "session_request"
        assert body["sessionId"] == f"{user}-{PACKAGE}"
        assert body["userId"] == user
        assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
        assert body["mentraOSWebsocketUrl"] == url
        async with server.connect(url) as link:
            await link.send(server.init(body["sessionId"]))
            ack = await heard(link, "tpa_connection_ack")
            assert ack["sessionId"] == body["sessionId"]
            assert world.state(PACKAGE, user) == "running"
            status, shown = await ask(world, "GET", path, KEY)
            assert (status, body["sessionId"].encode() in shown) == (200, True), "registered"
            await world.server.stop_app(user, PACKAGE)


async def test_cloud_validates_the_api_key(
    world: World, server: PlainAppServer, nursery: trio.Nursery
) -> None:
    results: list[StartResult] = []

    async def start() -> None:
        results.append(await world.server.start_app("u@x.org", PACKAGE))

    async with world.glasses("u@x.org"):
        nursery.start_soon(start)
        await trio.sleep(1)
        url = server.bodies[0]["augmentOSWebsocketUrl"]
        async with server.connect(url) as link:
            await link.send(server.init("u@x.org-com.t.a", key="a wrong key"))
            assert (await heard(link, "tpa_connection_error"))["code"] == "INVALID_API_KEY"
            await trio.sleep(1)
        assert [result.stage for result in results] == [StartStage.AUTHENTICATION]
        assert world.state(PACKAGE, "u@x.org") is None
        [line] = lines_named(log_of(world.telemetry.facts), "connection refused")
        assert "a wrong key" not in str(line)


async def test_cloud_validates_the_ip(
    world: World, server: PlainAppServer, nursery: trio.Nursery
) -> None:
    await server.register(allowed_networks=["10.1.0.0/16"])
    async with world.glasses("u@x.org"):
        nursery.start_soon(world.server.start_app, "u@x.org", PACKAGE)
        await trio.sleep(1)
        async with server.connect(server.bodies[0]["augmentOSWebsocketUrl"]) as link:
            await link.send(server.init("u@x.org-com.t.a"))
            error = await heard(link, "tpa_connection_error")
            assert "ddress" in error["message"]
        assert world.telemetry.of(LinkAttached)[1:] == [], "only the glasses are attached"
        await world.server.stop_app("u@x.org", PACKAGE)


async def test_timeout_for_cleanup_if_the_app_does_not_connect(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        began = trio.current_time()
        result = await house.directory.start_app(USER, APP)
        assert result.stage is StartStage.TIMEOUT
        assert trio.current_time() - began == 10.0
        await wait_all_tasks_blocked()
        assert house.state() is None, "it is not loading any more"
        assert await house.app(token="t1").closed() == APP_STOPPED
        facts = house.telemetry.facts
        assert counted(facts, "mentra_app_sessions") == 0


# -- session end flow ----------------------------------------------------------------------------


async def test_user_stop_request(autojump_clock: MockClock) -> None:
    """Removed from active sessions; stop webhook; socket closed; subscriptions, display cleaned."""
    async with open_one_app() as (house, glasses, app):
        app.say({"type": "subscription_update", "subscriptions": ["audio_chunk"]}, WALL)
        await trio.sleep(1)
        assert await house.directory.stop_app(USER, APP)
        assert house.state() is None or house.state() == "stopping"
        call = await house.webhooks.next_stop()
        assert (call.session_id, call.reason) == (f"{USER}-{APP}", "user_disabled")
        assert app.of_type("app_stopped") != []
        assert app.closed_with == APP_STOPPED
        await trio.sleep(10)
        assert house.state() is None
        assert glasses.of_type("display_event")[-1]["layout"]["text"] == "", "display state"
        [*_, microphone] = glasses.of_type("microphone_state_change")
        assert microphone["isMicrophoneEnabled"] is False, "subscriptions"


async def test_app_disconnects_unexpectedly_and_can_reconnect_using_the_same_session_id(
    autojump_clock: MockClock,
) -> None:
    """Marked as disconnected, kept for recovery; previous state and subscriptions restored."""
    async with open_one_app() as (house, _glasses, app):
        app.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        app.cut()
        await wait_all_tasks_blocked()
        assert app_state(house) == "DISCONNECTED"
        assert app_of(house).active, "it is among the registration's active sessions"
        back = house.app()  # with the session id as ever, and no token at all
        ack = await back.expect("tpa_connection_ack")
        assert ack["sessionId"] == f"{USER}-{APP}"
        snapshot = app_of(house)
        assert (snapshot.app_state, snapshot.subscriptions) == ("CONNECTED", ("button_press",))


async def test_remove_session_cleans_up_all_app_connections(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        other = await house.add_app("com.t.b", kind="background")
        second = await house.running_app(package=other)
        glasses.cut()
        await trio.sleep(61)
        assert {app.closed_with, second.closed_with} == {USER_SESSION_ENDED}
        assert house.directory.users() == []
        facts = house.telemetry.facts
        assert counted(facts, "mentra_app_sessions") == counted(facts, "mentra_user_sessions") == 0


# -- app states ----------------------------------------------------------------------------------


def test_every_app_state_of_the_document_is_shown() -> None:
    shown = {
        legacy_name(state, webhook_delivered=sent) for state in AppState for sent in (False, True)
    }
    assert shown == {"LOADING", "CONNECTING", "CONNECTED", "DISCONNECTED", "ERROR"}


async def test_app_states_loading_connecting_connected_disconnected(
    autojump_clock: MockClock,
) -> None:
    """Start requested; webhook triggered; connects and validates; connection lost."""
    async with open_wearer() as (house, _glasses):
        house.webhooks.plan(APP, WebhookScript(deliver_after=1, answer_after=5))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, APP)
            call = await house.webhooks.next_start()
            assert app_state(house) == "LOADING"
            await trio.sleep(1.5)
            assert app_state(house) == "CONNECTING"
            link = house.answer(call)
        assert app_state(house) == "CONNECTED"
        link.cut()
        await wait_all_tasks_blocked()
        assert app_state(house) == "DISCONNECTED"
        await trio.sleep(6.5)
        assert app_state(house) == "CONNECTING", "recovery: it is being called again"


async def test_any_state_to_error_is_logged_and_recovery_attempted(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, app):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        app.cut()
        await trio.sleep(400)
        assert app_state(house) == "ERROR"
        *_, last = lines_named(log_of(house.telemetry.facts), "app state changed")
        assert (last["new"], last["level"]) == ("evicted", "info")
        assert "refused" in last["cause"], "the error is named"
        house.connect_when_called()
        await trio.sleep(1_000)
        assert app_state(house) == "CONNECTED"


# -- glasses client states -----------------------------------------------------------------------


async def test_glasses_client_states(autojump_clock: MockClock) -> None:
    """INITIALIZING, CONNECTING, CONNECTED; DISCONNECTED in grace; DISCONNECTING, and gone."""
    async with open_one_app() as (house, glasses, _app):
        glasses.cut()
        await trio.sleep(5)
        glasses = await house.attached_glasses()
        glasses.cut()
        await trio.sleep(61)
        states = [fact.new for fact in house.telemetry.of(UserStateChanged)]
        assert states == [
            UserState.INITIALIZING,
            UserState.CONNECTING,
            UserState.CONNECTED,
            UserState.DISCONNECTED,
            UserState.CONNECTED,
            UserState.DISCONNECTED,
            UserState.DISCONNECTING,
            None,
        ]
        lines = lines_named(log_of(house.telemetry.facts), "user state changed")
        assert all(one.get("new") == two.get("old") for one, two in pairwise(lines))


class Broken(MemoryStore):
    """A store with a bug, for one user."""

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        if user == USER:
            raise KeyError("a bug of ours")
        return await super().user_settings(user)


async def test_error_state_of_a_user_session(autojump_clock: MockClock) -> None:
    """An error occurs: it is logged, it costs one user one session, and another may begin."""
    async with open_household(store=Broken()) as house:
        house.telemetry.expects_crashes = True
        assert (await house.glasses().closed()).code == 1011, "the glasses shall come back"
        await house.attached_glasses(user_id("u-2@x.org"))
        moves = lines_named(log_of(house.telemetry.facts), "user state changed")
        states = [line.get("new") for line in moves if line["user"] == USER]
        assert states == ["INITIALIZING", "ERROR", None]
        [crashed] = lines_named(log_of(house.telemetry.facts), "crashed")
        assert crashed["level"] == "error"


async def test_user_session_data_structure(autojump_clock: MockClock) -> None:
    """Core session data, connection and app state tracking, subscriptions: in one snapshot."""
    async with open_one_app() as (house, glasses, app):
        loading = await house.add_app("com.t.loading", kind="background")
        app.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, loading)
            await trio.sleep(3)
            glasses.say({"type": "ping"})
            await trio.sleep(1)
            user = house.directory.user(USER)
            assert user is not None
            assert (user.user, user.state, user.connected) == (USER, "CONNECTED", True)
            assert user.last_seen is not None
            assert (user.last_seen - user.since).total_seconds() == 3.0
            states = {one.package: one.app_state for one in user.apps}
            assert states == {APP: "CONNECTED", loading: "CONNECTING"}
            assert [one.subscriptions for one in user.apps] == [("button_press",), ()]
            nursery.cancel_scope.cancel("seen enough")


# -- error handling ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cut", "hang up", "garbage", "silence"])
async def test_an_error_of_one_app_is_cleaned_up_and_the_others_go_on(
    how: str, autojump_clock: MockClock
) -> None:
    """App WebSocket error: logged with user and app; connection, and only its own, cleaned up."""
    async with open_one_app() as (house, glasses, app):
        other = await house.add_app("com.t.b", kind="background")
        sibling = await house.running_app(package=other)
        other_user = user_id("u-2@x.org")
        await house.attached_glasses(other_user)
        stranger = await house.running_app(other_user)
        trouble(app, how)
        await trio.sleep(21)
        ends = lines_named(log_of(house.telemetry.facts), "link ended")
        if how == "garbage":
            assert ends == [], "a bad frame costs an app nothing"
            assert app.is_open
        else:
            [line] = ends
            assert (line["user"], line["package"], line["endpoint"]) == (USER, APP, "app")
            assert line["reason"]
        assert sibling.is_open
        assert stranger.is_open
        assert glasses.is_open
        assert house.state(USER, package_name("com.t.b")) == "running"


def trouble(app: MemoryLink, how: str) -> None:
    match how:
        case "cut":
            app.cut()
        case "hang up":
            app.hang_up(1011, "an error of the app")
        case "garbage":
            app.say("{", b"\x00", '{"type": 7}')
        case _:
            app.answers_pings = False
