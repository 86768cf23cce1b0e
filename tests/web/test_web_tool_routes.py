"""Tools of apps: who may see and call them, and what the caller is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from mentra_trio.domain.apps import hash_api_key
from mentra_trio.domain.errors import WebhookFailed, WebhookFailure
from mentra_trio.domain.facts import WebhookCalled
from mentra_trio.domain.ids import UserId
from mentra_trio.domain.timings import TOOL_ANSWER_S
from mentra_trio.ports import AppAnswer
from mentra_trio.sessions.tool_calls import CALLS_AT_ONCE
from mentra_trio.testing.household import APP, Household
from mentra_trio.wire.tokens import mint_core_token

from .site_under_test import AS_ADMIN, AS_USER, NOW, SECRET, USER, open_house_site

NOTE = {"id": "note", "description": "Writes a note", "parameters": {"text": {"type": "string"}}}
PATH = f"/api/tools/apps/{APP}"
AS_APP = {"authorization": f"Bearer {APP}:key"}
AS_OTHER = {
    "authorization": "Bearer " + mint_core_token(UserId("o@x.org"), SECRET, now=NOW, ttl_s=None)
}
CALL: dict[str, Any] = {"toolId": "note", "toolParameters": {"text": "hi"}, "userId": USER}


@asynccontextmanager
async def open_notes() -> AsyncIterator[tuple[Household, httpx.AsyncClient]]:
    async with open_house_site() as (house, client):
        await house.add_app(tools=[NOTE])
        yield house, client


async def test_tools_are_listed_with_their_app(autojump_clock: MockClock) -> None:
    async with open_notes() as (house, client):
        await house.add_app("com.t.b", tools=[{"id": "x"}])
        await house.add_app("com.t.none")
        own = [{**NOTE, "appPackageName": APP}]
        answer = await client.get(f"{PATH}/tools", headers=AS_USER)
        assert answer.json() == own
        answer = await client.get(f"/api/tools/users/{USER}/tools", headers=AS_USER)
        assert answer.json() == [*own, {"id": "x", "appPackageName": "com.t.b"}]


@pytest.mark.parametrize(
    ("headers", "of_user", "of_app", "call"),
    [
        ({}, 401, 401, 401),
        ({"authorization": "Bearer nonsense"}, 401, 401, 401),
        ({"authorization": f"Bearer {APP}:wrong"}, 401, 401, 401),
        ({"authorization": "Bearer com.t.b:key"}, 401, 401, 401),
        (AS_OTHER, 401, 200, 401),
        (AS_APP, 401, 200, 200),
        (AS_USER, 200, 200, 200),
        (AS_ADMIN, 200, 200, 200),
    ],
)
async def test_who_may_do_what(
    headers: dict[str, str], of_user: int, of_app: int, call: int, autojump_clock: MockClock
) -> None:
    async with open_notes() as (house, client):
        await house.add_app("com.t.b")
        answer = await client.get(f"/api/tools/users/{USER}/tools", headers=headers)
        assert answer.status_code == of_user
        assert (await client.get(f"{PATH}/tools", headers=headers)).status_code == of_app
        answer = await client.post(f"{PATH}/tool", headers=headers, json=CALL)
        assert answer.status_code == call
        assert len(house.webhooks.posts) == (call == 200)


async def test_status_and_body_are_those_of_the_app(autojump_clock: MockClock) -> None:
    async with open_notes() as (house, client):
        for status, body in ((200, b'{"status":"success","reply":null}'), (500, b'{"x":1}')):
            house.webhooks.post_answer = AppAnswer(status=status, body=body)
            answer = await client.post(f"{PATH}/tool", headers=AS_USER, json=CALL)
            assert (answer.status_code, answer.content) == (status, body)
            assert answer.headers["content-type"].startswith("application/json")
        call = house.webhooks.posts[0]
        assert (call.url, call.path) == (f"http://{APP}.test", "/tool")
        assert call.headers == {"X-App-API-Key": hash_api_key("key")}
        assert call.answer_s == 20.0
        timestamp = call.body["timestamp"]
        assert timestamp
        assert call.body == {**CALL, "timestamp": timestamp}
        kinds = [(fact.kind, fact.result) for fact in house.telemetry.of(WebhookCalled)]
        assert kinds == [("tool", "ok"), ("tool", "error")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "$.toolId must be text"),
        ({"toolId": "note"}, "$.userId must be text"),
        ({"toolId": 7, "userId": USER}, "$.toolId must be text"),
        ({"toolId": "note", "userId": ""}, "$.userId must be text"),
        ({"toolId": "note", "userId": "\x00"}, "$.userId must be the id of a user"),
        ({**CALL, "toolParameters": []}, None),
        ({**CALL, "toolParameters": [1]}, "$.toolParameters must be an object"),
        ([], "the body must be a JSON object"),
    ],
)
async def test_a_call_that_is_none(
    body: Any, message: str | None, autojump_clock: MockClock
) -> None:
    async with open_notes() as (house, client):
        answer = await client.post(f"{PATH}/tool", headers=AS_USER, json=body)
        if message is None:
            assert answer.status_code == 200
            return
        assert answer.status_code == 400
        assert answer.json()["error"] is True
        assert answer.json()["message"] == message
        assert house.webhooks.posts == []


async def test_an_app_or_a_tool_that_there_is_not(autojump_clock: MockClock) -> None:
    async with open_notes() as (house, client):
        answer = await client.post("/api/tools/apps/com.x/tool", headers=AS_USER, json=CALL)
        assert (answer.status_code, answer.json()["code"]) == (404, "APP_NOT_FOUND")
        assert (await client.get("/api/tools/apps/com.x/tools", headers=AS_USER)).status_code == 404
        other = {**CALL, "toolId": "fly"}
        answer = await client.post(f"{PATH}/tool", headers=AS_USER, json=other)
        assert (answer.status_code, answer.json()["code"]) == (404, "TOOL_NOT_FOUND")
        assert answer.json()["error"] is True
        await house.add_app()  # which tools it has is not registered: the app decides
        answer = await client.post(f"{PATH}/tool", headers=AS_USER, json=other)
        assert answer.status_code == 200


async def test_a_server_that_is_away_or_silent_is_named(autojump_clock: MockClock) -> None:
    async with open_notes() as (house, client):
        house.webhooks.post_failure = WebhookFailed(
            WebhookFailure.REFUSED, "connection refused", delivered=False
        )
        answer = await client.post(f"{PATH}/tool", headers=AS_USER, json=CALL)
        assert (answer.status_code, answer.json()["code"]) == (502, "APP_UNREACHABLE")
        assert answer.json()["message"] == f"app: {APP}: connection refused"
        house.webhooks.post_failure, house.webhooks.post_after = None, 1_000.0
        began = trio.current_time()
        answer = await client.post(f"{PATH}/tool", headers=AS_USER, json=CALL)
        assert (answer.status_code, answer.json()["code"]) == (504, "APP_TIMEOUT")
        assert answer.json()["message"] == f"app: {APP}: no answer within 20 s"
        assert TOOL_ANSWER_S <= trio.current_time() - began <= 2 * TOOL_ANSWER_S
        assert len(house.webhooks.posts) == 2  # each was made once


async def test_there_is_a_bound_on_the_calls_of_a_user(autojump_clock: MockClock) -> None:
    async with open_notes() as (house, client):
        house.webhooks.post_after = 10.0
        statuses: list[int] = []
        waits: list[str | None] = []

        async def call(headers: dict[str, str], user: str = USER) -> None:
            body = {**CALL, "userId": user}
            answer = await client.post(f"{PATH}/tool", headers=headers, json=body)
            statuses.append(answer.status_code)
            waits.append(answer.headers.get("retry-after"))

        async with trio.open_nursery() as nursery:
            for _ in range(CALLS_AT_ONCE):
                nursery.start_soon(call, AS_USER)
            await trio.sleep(1)
            await call(AS_USER)
            assert (statuses, waits) == ([429], ["1"])
            nursery.start_soon(call, AS_OTHER, "o@x.org")
        assert statuses == [429] + [200] * (CALLS_AT_ONCE + 1)
        await call(AS_USER)
        assert statuses[-1] == 200
