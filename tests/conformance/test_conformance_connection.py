"""Connection and authentication: checks 1-9 and 11-13 of protocol.md section 8.1."""

from __future__ import annotations

from functools import partial

import jwt
import pytest
import trio

from .real_app import RealApp, on
from .running_server import JWT_SECRET, RunningServer
from .sockets import open_phone, open_socket
from .stub_app import StubApp
from .timeline import eventually

MODEL = "Even Realities G1"


async def test_1_the_ack_comes_first_even_with_three_apps_to_restart(
    quick_server: RunningServer,
    app_a: RealApp,
    app_b: RealApp,
    stub_app: StubApp,
    nursery: trio.Nursery,
    user: str,
) -> None:
    stub = {"url": stub_app.url, "api_key": "key", "kind": "background"}
    await quick_server.add_app_later("com.t.stub1", **stub)
    phone = await open_phone(nursery, quick_server, user)
    for package in (app_a.package, app_b.package, "com.t.stub1"):
        await phone.send("start_app", packageName=package)
    await app_a.running(user)
    await app_b.running(user)
    await stub_app.calls.first(type="session_request")
    await phone.close()
    for app in (app_a, app_b):
        await app.seen.first(event="closed", session=app.session_of(user))
    await eventually(partial(quick_server.user, user), lambda found: found is None)

    started = trio.current_time()
    phone = await open_phone(nursery, quick_server, user)
    assert trio.current_time() - started < 0.5
    first = phone.seen.records[0]
    assert (first["type"], first["sessionId"]) == ("connection_ack", user)
    await app_a.running(user, number=2)
    await app_b.running(user, number=2)
    await stub_app.calls.first(type="session_request", number=2)


async def test_2_the_token_may_be_in_the_query_and_must_be_good(
    server: RunningServer, nursery: trio.Nursery, user: str
) -> None:
    token = server.token(user)
    phone = await open_socket(nursery, f"{server.websocket_url}/glasses-ws?token={token}")
    assert (await phone.message("connection_ack"))["sessionId"] == user

    status, body = await server.upgrade_refusal("/glasses-ws", {})
    assert (status, body["type"], body["message"]) == (
        401,
        "connection_error",
        "No core token provided",
    )
    status, body = await server.upgrade_refusal(
        "/glasses-ws", {"Authorization": f"Bearer {token[:-4]}"}
    )
    assert (status, body["type"], body["message"]) == (
        401,
        "connection_error",
        "Invalid core token",
    )


async def test_2_the_token_command_makes_a_good_token(
    server: RunningServer, nursery: trio.Nursery, user: str
) -> None:
    printed = await trio.to_thread.run_sync(server.command, "token", user)
    headers = {"Authorization": f"Bearer {printed.splitlines()[-1]}"}
    phone = await open_socket(nursery, f"{server.websocket_url}/glasses-ws", headers)
    assert (await phone.message("connection_ack"))["sessionId"] == user


