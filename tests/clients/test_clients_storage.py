"""What an app on the Python client asks over HTTP: small texts, and who else is there."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from app_rig import Rig
from trio.testing import MockClock

from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.http_calls import ANSWER_BYTES_MAX, call_http, http_base
from mentra_trio.clients.questions import RequestFailed

STORAGE = "/s/t1/api/sdk/simple-storage/u-1%40x.org"
USERS = "/s/t1/api/app-communication/discover-users"


def has(rig: Rig, **texts: str) -> None:
    rig.cloud.routes["GET", STORAGE] = (200, {"success": True, "data": texts})


async def test_texts_are_read_once_and_written_at_once(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    has(rig, a="1")
    rig.cloud.routes["PUT", STORAGE] = (200, {"success": True})
    rig.cloud.routes["DELETE", STORAGE] = (200, {"success": True})
    rig.cloud.routes["DELETE", f"{STORAGE}/x%2Fy"] = (200, {"success": True})
    storage = session.storage
    assert await storage.get("a") == "1"
    assert await storage.get("b") is None
    assert await storage.get("b", "default") == "default"
    await storage.set("x/y", "2")
    await storage.set_many({"c": "3", "d": "4"})
    assert await storage.all() == {"a": "1", "x/y": "2", "c": "3", "d": "4"}
    assert await storage.delete("x/y")
    assert not await storage.delete("x/y")
    assert "x/y" not in await storage.all()
    await storage.clear()
    assert await storage.all() == {}
    calls = [(one.method, one.path) for one in rig.cloud.asked]
    assert calls == [
        ("GET", STORAGE),
        ("PUT", STORAGE),
        ("PUT", STORAGE),
        ("DELETE", f"{STORAGE}/x%2Fy"),
        ("DELETE", f"{STORAGE}/x%2Fy"),
        ("DELETE", STORAGE),
    ]
    assert rig.cloud.asked[1].json() == {"data": {"x/y": "2"}}
    assert {one.headers["authorization"] for one in rig.cloud.asked} == {"Bearer com.t.a:secret"}
    caller.leave()


@pytest.mark.parametrize(
    ("status", "answer", "code", "text"),
    [
        (400, {"error": "bad", "message": "the value\nis too long"}, "HTTP_400", "is too long"),
        (413, {"code": "TOO_LARGE", "message": "all is too much"}, "TOO_LARGE", "all is too"),
        (429, {"error": "slow down"}, "HTTP_429", "slow down"),
        (500, b"<html>", "HTTP_500", "answered 500"),
        (401, [1], "HTTP_401", "answered 401"),
    ],
)
async def test_a_refusal_is_told_and_changes_nothing(
    status: int, answer: object, code: str, text: str, rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    has(rig, a="1")
    rig.cloud.routes["PUT", STORAGE] = (status, answer)
    with pytest.raises(RequestFailed, match=text) as failed:
        await session.storage.set("a", "2")
    assert (failed.value.code, failed.value.hop) == (code, "cloud")
    assert await session.storage.get("a") == "1"
    caller.leave()


@pytest.mark.parametrize("answer", [b"no json", {"success": True}, {"data": 7}, [1]])
async def test_an_answer_that_says_nothing_is_no_empty_store(
    answer: object, rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    rig.cloud.routes["GET", STORAGE] = (200, answer)
    with pytest.raises(RequestFailed) as failed:
        await session.storage.get("a")
    assert failed.value.code == "BAD_ANSWER"
    has(rig, a="1")
    assert await session.storage.get("a") == "1", "it is asked again"
    caller.leave()


async def test_those_who_ask_at_the_same_time_ask_once(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    has(rig, a="1")
    found: list[Any] = []

    async def ask() -> None:
        found.append(await session.storage.get("a"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert found == ["1"] * 5
    assert len(rig.cloud.asked) == 1
    caller.leave()


async def test_a_server_that_does_not_answer_is_given_up(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    rig.cloud.http_after = 100
    began = trio.current_time()
    with pytest.raises(RequestFailed) as failed:
        await session.storage.get("a")
    assert failed.value.code == "TIMEOUT"
    assert trio.current_time() - began == pytest.approx(10)
    caller.leave()


async def test_a_session_without_a_server_says_so(autojump_clock: MockClock) -> None:
    session = AppSession("u-1@x.org", "s", "com.t.a")
    with pytest.raises(RequestFailed) as failed:
        await session.storage.get("a")
    assert failed.value.code == "NOT_CONNECTED"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("ws://h:1/app-ws", "http://h:1"),
        ("wss://h/s/t/app-ws", "https://h/s/t"),
        ("ws://h/ws/miniapp", "http://h"),
        ("ws://h/", "http://h"),
        ("ws://h/glasses-ws", "http://h"),
    ],
)
def test_where_the_routes_are(url: str, base: str) -> None:
    assert http_base(url) == base


@pytest.mark.parametrize("url", ["http://nobody/x", "ftp://x", "nonsense", "https://cloud:8002/x"])
async def test_what_cannot_be_reached_is_told(
    url: str, rig: Rig, autojump_clock: MockClock
) -> None:
    with pytest.raises(RequestFailed) as failed:
        await call_http("GET", url, dial=rig.cloud.network.dial)
    assert failed.value.code == "UNREACHABLE"


async def test_an_answer_that_is_too_long_is_refused(rig: Rig, autojump_clock: MockClock) -> None:
    rig.cloud.routes["GET", "/x"] = (200, b"x" * (ANSWER_BYTES_MAX + 1))
    with pytest.raises(RequestFailed, match="too long"):
        await call_http("GET", "http://cloud:8002/x", dial=rig.cloud.network.dial)
    rig.cloud.routes["GET", "/x"] = (200, b"x" * ANSWER_BYTES_MAX)
    answer = await call_http("GET", "http://cloud:8002/x?q=1", dial=rig.cloud.network.dial)
    assert len(answer.body) == ANSWER_BYTES_MAX


# -- who else is there -----------------------------------------------------------------


async def test_other_users_are_found(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    other = {"userId": "u-2@x.org", "sessionId": "s2", "joinedAt": "2026"}
    profile = {"userProfile": {"userId": "u-2@x.org"}}
    answer = {"users": [{**other, **profile}], "totalUsers": 1, "timestamp": "2026"}
    rig.cloud.routes["POST", USERS] = (200, answer)
    [found] = await session.messages.discover(profiles=True)
    assert (found.user_id, found.session_id, found.joined_at) == ("u-2@x.org", "s2", "2026")
    assert found.user_profile == {"userId": "u-2@x.org"}
    [request] = rig.cloud.asked
    assert request.headers["authorization"] == "Bearer secret"
    assert request.json() == {
        "packageName": "com.t.a",
        "userId": "u-1@x.org",
        "includeUserProfiles": True,
    }
    rig.cloud.routes["POST", USERS] = (200, {"users": "none"})
    with pytest.raises(RequestFailed) as failed:
        await session.messages.discover()
    assert failed.value.code == "BAD_ANSWER"
    caller.leave()
