"""Lifecycle: checks 15, 17, 18, 20, 30-32, 34 and 35 of protocol.md section 8.2."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest
import trio

from .real_app import RealApp, on
from .running_server import RunningServer
from .sockets import open_phone
from .steps import press, register, start, subscribed
from .stub_app import StubApp
from .timeline import eventually


async def concurrently(
    server: RunningServer, user: str, package: str, times: int
) -> list[httpx.Response]:
    answers: list[httpx.Response] = []

    async def ask() -> None:
        answers.append(await server.post(f"/apps/{package}/start", user))

    async with trio.open_nursery() as nursery:
        for _ in range(times):
            nursery.start_soon(ask)
    return answers


@pytest.mark.parametrize("times", [3, 50])
async def test_15_concurrent_starts_are_one_start(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str, times: int
) -> None:
    await open_phone(nursery, server, user)
    answers = await concurrently(server, user, app_a.package, times)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["success"] is True
    await trio.sleep(0.5)
    assert len(app_a.webhooks(user)) == 1
    assert app_a.sessions(user) == 1


async def test_17_the_end_of_the_user_session_fails_the_waiters_at_once(
    quick_server: RunningServer, stub_app: StubApp, nursery: trio.Nursery, user: str
) -> None:
    await quick_server.add_app_later("com.t.stub17", url=stub_app.url, api_key="key")
    phone = await open_phone(nursery, quick_server, user)
    answers: list[httpx.Response] = []

    async def ask() -> None:
        answers.append(await quick_server.post("/apps/com.t.stub17/start", user))

    async with trio.open_nursery() as waiters:
        for _ in range(3):
            waiters.start_soon(ask)
        await stub_app.calls.first(type="session_request")
        await phone.close()
        left = trio.current_time()
    assert trio.current_time() - left < 3  # a user grace of 1 s, not a connect limit of 10 s
    assert all(answer.status_code >= 400 for answer in answers)
    assert stub_app.calls.count(type="session_request") == 1


async def test_18_a_stop_is_final(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.command("configure", keepSocketOnStop=True)
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await phone.send("stop_app", packageName=app_a.package)
    closed = await app_a.seen.first(event="closed", session=app_a.session_of(user))
    assert (closed["code"], closed["reason"]) == (1000, "App stopped")
    assert (await app_a.received(user, "app_stopped"))["reason"] == "user_disabled"
    await app_a.seen.first(event="stopped", user=user, reason="user_disabled")
    await app_a.seen.first(
        event="answered", body=lambda body: body and body.get("type") == "stop_request"
    )
    (body,) = app_a.webhooks(user, "stop_request")
    assert body["reason"] == "user_disabled"
    position = len(app_a.seen.records)
    await trio.sleep(4)
    assert app_a.seen.count(since=position, event="sent", session=app_a.session_of(user)) == 0
    assert len(app_a.webhooks(user)) == 1


async def test_20_a_killed_socket_is_back_within_about_a_second(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onButtonPress", "button"), on("onHeadPosition", "head"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await app_a.show(user, "before")
    look = partial(server.app, user, app_a.package)
    await eventually(look, lambda app: len(subscriptions(app)) == 2)

    position = len(app_a.seen.records)
    lost = trio.current_time()
    await app_a.reset_socket(user)
    await trio.sleep(0.3)
    in_grace = await server.app(user, app_a.package)
    assert in_grace is not None
    assert in_grace["state"] == "grace_period"
    assert sorted(subscriptions(in_grace)) == ["button_press", "head_position"]

    await app_a.received(user, "tpa_connection_ack", since=position)
    assert 0.9 < trio.current_time() - lost < 2.0
    await phone.send("button_press", buttonId="main", pressType="short")
    await app_a.first_fired(user, "button")
    assert app_a.sessions(user) == 1
    assert len(app_a.webhooks(user)) == 1
    assert len(app_a.fired(user, "button")) == 1


def subscriptions(app: dict[str, Any] | None) -> list[str]:
    return app["subscriptions"] if app else []


async def test_30_glasses_that_return_find_everything_as_it_was(
    server: RunningServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onAudioChunk", "audio"), on("onButtonPress", "button"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await start(phone, app_b, user)
    await app_a.show(user, "on the glasses")
    await phone.message("display_event", layout=lambda it: it.get("text") == "on the glasses")
    await phone.message("microphone_state_change", isMicrophoneEnabled=True)
    await phone.close()
    await trio.sleep(2)

    phone = await open_phone(nursery, server, user)
    await phone.message("microphone_state_change", isMicrophoneEnabled=True)
    await phone.message("display_event", layout=lambda it: it.get("text") == "on the glasses")
    await phone.send("button_press", buttonId="main", pressType="short")
    await app_a.first_fired(user, "button")
    for app in (app_a, app_b):
        assert app.sessions(user) == 1
        assert app.seen.count(event="closed", session=app.session_of(user)) == 0
        assert app.seen.count(event="stopped", user=user) == 0


async def test_31_glasses_that_stay_away_end_every_app(
    quick_server: RunningServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, quick_server, user)
    await start(phone, app_a, user)
    await start(phone, app_b, user)
    await phone.close()
    for app in (app_a, app_b):
        await app.received(user, "app_stopped")
        closed = await app.seen.first(event="closed", session=app.session_of(user))
        assert closed["reason"] == "User session ended"
        await app.seen.first(event="stopped", user=user, reason="User session ended")
    await eventually(partial(quick_server.user, user), lambda found: found is None)


async def test_32_a_second_phone_replaces_the_first(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onButtonPress", "button"))
    first = await open_phone(nursery, server, user)
    await start(first, app_a, user)
    second = await open_phone(nursery, server, user)
    await first.end()
    await trio.sleep(0.3)
    await second.send("button_press", buttonId="main", pressType="short")
    await app_a.first_fired(user, "button")
    found = await server.user(user)
    assert found is not None
    assert (found["state"], found["connected"]) == ("CONNECTED", True)
    assert second.seen.count(closed=lambda code: code is not None) == 0


async def test_34_a_stop_during_grace_is_final(
    quick_server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, quick_server, user)
    await start(phone, app_a, user)
    await app_a.reset_socket(user)
    await trio.sleep(0.2)
    await phone.send("stop_app", packageName=app_a.package)
    await app_a.seen.first(event="stopped", user=user, reason="user_disabled")
    await trio.sleep(4)
    assert len(app_a.webhooks(user)) == 1
    assert app_a.sessions(user) == 1
    app = await quick_server.app(user, app_a.package)
    assert app is None or app["state"] == "stopped"


async def test_35_the_standard_app_that_is_started_takes_the_foreground(
    server: RunningServer,
    app_a: RealApp,
    lone_app: RealApp,
    nursery: trio.Nursery,
    user: str,
) -> None:
    await register(server, lone_app)
    await app_a.command("configure", keepSocketOnStop=True)
    for app in (app_a, lone_app):
        await app.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await app_a.show(user, "the first")
    await phone.message("display_event", layout=lambda it: it.get("text") == "the first")

    await start(phone, lone_app, user)
    assert (await app_a.received(user, "app_stopped"))["reason"] == "user_disabled"
    await app_a.seen.first(event="stopped", user=user, reason="user_disabled")
    closed = await app_a.seen.first(event="closed", session=app_a.session_of(user))
    assert (closed["code"], closed["reason"]) == (1000, "App stopped")
    await app_a.seen.first(
        event="answered", body=lambda body: body and body.get("type") == "stop_request"
    )
    (body,) = app_a.webhooks(user, "stop_request")
    assert body["reason"] == "user_disabled"

    await lone_app.show(user, "the second")
    await phone.message("display_event", layout=lambda it: it.get("text") == "the second")
    await subscribed(server, user, lone_app, "button_press")
    await press(phone)
    await lone_app.first_fired(user, "button")
    await trio.sleep(4)
    assert app_a.fired(user, "button") == []
    assert (len(app_a.webhooks(user)), app_a.sessions(user)) == (1, 1)
    found = await server.user(user)
    assert found is not None
    assert {app["packageName"]: app["state"] for app in found["apps"]} == {
        lone_app.package: "running"
    }
    (gave_way,) = [fact for fact in await server.journal(user) if fact["fact"] == "GaveWay"]
    assert (gave_way["packageName"], gave_way["to"]) == (app_a.package, lone_app.package)
