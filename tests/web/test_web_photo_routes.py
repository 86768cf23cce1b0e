"""What the phone says about photos over HTTP, to real sessions."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.testing.household import Household, open_one_app
from mentra_trio.testing.links import MemoryLink
from mentra_trio.web.asgi import make_app

from .site_under_test import AS_USER, open_site

RESPONSE, BUTTON = "/api/client/photo/response", "/api/hardware/button-press"
ASKED = {"type": "photo_request", "requestId": "r1"}


@asynccontextmanager
async def open_lived_in_site() -> AsyncGenerator[
    tuple[httpx.AsyncClient, Household, MemoryLink, MemoryLink]
]:
    async with open_site() as site, open_one_app() as (house, glasses, app):
        services = attrs.evolve(site.services, directory=house.directory)
        transport = httpx.ASGITransport(make_app(services), raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=AS_USER
        ) as client:
            yield client, house, glasses, app


async def test_an_answer_over_http_counts_as_one_over_the_link(autojump_clock: MockClock) -> None:
    async with open_lived_in_site() as (client, house, glasses, app):
        app.say(ASKED)
        await glasses.expect("photo_request")
        body = {"requestId": "r1", "success": False, "errorCode": "CAMERA_BUSY"}
        answer = await client.post(RESPONSE, json=body)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        call = await house.webhooks.next_post()
        assert call.body["errorCode"] == "CAMERA_BUSY"


async def test_the_button_takes_a_photo(autojump_clock: MockClock) -> None:
    async with open_lived_in_site() as (client, _house, _glasses, app):
        pressed = {"buttonId": "main", "pressType": "short"}
        answer = (await client.post(BUTTON, json=pressed)).json()
        assert (answer["success"], answer["action"]) == (True, "take_photo")
        assert answer["requestId"]
        app.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        assert (await client.post(BUTTON, json=pressed)).json() == {"success": True}
        assert not app.of_type("data_stream"), "it hears of the press over the WebSocket"


@pytest.mark.parametrize("body", [{}, {"requestId": 5}, {"requestId": "r", "success": "yes"}, []])
async def test_what_cannot_be_read(body: Any, autojump_clock: MockClock) -> None:
    async with open_lived_in_site() as (client, *_rest):
        answer = await client.post(RESPONSE, json=body)
        assert answer.status_code == 400
        assert answer.json()["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("path", [RESPONSE, BUTTON])
async def test_only_for_users_with_a_session(path: str, autojump_clock: MockClock) -> None:
    async with open_lived_in_site() as (client, _house, glasses, _app):
        stranger = {"authorization": "Bearer no"}
        body = {"requestId": "r"}
        assert (await client.post(path, json=body, headers=stranger)).status_code == 401
        glasses.cut()
        await trio.sleep(70)
        answer = await client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "NO_SESSION")
