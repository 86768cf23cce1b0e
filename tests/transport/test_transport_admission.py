"""Admission: who may come in, in which of the three ways, and what the others are told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio

from mentra_trio.domain.close_reasons import APP_STOPPED, GLASSES_REPLACED, NO_SESSION
from mentra_trio.domain.errors import InitRefused
from mentra_trio.domain.facts import ConnectionRefused
from mentra_trio.sessions.directory import AppClaim
from mentra_trio.transport.admission import split_attempt
from mentra_trio.wire.tokens import mint_app_token, mint_core_token

from .doorman import KEY, NOW, PACKAGE, SECRET, SESSION, USER, Doorman, OneAppStore
from .raw_peer import (
    BINARY,
    TEXT,
    Facts,
    Peer,
    Rig,
    close_frame,
    frame,
    upgrade_head,
)


def core_token(secret: str = SECRET) -> str:
    return mint_core_token(USER, secret, now=NOW, ttl_s=60)


def init(**changes: object) -> bytes:
    message = {
        "type": "tpa_connection_init",
        "sessionId": SESSION,
        "packageName": PACKAGE,
        "apiKey": KEY,
        "timestamp": "2026-01-01T00:00:00.000Z",
    }
    return frame(TEXT, json.dumps({**message, **changes}).encode())


async def refused(peer: Peer, path: str, *headers: str) -> tuple[int, Mapping[str, Any]]:
    """Ask for an upgrade that is answered with an HTTP error; status and JSON."""
    await peer.send(upgrade_head(path, *headers))
    answer = await peer.rest()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    return int(head.split()[1]), json.loads(body)


async def app_error(peer: Peer) -> tuple[str, int]:
    """The code of the error message, and the code of the close after it."""
    opcode, payload = await peer.frame()
    message = json.loads(payload)
    assert opcode == TEXT
    assert message["type"] == "tpa_connection_error"
    assert message["message"]
    assert message["timestamp"] == "2026-01-02T03:04:05.000Z"
    return message["code"], (await peer.close_code())[0]


# -- paths -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/app", "/app-ws/", "/s//app-ws", "/s/a/b/app-ws", "/S/a/app-ws"]
)
async def test_other_paths_get_404(
    rig: Rig, doorman: Doorman, path: str, autojump_clock: Any
) -> None:
    status, body = await refused(rig.connect(), path)
    assert (status, body["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "path", ["/glasses-ws", "/ws/client", "/s/tok/glasses-ws", "/s/tok/ws/client"]
)
async def test_glasses_paths(rig: Rig, doorman: Doorman, path: str, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.open(path, f"Authorization: Bearer {core_token()}")
    assert await peer.frame() == (TEXT, b"welcome")
    assert doorman.glasses == [USER]


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/app-ws", None),
        ("/ws/miniapp", None),
        ("/s/a_-9/app-ws", "a_-9"),
        ("/s/x/ws/miniapp", "x"),
    ],
)
async def test_app_paths(
    rig: Rig, doorman: Doorman, path: str, token: str | None, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open(path)
    await peer.send(init())
    assert await peer.frame() == (TEXT, b"welcome")
    assert doorman.claims == [AppClaim(package=PACKAGE, session_id=SESSION, user=None, token=token)]


def test_attempt_paths() -> None:
    assert split_attempt("/app-ws") == (None, "/app-ws")
    assert split_attempt("/s/tok/app-ws") == ("tok", "/app-ws")
    assert split_attempt("/s/" + "a" * 129 + "/app-ws")[0] is None


# -- glasses -----------------------------------------------------------------------------


async def test_a_token_in_the_query(rig: Rig, doorman: Doorman, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.open(f"/glasses-ws?livekit=true&token={core_token()}")
    assert await peer.frame() == (TEXT, b"welcome")


@pytest.mark.parametrize(
    ("path", "headers", "message"),
    [
        ("/glasses-ws", [], "No core token provided"),
        ("/glasses-ws?token=", [], "No core token provided"),
        ("/glasses-ws", ["Authorization: Bearer"], "No core token provided"),
        ("/glasses-ws", ["Authorization: Bearer rubbish"], "Invalid core token"),
        ("/glasses-ws", [f"Authorization: Bearer {core_token('x' * 32)}"], "Invalid core token"),
        ("/glasses-ws?token=rubbish", [], "Invalid core token"),
        ("/glasses-ws?" + "a=b&" * 200, [], "No core token provided"),
    ],
)
async def test_glasses_without_a_good_token_get_401(
    rig: Rig,
    facts: Facts,
    doorman: Doorman,
    path: str,
    headers: list[str],
    message: str,
    autojump_clock: Any,
) -> None:
    status, body = await refused(rig.connect(), path, *headers)
    assert status == 401
    assert body == {
        "type": "connection_error",
        "message": message,
        "timestamp": "2026-01-02T03:04:05.000Z",
        "why": "glasses are let in with a core token that this server has signed",
        "fix": "make one with: mentra-trio token USER, with this server's --data-dir",
    }
    (fact,) = facts.of(ConnectionRefused)
    assert (fact.endpoint, fact.problem) == ("glasses", message)


async def test_the_link_is_closed_with_what_the_session_says(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    doorman.reason = GLASSES_REPLACED
    peer = rig.connect()
    await peer.open("/glasses-ws", f"Authorization: Bearer {core_token()}")
    await peer.send(frame(TEXT, b"end"))
    assert await peer.close_code() == (4001, "Replaced by a newer connection")


# -- apps, way A -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{"apiKey": "wrong"}, {"packageName": "com.t.b"}, {"packageName": "!"}]
)
async def test_a_wrong_key_or_an_unknown_package(
    rig: Rig, facts: Facts, doorman: Doorman, changes: dict[str, str], autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/s/tok/app-ws", "x-user-id: U-1@X.org")
    await peer.send(init(**changes))
    assert await app_error(peer) == ("INVALID_API_KEY", 1008)
    if changes != {"packageName": "!"}:
        package = changes.get("packageName", PACKAGE)
        assert doorman.rejected == [(package, SESSION, USER, "tok")]
    assert len(facts.of(ConnectionRefused)) == 1
    assert KEY not in repr(facts.all)
    assert "wrong" not in repr(facts.all)


@pytest.mark.parametrize(
    "first",
    [
        frame(TEXT, b"not json"),
        frame(TEXT, b""),
        frame(TEXT, b'{"type": "subscription_update", "subscriptions": []}'),
        frame(TEXT, b'{"type": "who_knows"}'),
        frame(TEXT, b'{"type": "tpa_connection_init"}'),
        frame(BINARY, b"\x00\x01"),
    ],
)
async def test_a_first_frame_that_is_no_init(
    rig: Rig, doorman: Doorman, first: bytes, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(first)
    assert await app_error(peer) == ("MALFORMED_MESSAGE", 1008)


async def test_a_first_frame_above_its_limit(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(init(padding="x" * 4096))
    assert (await peer.close_code())[0] == 1009
    assert doorman.claims == []


async def test_after_the_init_messages_may_be_large(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(init() + frame(TEXT, b"x" * 100_000) + frame(TEXT, b"end"))
    assert await peer.frame() == (TEXT, b"welcome")
    assert (await peer.close_code())[0] == 1000


async def test_silence_gets_1013_after_four_seconds(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/app-ws")
    began = trio.current_time()
    assert await peer.close_code() == (1013, "No valid init in time")
    assert trio.current_time() - began == pytest.approx(4)


async def test_a_refusal_by_the_directory(rig: Rig, doorman: Doorman, autojump_clock: Any) -> None:
    doorman.refusal = InitRefused("SESSION_NOT_FOUND", "Session not found", NO_SESSION)
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(init())
    assert await app_error(peer) == ("SESSION_NOT_FOUND", 1008)


async def test_a_refusal_without_a_code_is_only_a_close(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    doorman.refusal = InitRefused("", "late", APP_STOPPED)
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(init())
    assert await peer.frame() == (8, b"\x03\xe8App stopped")


async def test_an_app_that_leaves_before_its_init(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(close_frame(1000))
    assert (await peer.close_code())[0] == 1000
    await peer.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert rig.open_connections == 0


# -- apps, from where ------------------------------------------------------------------------

NETWORKS = ("10.0.0.0/8", "2001:db8::/32", "::1/128")


def from_address(rig: Rig, peer: str) -> Peer:
    connected = rig.connect()
    rig.wires[-1].server.peer = peer  # what `peer_of` shows of streams that are no sockets
    return connected


@pytest.mark.parametrize(
    "peer", ["10.1.2.3:4711", "::ffff:10.1.2.3:4711", "2001:db8::7:4711", "::1:1"]
)
async def test_an_app_from_an_allowed_network(
    rig: Rig, store: OneAppStore, doorman: Doorman, peer: str, autojump_clock: Any
) -> None:
    store.networks = NETWORKS
    app = from_address(rig, peer)
    await app.open("/app-ws")
    await app.send(init())
    assert await app.frame() == (TEXT, b"welcome")
    assert len(doorman.claims) == 1


@pytest.mark.parametrize(
    "peer", ["11.0.0.1:10", "::ffff:11.0.0.1:4711", "2001:db9::1:1", "unknown", "local", "memory"]
)
@pytest.mark.parametrize("way", ["A", "B", "C"])
async def test_an_app_from_elsewhere(
    rig: Rig,
    facts: Facts,
    store: OneAppStore,
    doorman: Doorman,
    peer: str,
    way: str,
    autojump_clock: Any,
) -> None:
    store.networks = NETWORKS
    app = from_address(rig, peer)
    headers = {"A": [], "B": token_headers(), "C": [*KEY_HEADERS, f"x-api-key: {KEY}"]}[way]
    await app.open("/s/tok/app-ws", *headers)
    if way != "B":
        await app.send(init())
    assert await app_error(app) == ("ADDRESS_NOT_ALLOWED", 1008)
    assert not doorman.claims
    assert not doorman.rejected
    (fact,) = facts.of(ConnectionRefused)
    assert (fact.endpoint, fact.peer) == ("app", peer)
    assert "not allowed" in fact.problem.lower()


async def test_only_who_has_the_key_learns_of_networks(
    rig: Rig, store: OneAppStore, doorman: Doorman, autojump_clock: Any
) -> None:
    store.networks = NETWORKS
    app = from_address(rig, "11.0.0.1:10")
    await app.open("/app-ws")
    await app.send(init(apiKey="wrong"))
    assert await app_error(app) == ("INVALID_API_KEY", 1008)


# -- apps, ways B and C ---------------------------------------------------------------------


def token_headers(**changes: str) -> list[str]:
    headers = {
        "Authorization": f"Bearer {mint_app_token(PACKAGE, KEY, SECRET)}",
        "x-user-id": "U-1@X.org",
        "x-session-id": SESSION,
    }
    return [f"{name}: {value}" for name, value in {**headers, **changes}.items() if value]


async def test_token_headers_imply_the_init(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/app-ws", *token_headers())
    assert await peer.frame() == (TEXT, b"welcome")
    assert doorman.claims == [AppClaim(package=PACKAGE, session_id=SESSION, user=USER, token=None)]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"x-user-id": ""}, "MISSING_HEADERS"),
        ({"x-session-id": ""}, "MISSING_HEADERS"),
        ({"Authorization": "Bearer rubbish"}, "JWT_INVALID"),
        ({"Authorization": f"Bearer {core_token()}"}, "JWT_INVALID"),
    ],
)
async def test_bad_token_headers_get_401(
    rig: Rig, doorman: Doorman, changes: dict[str, str], code: str, autojump_clock: Any
) -> None:
    status, body = await refused(rig.connect(), "/app-ws", *token_headers(**changes))
    assert (status, body["type"], body["code"]) == (401, "tpa_connection_error", code)


async def test_a_token_with_a_wrong_key(rig: Rig, doorman: Doorman, autojump_clock: Any) -> None:
    peer = rig.connect()
    wrong = mint_app_token(PACKAGE, "wrong", SECRET)
    await peer.open("/app-ws", *token_headers(Authorization=f"Bearer {wrong}"))
    assert await app_error(peer) == ("INVALID_API_KEY", 1008)


KEY_HEADERS = [f"x-user-id: {USER}", f"x-session-id: {SESSION}", f"x-package-name: {PACKAGE}"]


async def test_key_headers_are_checked_and_the_init_still_follows(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/ws/miniapp", *KEY_HEADERS, f"x-api-key: {KEY}")
    await trio.sleep(1)
    assert doorman.claims == []
    await peer.send(init())
    assert await peer.frame() == (TEXT, b"welcome")
    assert doorman.claims[0].user == USER


async def test_a_wrong_key_header_gets_401(rig: Rig, doorman: Doorman, autojump_clock: Any) -> None:
    status, body = await refused(rig.connect(), "/app-ws", *KEY_HEADERS, "x-api-key: wrong")
    assert (status, body["code"]) == (401, "INVALID_API_KEY")
    assert len(doorman.rejected) == 1
