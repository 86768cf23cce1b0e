"""What glasses on the Python client say and answer, against a scripted server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from app_rig import Rig
from stub_cloud import CLOUD, Caller, StubCloud
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.camera import Photo
from mentra_trio.clients.glasses import Glasses, open_glasses
from mentra_trio.clients.questions import RequestFailed
from mentra_trio.wire import to_glasses

ACK = {"type": "connection_ack", "sessionId": "u-1@x.org"}
STATE = "/api/client/device/state"
SETTINGS = "/api/client/user/settings"


@asynccontextmanager
async def attached(cloud: StubCloud) -> AsyncGenerator[tuple[Caller, Glasses]]:
    """Glasses, and the stub's side of their connection."""
    callers: list[Caller] = []

    async def accept() -> None:
        callers.append(await cloud.next())
        callers[0].say(ACK)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(accept)
        async with open_glasses(CLOUD, "token", dial=cloud.network.dial) as glasses:
            yield callers[0], glasses
        callers[0].leave()


SAYS: list[tuple[Callable[[Glasses], Awaitable[None]], dict[str, Any]]] = [
    (lambda g: g.voice(True), {"type": "VAD", "status": True}),
    (
        lambda g: g.phone_battery(7, charging=True),
        {"type": "phone_battery_update", "level": 7, "charging": True},
    ),
    (
        lambda g: g.location(1.5, 2, accuracy=3, correlation_id="c"),
        {"type": "location_update", "lat": 1.5, "lng": 2, "accuracy": 3, "correlationId": "c"},
    ),
    (
        lambda g: g.core_status({"core_info": {"brightness": 7}}),
        {"type": "core_status_update", "status": {"core_info": {"brightness": 7}}},
    ),
    (
        lambda g: g.vps(1, 2, 3, confidence=0.5),
        {"type": "vps_coordinates", "x": 1, "y": 2, "z": 3, "confidence": 0.5},
    ),
    (
        lambda g: g.calendar_event("e", "lunch", "2026-01-01T12:00Z", timezone="UTC"),
        {
            "type": "calendar_event",
            "eventId": "e",
            "title": "lunch",
            "dtStart": "2026-01-01T12:00Z",
            "timezone": "UTC",
        },
    ),
    (
        lambda g: g.notify("you", "have mail", app="mail"),
        {
            "type": "phone_notification",
            "notificationId": "you",
            "app": "mail",
            "title": "you",
            "content": "have mail",
            "priority": "normal",
        },
    ),
    (
        lambda g: g.dismiss("you"),
        {
            "type": "phone_notification_dismissed",
            "notificationId": "you",
            "notificationKey": "you",
        },
    ),
    (lambda g: g.ask_for_settings(), {"type": "request_settings"}),
    (
        lambda g: g.stream_status("error", stream_id="s", error="no wifi", bitrate=9),
        {
            "type": "rtmp_stream_status",
            "status": "error",
            "streamId": "s",
            "errorDetails": "no wifi",
            "stats": {"bitrate": 9},
        },
    ),
]


@pytest.mark.parametrize(("says", "expected"), SAYS, ids=lambda value: str(value)[:30])
async def test_what_the_phone_says(
    says: Callable[[Glasses], Awaitable[None]],
    expected: dict[str, Any],
    cloud: StubCloud,
    autojump_clock: MockClock,
) -> None:
    async with attached(cloud) as (caller, glasses):
        await says(glasses)
        assert await caller.hear() == expected


async def test_what_is_asked_is_answered(cloud: StubCloud, autojump_clock: MockClock) -> None:
    async with attached(cloud) as (caller, glasses):
        caller.say(
            {"type": "audio_play_request", "requestId": "r1", "audioUrl": "http://a"},
            {"type": "rgb_led_control", "requestId": "r2", "action": "on"},
            {"type": "request_single_location", "accuracy": "high", "correlationId": "c"},
            {"type": "photo_request", "requestId": "r3", "appId": "com.t.a"},
        )
        sound = await glasses.next(to_glasses.AudioPlayRequest)
        await glasses.answer.audio(sound, duration=2.5)
        played = {"type": "audio_play_response", "requestId": "r1"}
        assert await caller.hear() == {**played, "success": True, "duration": 2.5}
        await glasses.answer.audio(sound, error="glasses: no speaker")
        failed = await caller.hear()
        assert failed == {**played, "success": False, "error": "glasses: no speaker"}
        await glasses.answer.led(await glasses.next(to_glasses.RgbLedControl), error="no light")
        light = {"type": "rgb_led_control_response", "requestId": "r2", "success": False}
        assert await caller.hear() == {**light, "error": "no light"}
        await glasses.answer.location(await glasses.next(to_glasses.RequestSingleLocation), 1, 2)
        assert (await caller.hear())["correlationId"] == "c"
        photo = await glasses.next(to_glasses.PhotoRequest)
        await glasses.answer.photo_failed(photo, "CAMERA_BUSY", "glasses: busy")
        assert await caller.hear() == {
            "type": "photo_response",
            "requestId": "r3",
            "success": False,
            "error": {"code": "CAMERA_BUSY", "message": "glasses: busy"},
        }