async def test_3_connection_init_repeats_the_ack(
    server: RunningServer, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await phone.send("connection_init")
    assert (await phone.message("connection_ack", number=2))["sessionId"] == user


async def test_4_an_unknown_websocket_path_is_404(
    server: RunningServer, nursery: trio.Nursery, user: str
) -> None:
    status, _ = await server.upgrade_refusal("/no-such-ws", {})
    assert status == 404
    await open_phone(nursery, server, user)


async def test_5_and_6_a_start_is_one_webhook_and_one_session(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await phone.send("start_app", packageName=app_a.package)
    await app_a.running(user)
    ack = await app_a.received(user, "tpa_connection_ack")
    assert isinstance(ack["settings"], list)
    assert isinstance(ack["mentraosSettings"], dict)
    assert "capabilities" in ack
    answered = await app_a.seen.first(event="answered", path="/webhook")
    assert answered["status"] == 200

    await trio.sleep(0.5)
    (body,) = app_a.webhooks(user)
    assert body["sessionId"] == f"{user}-com.t.a"
    assert body["userId"] == user
    assert body["timestamp"].endswith("Z")
    assert body["mentraOSWebsocketUrl"] == body["augmentOSWebsocketUrl"]
    assert body["mentraOSWebsocketUrl"].endswith("/app-ws")
    assert app_a.sessions(user) == 1


async def test_7_the_first_line_of_on_session_knows_the_glasses(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await phone.send("glasses_connection_state", modelName=MODEL, status="CONNECTED")
    await phone.send("start_app", packageName=app_a.package)
    session = await app_a.running(user)
    assert session["device"]["connected"] is True
    assert session["device"]["modelName"] == MODEL
    assert session["capabilities"]["modelName"] == MODEL


async def test_8_a_wrong_key_is_refused_for_good(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.command("configure", apiKey="not the key")
    await open_phone(nursery, server, user)
    with trio.fail_after(3):
        answer = await server.post(f"/apps/{app_a.package}/start", user)
    assert answer.status_code >= 400
    error = await app_a.received(user, "tpa_connection_error")
    assert error["code"] == "INVALID_API_KEY"
    closed = await app_a.seen.first(event="closed", session=app_a.session_of(user))
    assert closed["code"] == 1008
    sent = app_a.seen.count(event="sent", session=app_a.session_of(user))
    await trio.sleep(2.5)
    assert app_a.seen.count(event="sent", session=app_a.session_of(user)) == sent
    assert app_a.sessions(user) == 0


async def test_9_an_app_that_was_never_started_is_turned_away(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await open_phone(nursery, server, user)
    socket = await open_socket(nursery, f"{server.websocket_url}/app-ws")
    await socket.send(
        "tpa_connection_init",
        packageName=app_a.package,
        sessionId=app_a.session_of(user),
        apiKey=app_a.api_key,
    )
    assert (await socket.message("tpa_connection_error"))["code"] == "APP_NOT_STARTED"
    assert (await socket.end())["closed"] == 1008
    found = await server.user(user)
    assert found is not None
    assert found["apps"] == []


async def test_11_a_socket_that_says_nothing_is_closed_and_nobody_else_notices(
    quick_server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, quick_server, user)
    await phone.send("start_app", packageName=app_a.package)
    await app_a.running(user)
    silent = await open_socket(nursery, f"{quick_server.websocket_url}/app-ws")
    assert (await silent.end(within_s=10))["closed"] == 1013
    await phone.send("button_press", buttonId="main", pressType="short")
    await app_a.first_fired(user, "button")


def app_token(package: str, api_key: str, secret: str = JWT_SECRET) -> str:
    return jwt.encode({"packageName": package, "apiKey": api_key}, secret, algorithm="HS256")


async def test_12_jwt_headers_stand_for_the_init(
    server: RunningServer, stub_app: StubApp, nursery: trio.Nursery, user: str
) -> None:
    await server.add_app_later("com.t.jwt", url=stub_app.url, api_key="jwt key")
    phone = await open_phone(nursery, server, user)
    await phone.send("start_app", packageName="com.t.jwt")
    call = await stub_app.calls.first(type="session_request")
    headers = {
        "Authorization": f"Bearer {app_token('com.t.jwt', 'jwt key')}",
        "x-user-id": user,
        "x-session-id": call["sessionId"],
    }
    socket = await open_socket(nursery, call["mentraOSWebsocketUrl"], headers)
    assert (await socket.message("tpa_connection_ack"))["sessionId"] == call["sessionId"]


@pytest.mark.parametrize(
    ("token", "headers", "code"),
    [
        (app_token("com.t.a", "key of a"), {}, "MISSING_HEADERS"),
        ("no.jwt.at-all", {"x-user-id": "u", "x-session-id": "s"}, "JWT_INVALID"),
        (
            app_token("com.t.a", "key of a", secret="somebody else's secret, 32 bytes long"),
            {"x-user-id": "u", "x-session-id": "s"},
            "JWT_INVALID",
        ),
    ],
)
async def test_12_bad_jwt_headers_are_refused(
    server: RunningServer, token: str, headers: dict[str, str], code: str
) -> None:
    status, body = await server.upgrade_refusal(
        "/app-ws", {"Authorization": f"Bearer {token}"} | headers
    )
    assert (status, body["type"], body["code"]) == (401, "tpa_connection_error", code)


async def test_13_garbage_from_an_app_hurts_nobody(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await phone.send("start_app", packageName=app_a.package)
    await app_a.running(user)
    await app_a.send_raw(
        user, "garbage", "", "[1, 2]", '{"type": 5}', '{"type": "no_such"}', '{"x": 1', b"\0"
    )
    await app_a.show(user, "still here")
    shown = await phone.message(
        "display_event", layout=lambda layout: layout.get("text") == "still here"
    )
    assert shown["packageName"] == app_a.package
    assert app_a.seen.count(event="closed", session=app_a.session_of(user)) == 0
