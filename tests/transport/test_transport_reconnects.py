"""Apps that say that they were here before: with a hint, with a token, or in the words of v3."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    NO_SESSION,
    NOT_HERE_YET,
    NOT_STARTED,
    RESTARTING,
    STALE_TOKEN,
    SUPERSEDED,
    USER_SESSION_ENDED,
    CloseReason,
)
from mentra_trio.domain.errors import InitRefused

from .carriers import WIRES, Wire
from .doorman import KEY, PACKAGE, SESSION, USER, Doorman
from .raw_peer import PING, PONG, TEXT, Peer, Rig, close_frame, frame

HEADERS = [
    f"x-user-id: {USER}",
    f"x-session-id: {SESSION}",
    f"x-package-name: {PACKAGE}",
    f"x-api-key: {KEY}",
    "x-sdk-version: 3.0.0",
]


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Callable[[], Wire]:
    made: Callable[[], Wire] = WIRES[request.param]
    return made


def said(**message: object) -> bytes:
    return frame(TEXT, json.dumps(message).encode())


def init(**more: object) -> bytes:
    who = {"sessionId": SESSION, "packageName": PACKAGE, "apiKey": KEY}
    return said(type="tpa_connection_init", **who, **more)


async def heard(peer: Peer) -> dict[str, Any]:
    opcode, payload = await peer.frame()
    assert opcode == TEXT
    message: dict[str, Any] = json.loads(payload)
    return message


@pytest.mark.parametrize(
    ("more", "reconnect", "token"),
    [
        ({}, False, ""),
        ({"reconnect": True}, True, ""),
        ({"reconnect": False}, False, ""),
        ({"reconnect": "yes", "reconnectToken": 7}, False, ""),
        ({"reconnect": True, "reconnectToken": "t"}, True, "t"),
    ],
)
async def test_what_an_init_says_of_before(
    rig: Rig,
    doorman: Doorman,
    more: dict[str, object],
    reconnect: bool,
    token: str,
    autojump_clock: Any,
) -> None:
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(init(**more))
    assert await peer.frame() == (TEXT, b"welcome")
    [claim] = doorman.claims
    assert (claim.reconnect, claim.reconnect_token, claim.resumes) == (reconnect, token, False)
    assert "reconnect_token" not in repr(claim)


async def test_a_reconnect_of_v3_is_heard(rig: Rig, doorman: Doorman, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.open("/ws/miniapp", *HEADERS)
    await peer.send(said(type="reconnect", sessionId="any", sdkVersion="3.0.0"))
    assert await peer.frame() == (TEXT, b"welcome")
    [claim] = doorman.claims
    assert (claim.user, claim.package, claim.resumes) == (USER, PACKAGE, True)


async def test_a_reconnect_without_headers_is_rejected_and_closed(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(said(type="reconnect", sessionId=SESSION))
    answer = await heard(peer)
    assert (answer["type"], answer["code"]) == ("reconnect_rejected", "SESSION_NOT_FOUND")
    assert (await peer.close_code())[0] == 1008
    assert doorman.claims == []


@pytest.mark.parametrize(
    ("close", "code"),
    [
        (NO_SESSION, "SESSION_NOT_FOUND"),
        (APP_STOPPED, "SESSION_STOPPED"),
        (USER_SESSION_ENDED, "SESSION_EXPIRED"),
        (SUPERSEDED, "SESSION_EXPIRED"),
        (STALE_TOKEN, "SESSION_EXPIRED"),
    ],
)
async def test_after_a_rejection_that_is_not_final_the_app_may_say_who_it_is(
    rig: Rig, doorman: Doorman, close: CloseReason, code: str, autojump_clock: Any
) -> None:
    doorman.refusal = InitRefused("", "no", close)
    peer = rig.connect()
    await peer.open("/app-ws", *HEADERS)
    await peer.send(said(type="reconnect", sessionId=SESSION))
    answer = await heard(peer)
    assert (answer["type"], answer["code"]) == ("reconnect_rejected", code)
    doorman.refusal = None
    await peer.send(init())
    assert await peer.frame() == (TEXT, b"welcome")


@pytest.mark.parametrize("close", [NOT_STARTED, RESTARTING, NOT_HERE_YET])
async def test_a_final_rejection_and_a_later_end_with_the_close(
    rig: Rig, doorman: Doorman, close: CloseReason, autojump_clock: Any
) -> None:
    doorman.refusal = InitRefused("APP_NOT_STARTED" * (close is NOT_STARTED), "no", close)
    peer = rig.connect()
    await peer.open("/app-ws", *HEADERS)
    await peer.send(said(type="reconnect", sessionId=SESSION))
    if close is NOT_STARTED:
        assert (await heard(peer))["code"] == "NOT_RUNNING"
    assert (await peer.close_code())[0] == close.code


async def test_while_its_user_may_still_come_an_app_of_v3_is_parked(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    doorman.here = False
    peer = rig.connect()
    await peer.open("/app-ws", *HEADERS)
    await peer.send(said(type="reconnect", sessionId=SESSION))
    answer = await heard(peer)
    assert (answer["type"], answer["code"]) == ("reconnect_deferred", "AWAITING_APP_RESTORE")
    assert answer["timeoutMs"] == 30_000
    await trio.sleep(20)
    assert doorman.claims == []
    doorman.arrived.set()
    assert await peer.frame() == (TEXT, b"welcome")


async def parked(rig: Rig, doorman: Doorman) -> Peer:
    """An app whose user is not here yet."""
    doorman.here = False
    peer = rig.connect()
    await peer.open("/app-ws", *HEADERS)
    await peer.send(said(type="reconnect", sessionId=SESSION))
    assert (await heard(peer))["type"] == "reconnect_deferred"
    return peer


async def test_a_parked_app_is_answered_and_may_leave_early(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = await parked(rig, doorman)
    for number in range(3):
        await trio.sleep(5)
        await peer.send(frame(PING, b"%d" % number))
        assert await peer.frame() == (PONG, b"%d" % number)
    await peer.send(close_frame(1000, "not waiting any longer"))
    assert await peer.close_code() == (1000, "not waiting any longer")
    assert await peer.rest() == b""
    await trio.testing.wait_all_tasks_blocked()
    assert trio.current_time() == pytest.approx(15)
    assert rig.open_connections == 0
    assert doorman.claims == []


async def test_what_a_parked_app_says_is_kept_for_its_session(
    rig: Rig, doorman: Doorman, autojump_clock: Any
) -> None:
    peer = await parked(rig, doorman)
    await peer.send(frame(TEXT, b"early") + frame(TEXT, b"end"))
    await trio.sleep(1)
    doorman.arrived.set()
    assert await peer.frame() == (TEXT, b"welcome")
    assert await peer.close_code() == (1000, "App stopped")