async def test_streams_are_kept_alive(cloud: StubCloud, autojump_clock: MockClock) -> None:
    async with attached(cloud) as (caller, glasses), trio.open_nursery() as nursery:
        nursery.start_soon(glasses.answer.keep_streams_alive)
        for number in range(3):
            question = {"type": "keep_rtmp_stream_alive", "streamId": "s", "ackId": str(number)}
            caller.say(question)
            ack = await caller.hear()
            assert ack == {"type": "keep_alive_ack", "streamId": "s", "ackId": str(number)}
        nursery.cancel_scope.cancel("test over")


async def test_a_photo_is_uploaded_to_the_app(rig: Rig, autojump_clock: MockClock) -> None:
    app_side, session = await rig.session()
    photos: list[Photo] = []

    async def ask() -> None:
        photos.append(await session.camera.request_photo())

    rig.nursery.start_soon(ask)
    request_id = (await app_side.hear())["requestId"]
    async with attached(rig.cloud) as (caller, glasses):
        url = "http://app:80/photo-upload"
        request = {"type": "photo_request", "requestId": request_id, "appId": "com.t.a"}
        caller.say({**request, "webhookUrl": url, "saveToGallery": True})
        asked = await glasses.next(to_glasses.PhotoRequest)
        answer = await glasses.answer.photo(asked, b"\x89PNG\r\n", mime_type="image/png")
        assert answer.ok
        assert await caller.hear() == {
            "type": "photo_response",
            "requestId": request_id,
            "success": True,
            "savedToGallery": True,
        }
        await wait_all_tasks_blocked()
        [photo] = photos
        assert (photo.data, photo.mime_type) == (b"\x89PNG\r\n", "image/png")
        again = await glasses.answer.photo(asked, b"\x89PNG\r\n")
        assert again.status == 404
        assert (await caller.hear())["error"]["code"] == "UPLOAD_FAILED"
    app_side.leave()


@pytest.mark.parametrize("url", ["http://nobody/photo-upload", None])
async def test_a_photo_that_cannot_be_uploaded_is_told(
    url: str | None, cloud: StubCloud, autojump_clock: MockClock
) -> None:
    async with attached(cloud) as (caller, glasses):
        request = to_glasses.PhotoRequest(request_id="r", app_id="a", webhook_url=url)
        with pytest.raises(RequestFailed) as failed:
            await glasses.answer.photo(request, b"x")
        assert failed.value.code == "UNREACHABLE"
        assert (await caller.hear())["error"]["code"] == "UPLOAD_FAILED"


async def test_the_token_of_an_upload_is_passed_on(
    cloud: StubCloud, autojump_clock: MockClock
) -> None:
    cloud.routes["POST", "/up"] = (200, {})
    async with attached(cloud) as (_, glasses):
        request = to_glasses.PhotoRequest(
            request_id="r", app_id="a", webhook_url="http://cloud:8002/up", auth_token="t"
        )
        assert (await glasses.answer.photo(request, b"x")).ok
    assert cloud.asked[0].headers["authorization"] == "Bearer t"


async def test_what_the_phone_says_and_asks_over_http(
    cloud: StubCloud, autojump_clock: MockClock
) -> None:
    applied = {"modelName": "Mentra Live", "isGlassesConnected": True}
    cloud.routes["POST", STATE] = (200, {"success": True, "appliedState": applied})
    cloud.routes["GET", SETTINGS] = (200, {"success": True, "data": {"brightness": 50}})
    cloud.routes["POST", SETTINGS] = (200, {"success": True, "data": {"brightness": 60}})
    async with attached(cloud) as (_, glasses):
        assert await glasses.device_state(modelName="Mentra Live") == applied
        assert await glasses.settings() == {"brightness": 50}
        assert await glasses.change_settings(brightness=60) == {"brightness": 60}
        cloud.routes.clear()
        with pytest.raises(RequestFailed) as failed:
            await glasses.settings()
        assert failed.value.code == "HTTP_404"
    first, _, third, _ = cloud.asked
    assert first.json() == {"modelName": "Mentra Live"}
    assert first.headers["authorization"] == "Bearer token"
    assert third.json() == {"brightness": 60}
