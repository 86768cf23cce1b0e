"""What phones say over HTTP reaches the apps as if it had come over the WebSocket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx
import pytest
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.ids import user_id
from mentra_trio.testing.household import Household, open_one_app
from mentra_trio.testing.links import MemoryLink, Message
from mentra_trio.web.asgi import make_app
from mentra_trio.web.place_routes import EVENTS_MAX
from mentra_trio.wire.tokens import mint_core_token

from .site_under_test import ADMIN, AS_USER, CORE, NOW, SECRET, USER, Site

PLACE = {"lat": 48.1, "lng": 11.6, "accuracy": 12, "altitude": 519}
CLOCK = "/api/user-data/set-datetime"
TIME = "2026-01-31T13:00:00+01:00"
STRANGER = mint_core_token(user_id("stranger@x.org"), SECRET, now=NOW, ttl_s=None)

Answer = tuple[int, Any]


@attrs.define(eq=False)
class Place:
    """A site over live sessions: a user with glasses, and an app that hears everything."""

    client: httpx.AsyncClient
    house: Household
    glasses: MemoryLink
    app: MemoryLink

    async def post(self, path: str, body: Any, headers: dict[str, str] = AS_USER) -> Answer:
        answer = await self.client.post(path, json=body, headers=headers)
        await wait_all_tasks_blocked()
        return answer.status_code, answer.json()

    def heard(self, stream: str) -> list[Any]:
        found = self.app.of_type("data_stream")
        return [one["data"] for one in found if one["streamType"] == stream]


@pytest.fixture
async def place(site: Site, autojump_clock: MockClock) -> AsyncIterator[Place]:
    async with open_one_app() as (house, glasses, app):
        services = attrs.evolve(site.services, directory=house.directory)
        transport = httpx.ASGITransport(make_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            streams = ["location_update", "calendar_event", "phone_notification"]
            streams += ["phone_notification_dismissed", "custom_message"]
            app.say({"type": "subscription_update", "subscriptions": streams})
            await wait_all_tasks_blocked()
            yield Place(client, house, glasses, app)


ROUTES: list[tuple[str, Message]] = [
    ("/api/client/location", {"location": PLACE}),
    ("/api/client/location/poll-response/p", {"location": PLACE}),
    ("/api/client/calendar", {"events": []}),
    ("/api/client/notifications", {"notificationId": "n"}),
    ("/api/client/notifications/dismissed", {"notificationId": "n"}),
    (CLOCK, {"datetime": TIME}),
]


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.parametrize("token", [None, "rubbish", ADMIN])
async def test_all_need_a_core_token(
    place: Place, path: str, body: Message, token: str | None
) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    status, answer = await place.post(path, body, headers)
    assert (status, answer["code"]) == (401, "UNAUTHORIZED")
    assert place.app.of_type("data_stream", "custom_message") == []


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_a_user_without_a_session_is_told_so(place: Place, path: str, body: Message) -> None:
    status, answer = await place.post(path, body, {"authorization": f"Bearer {STRANGER}"})
    assert (answer["code"], answer["message"]) == ("NO_SESSION", "Session not found")
    assert status == (404 if path == CLOCK else 409)
    assert answer.get("error") == ("Session not found" if path == CLOCK else None)
    assert place.app.of_type("data_stream", "custom_message") == []


@pytest.mark.parametrize(("path", "body"), ROUTES)
@pytest.mark.parametrize("prefix", ["", "/s/tok"])
async def test_all_answer_that_it_was_done(
    place: Place, path: str, body: Message, prefix: str
) -> None:
    status, answer = await place.post(prefix + path, body)
    assert (status, answer["success"]) == (200, True)


@pytest.mark.parametrize(("path", "body"), ROUTES)
async def test_what_is_no_object_is_refused(place: Place, path: str, body: Message) -> None:
    status, answer = await place.post(path, [body])
    assert (status, answer["success"], answer["code"]) == (400, False, "BAD_REQUEST")


# -- location ------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"location": PLACE}, PLACE])
async def test_a_location_is_an_update(place: Place, body: Message) -> None:
    _, answer = await place.post("/api/client/location", body)
    assert set(answer) == {"success", "timestamp"}
    assert place.heard("location_update") == [{**PLACE, "type": "location_update"}]


async def test_an_answer_that_nobody_waits_for_is_told_to_nobody(place: Place) -> None:
    assert (await place.post("/api/client/location/poll-response/other", PLACE))[0] == 200
    assert place.heard("location_update") == []


async def test_an_answer_goes_to_who_asked(place: Place) -> None:
    place.app.say(
        {"type": "location_poll_request", "correlationId": "poll_1_ü", "accuracy": "high"}
    )
    await place.glasses.expect("request_single_location")
    path = "/api/client/location/poll-response/poll_1_%C3%BC"
    assert (await place.post(path, {"location": PLACE}))[0] == 200
    (data,) = place.heard("location_update")
    assert data == {**PLACE, "type": "location_update", "correlationId": "poll_1_ü"}


@pytest.mark.parametrize(
    "location",
    [
        *({}, {"lat": 1}, {"lat": "1", "lng": 2}, {"lat": True, "lng": 2}, {"lat": 91, "lng": 0}),
        *({"lat": 0, "lng": -181}, [], "here", None, {**PLACE, "accuracy": "good"}),
    ],
)
async def test_what_is_no_place_is_refused(place: Place, location: Any) -> None:
    status, answer = await place.post("/api/client/location", {"location": location})
    assert (status, answer["code"]) == (400, "BAD_REQUEST")
    assert "lat" in answer["message"] or "$.accuracy" in answer["message"]
    assert place.heard("location_update") == []


async def test_a_location_cannot_pretend_to_be_an_answer(place: Place) -> None:
    await place.post("/api/client/location", {"location": {**PLACE, "correlationId": "p"}})
    assert "correlationId" not in place.heard("location_update")[0]


# -- calendar and notifications ---------------------------------------------------------


async def test_a_calendar_is_events(place: Place) -> None:
    events = [
        {"eventId": "a", "title": "A", "dtStart": "2030-01-01T10:00:00Z", "location": "Room 5"},
        {"eventId": "b", "dtStart": 4_000_000_000_000, "type": "something else"},
    ]
    status, answer = await place.post("/api/client/calendar", {"events": events})
    assert (status, set(answer)) == (200, {"success", "timestamp"})
    heard = place.heard("calendar_event")
    assert [one["eventId"] for one in heard] == ["a", "b"]
    assert heard[0]["location"] == "Room 5"
    assert {one["type"] for one in heard} == {"calendar_event"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "'events'"),
        ({"events": {}}, "'events'"),
        ({"events": ["a"]}, "'events'"),
        ({"events": [{"eventId": "a"}, {"title": "no id"}]}, "eventId"),
        ({"events": [{"eventId": "a"}] * (EVENTS_MAX + 1)}, "more than"),
    ],
)
async def test_a_bad_calendar_changes_nothing(place: Place, body: Any, problem: str) -> None:
    status, answer = await place.post("/api/client/calendar", body)
    assert (status, answer["code"]) == (400, "BAD_REQUEST")
    assert problem in answer["message"]
    assert place.heard("calendar_event") == []


async def test_notifications_come_and_go(place: Place) -> None:
    body = {"notificationId": "n", "app": "Mail", "title": "t", "content": "c", "priority": "low"}
    assert (await place.post("/api/client/notifications", body))[0] == 200
    gone = {**body, "notificationKey": "k"}
    assert (await place.post("/api/client/notifications/dismissed", gone))[0] == 200
    assert place.heard("phone_notification") == [{**body, "type": "phone_notification"}]
    assert place.heard("phone_notification_dismissed") == [
        {**gone, "type": "phone_notification_dismissed"}
    ]


async def test_a_notification_that_is_none_is_refused(place: Place) -> None:
    status, answer = await place.post("/api/client/notifications", {"title": 5})
    assert status == 400
    assert "$.title" in answer["message"]


async def test_what_is_nested_too_deeply_is_refused_by_every_route(place: Place) -> None:
    headers = {**AS_USER, "content-type": "application/json"}
    for path, body in ROUTES[:-1]:
        for levels in (200, 900, 923, 930, 950):
            nested = json.dumps({"deep": "DEEP", **PLACE}).replace(
                '"DEEP"', "[" * levels + "]" * levels
            )
            if "calendar" in path:
                nested = f'{{"events": [{nested}]}}'
            answer = await place.client.post(path, content=nested, headers=headers)
            assert answer.status_code == 400, (body, levels)
    assert place.house.telemetry.crashes == []


# -- date and time ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"datetime": TIME, "coreToken": CORE}, {}),
        ({"datetime": TIME, "coreToken": CORE, "userId": USER.upper()}, {}),
        ({"datetime": TIME, "userId": USER}, AS_USER),
        ({"datetime": TIME, "coreToken": "ignored"}, AS_USER),
    ],
)
async def test_the_token_may_be_in_the_body(
    place: Place, body: Message, headers: dict[str, str]
) -> None:
    status, answer = await place.post(CLOCK, body, headers)
    assert (status, answer) == (200, {"success": True, "userId": USER, "datetime": TIME})
    (message,) = place.app.of_type("custom_message")
    assert message["payload"] == {"datetime": TIME, "section": "topLeft"}


@pytest.mark.parametrize("named", [USER, f"-{USER}", "", 5])
async def test_a_stranger_sets_nobodys_clock(place: Place, named: object) -> None:
    body = {"datetime": TIME, "coreToken": STRANGER, "userId": named}
    status, answer = await place.post(CLOCK, body, {})
    assert (status, answer["code"]) == (403, "FORBIDDEN")
    assert answer["error"] == answer["message"]
    status, answer = await place.post(CLOCK, {"datetime": TIME, "userId": USER}, {})
    assert (status, answer["code"]) == (401, "UNAUTHORIZED")
    assert answer["error"]
    assert place.app.of_type("custom_message") == []


@pytest.mark.parametrize("datetime", [None, "", "noon", 5, 1_700_000_000_000, ["2026-01-31"]])
async def test_what_is_no_date_is_refused(place: Place, datetime: object) -> None:
    status, answer = await place.post(CLOCK, {"datetime": datetime, "userId": USER})
    assert (status, answer["code"]) == (400, "BAD_REQUEST")
    assert answer["error"] == "datetime must be an ISO 8601 date and time"
    assert place.app.of_type("custom_message") == []
