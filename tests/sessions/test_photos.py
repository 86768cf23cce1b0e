"""Photos: the phone is asked, and the app hears at once, by the way it listens to, of a failure."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.errors import StoreFailed, WebhookFailed, WebhookFailure
from mentra_trio.domain.facts import FrameDropped, FrameIgnored, PhotoEnded
from mentra_trio.domain.timings import (
    PHOTO_ERRORS_UNDER_WAY,
    PHOTO_S,
    PHOTOS_UNDER_WAY,
    Lifecycle,
)
from mentra_trio.sessions.photos import Photos
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import APP, USER, Household, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.schedule import seeded_schedule
from mentra_trio.wire.from_glasses import PhotoResponse

OTHER = "com.t.b"
REST_OF_THE_LIMIT = 30.0  # of the SDK


def asked(request: str = "r1", **fields: Any) -> dict[str, Any]:
    return {"type": "photo_request", "requestId": request, **fields}


def answered(request: str = "r1", **fields: Any) -> dict[str, Any]:
    return {"type": "photo_response", "requestId": request, **fields}


def connected(model: str = "Mentra Live", status: str = "CONNECTED") -> dict[str, Any]:
    return {"type": "glasses_connection_state", "modelName": model, "status": status}


async def error_of(house: Household) -> dict[str, Any]:
    call = await house.webhooks.next_post()
    assert (call.url, call.path) == (f"http://{APP}.test", "/photo-upload")
    assert (call.body["type"], call.body["success"]) == ("photo_error", False)
    return dict(call.body)


async def test_the_phone_is_asked(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(asked(saveToGallery=True, authToken="secret", size="full", compress="heavy"))
        request = await glasses.expect("photo_request")
        del request["timestamp"]
        assert request == {
            "type": "photo_request",
            "sessionId": USER,
            "requestId": "r1",
            "appId": APP,
            "webhookUrl": f"http://{APP}.test/photo-upload",
            "authToken": "secret",
            "size": "full",
            "compress": "heavy",
            "saveToGallery": True,
        }
        glasses.say(answered(success=True))
        await trio.sleep(REST_OF_THE_LIMIT)
        assert house.webhooks.posts == [], "the picture went straight to the app's server"
        (ended,) = house.telemetry.of(PhotoEnded)
        assert ended.problem == ""
        assert app.is_open


async def test_what_is_not_said_has_a_default(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(asked())
        request = await glasses.expect("photo_request")
        assert (request["size"], request["compress"]) == ("medium", "none")
        assert request["saveToGallery"] is False
        assert "authToken" not in request


async def test_it_goes_where_the_server_is_now(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        registration = await house.store.app(APP)
        assert registration is not None
        await house.catalog.add(APP, url="http://moved.test/", permissions=["ALL"])
        app.say(asked())
        request = await glasses.expect("photo_request")
        assert request["webhookUrl"] == "http://moved.test/photo-upload"


class Forgetful(MemoryStore):
    """A store that fails once an app runs."""

    broken = False

    async def app(self, package: Any) -> Any:
        if self.broken:
            raise StoreFailed("gone")
        return await super().app(package)


async def test_without_the_store_the_url_that_was_known_will_do(autojump_clock: MockClock) -> None:
    store = Forgetful()
    async with open_one_app(store=store) as (_house, glasses, app):
        store.broken = True
        app.say(asked())
        request = await glasses.expect("photo_request")
        assert request["webhookUrl"] == f"http://{APP}.test/photo-upload"


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (
            {"success": False, "error": {"code": "CAMERA_BUSY", "message": "in use"}},
            "CAMERA_BUSY",
            "phone: in use",
        ),
        ({"success": False, "errorCode": "X", "errorMessage": "no"}, "X", "phone: no"),
        ({"success": False, "error": "broken"}, "UNKNOWN_ERROR", "phone: broken"),
        ({"success": False}, "UNKNOWN_ERROR", "phone: it gave no reason"),
    ],
)
async def test_a_failure_of_the_phone_is_told_in_its_words(
    answer: dict[str, Any], code: str, text: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(asked())
        await glasses.expect("photo_request")
        began = trio.current_time()
        glasses.say(answered(**answer))
        error = await error_of(house)
        assert (error["requestId"], error["errorCode"], error["errorMessage"]) == ("r1", code, text)
        assert trio.current_time() == began
        await trio.sleep(REST_OF_THE_LIMIT)
        assert len(house.webhooks.posts) == 1, "once is enough"
        assert app.is_open


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        (connected(status="DISCONNECTED"), "PHONE_GLASSES_NOT_CONNECTED", "glasses: not connected"),
        (connected("Even Realities G1"), "CAMERA_INIT_FAILED", "glasses: Even Realities G1 has no"),
    ],
)
async def test_what_cannot_work_fails_in_the_same_moment(
    said: dict[str, Any], code: str, text: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        glasses.say(said)
        await wait_all_tasks_blocked()
        began = trio.current_time()
        app.say(asked())
        error = await error_of(house)
        assert error["errorCode"] == code
        assert error["errorMessage"].startswith(text)
        assert trio.current_time() == began
        assert not glasses.of_type("photo_request")
        assert app.is_open


async def test_without_a_phone_it_fails_in_the_same_moment(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        glasses.cut()
        await wait_all_tasks_blocked()
        app.say(asked())
        with trio.fail_after(0.05):
            error = await error_of(house)
        assert error["errorCode"] == "PHONE_GLASSES_NOT_CONNECTED"
        assert error["errorMessage"] == "phone: not connected"
        assert app.is_open


async def test_simulated_glasses_need_not_be_connected(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        glasses.say(connected("Simulated Glasses", "DISCONNECTED"))
        await wait_all_tasks_blocked()
        app.say(asked())
        await glasses.expect("photo_request", within=0.05)


async def test_an_app_without_permission_is_told_twice(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.add_app(permissions=["MICROPHONE"])
        glasses = await house.attached_glasses()
        app = await house.running_app()
        app.say(asked())
        error = await error_of(house)
        assert error["errorCode"] == "PERMISSION_DENIED"
        told = await app.expect("permission_error")
        (detail,) = told["details"]
        assert detail["stream"] == "photo_request"
        assert detail["requiredPermission"] == "CAMERA"
        assert not glasses.of_type("photo_request")
        assert app.is_open


async def test_a_phone_that_says_nothing_is_late(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        began = trio.current_time()
        app.say(asked())
        await glasses.expect("photo_request")
        error = await error_of(house)
        assert trio.current_time() - began == pytest.approx(PHOTO_S)
        assert error["errorCode"] == "PHONE_TIMEOUT"
        glasses.say(answered(success=False, error="too late"))
        await trio.sleep(1)
        assert len(house.webhooks.posts) == 1
        (ignored,) = house.telemetry.of(FrameIgnored)
        assert "nobody waits" in ignored.problem


@pytest.mark.parametrize("order", range(4))
async def test_the_answer_may_come_in_the_moment_of_the_limit(
    order: int, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        with seeded_schedule(order):
            app.say(*(asked(f"r{number}") for number in range(PHOTOS_UNDER_WAY)))
            for _ in range(PHOTOS_UNDER_WAY):
                await glasses.expect("photo_request")
            photos = house.directory.live(USER).desk.part(Photos)
            await trio.sleep(PHOTO_S)
            for number in range(PHOTOS_UNDER_WAY):
                photos.photo_response(PhotoResponse(request_id=f"r{number}", success=False))
            await trio.sleep(1)
        told = sorted(call.body["requestId"] for call in house.webhooks.posts)
        assert told == [f"r{number}" for number in range(PHOTOS_UNDER_WAY)], "each once"


async def test_a_lost_phone_may_still_upload_it(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(asked(), asked("r2"))
        await glasses.expect("photo_request")
        await glasses.expect("photo_request")
        glasses.cut()
        await trio.sleep(10)
        assert house.webhooks.posts == [], "the upload does not go through its WebSocket"
        back = await house.attached_glasses()
        assert not back.of_type("photo_request"), "it was asked already"
        back.say(answered(success=True))
        await wait_all_tasks_blocked()
        back.cut()
        error = await error_of(house)
        assert error["requestId"] == "r2"
        assert "its connection is lost" in error["errorMessage"]


async def test_it_outlives_the_link_of_its_app(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(asked())
        await glasses.expect("photo_request")
        app.cut()
        await trio.sleep(1)
        glasses.say(answered(success=False, error="dark"))
        assert (await error_of(house))["errorMessage"] == "phone: dark"


async def test_nobody_waits_for_a_photo_that_goes_elsewhere(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(asked(customWebhookUrl="https://elsewhere.test/in"))
        request = await glasses.expect("photo_request")
        assert request["webhookUrl"] == "https://elsewhere.test/in"
        glasses.say(answered(success=False, error="dark"))
        app.say(asked("r2", customWebhookUrl="https://elsewhere.test/in"))
        await trio.sleep(REST_OF_THE_LIMIT)
        assert house.webhooks.posts == []
        problems = [ended.problem for ended in house.telemetry.of(PhotoEnded)]
        assert problems == ["UNKNOWN_ERROR", "PHONE_TIMEOUT"]


async def test_an_app_that_was_stopped_waits_for_nothing(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(asked())
        await glasses.expect("photo_request")
        await house.directory.stop_app(USER, APP)
        glasses.say(answered(success=False))
        await trio.sleep(REST_OF_THE_LIMIT)
        assert house.webhooks.posts == []


async def test_after_the_session_nothing_is_waited_for(autojump_clock: MockClock) -> None:
    async with open_one_app(lifecycle=Lifecycle(user_grace_s=5)) as (house, glasses, app):
        app.say(asked())
        await glasses.expect("photo_request")
        glasses.cut()
        await trio.sleep(REST_OF_THE_LIMIT)
        assert house.directory.users() == []
        assert house.webhooks.posts == []


async def test_an_app_has_a_few_at_a_time(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(*(asked(f"r{number}") for number in range(PHOTOS_UNDER_WAY + 1)))
        error = await error_of(house)
        assert error["requestId"] == f"r{PHOTOS_UNDER_WAY}"
        assert error["errorCode"] == "CAMERA_BUSY"
        assert len(glasses.of_type("photo_request")) == PHOTOS_UNDER_WAY
        glasses.say(answered("r0", success=True))
        await wait_all_tasks_blocked()
        app.say(asked("another"))
        await trio.sleep(1)
        assert glasses.of_type("photo_request")[-1]["requestId"] == "another"


async def test_the_same_id_again_is_the_same_photo(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(asked(), asked())
        await wait_all_tasks_blocked()
        assert len(glasses.of_type("photo_request")) == 1
        assert len(house.telemetry.of(FrameIgnored)) == 1


async def two_apps(house: Household) -> tuple[MemoryLink, MemoryLink, MemoryLink]:
    await house.add_app()
    other = await house.add_app(OTHER, kind="background")
    glasses = await house.attached_glasses()
    return glasses, await house.running_app(), await house.running_app(package=other)


async def test_the_id_of_another_app_cannot_be_taken(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app, other = await two_apps(house)
        app.say(asked())
        await glasses.expect("photo_request")
        other.say(asked())
        call = await house.webhooks.next_post()
        assert call.url == f"http://{OTHER}.test"
        assert call.body["errorMessage"] == "app: the id of this photo is in use"
        glasses.say(answered(success=False, error="dark"))
        assert (await error_of(house))["errorMessage"] == "phone: dark"


async def test_the_answer_is_for_its_app_alone(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app, other = await two_apps(house)
        for link in (app, other):
            link.say({"type": "subscription_update", "subscriptions": ["photo_response"]})
        app.say(asked())
        await glasses.expect("photo_request")
        glasses.say(answered(success=True, photoUrl="https://p.test/1"))
        event = await app.expect("data_stream")
        assert event["data"]["photoUrl"] == "https://p.test/1"
        await wait_all_tasks_blocked()
        assert not other.of_type("data_stream")
        assert not app.of_type("photo_response"), "SDK 2.1.29 warns of it"


async def test_a_flood_of_failures_is_bounded(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        house.webhooks.post_after = 5.0
        glasses.cut()
        await wait_all_tasks_blocked()
        app.say(*(asked(f"r{number}") for number in range(PHOTO_ERRORS_UNDER_WAY + 3)))
        await trio.sleep(1)
        assert len(house.webhooks.posts) == PHOTO_ERRORS_UNDER_WAY
        assert len(house.telemetry.of(FrameDropped)) == 3
        await trio.sleep(5)
        app.say(asked("later"))
        await trio.sleep(1)
        assert house.webhooks.posts[-1].body["requestId"] == "later"


async def test_a_server_that_cannot_be_told_hurts_nobody(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        house.webhooks.post_failure = WebhookFailed(
            WebhookFailure.REFUSED, "com.t.a is away", delivered=False
        )
        app.say(asked())
        await glasses.expect("photo_request")
        glasses.say(answered(success=False))
        await house.webhooks.next_post()
        await wait_all_tasks_blocked()
        (dropped,) = house.telemetry.of(FrameDropped)
        assert "could not be told" in dropped.reason
        assert app.is_open


async def test_a_server_that_does_not_answer_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        house.webhooks.post_after = 1_000.0
        glasses.cut()
        await wait_all_tasks_blocked()
        photos = house.directory.live(USER).desk.part(Photos)
        app.say(asked())
        await trio.sleep(1)
        assert photos._telling[APP] == 1
        await trio.sleep(10)
        assert photos._telling[APP] == 0


async def test_a_photo_that_nobody_asked_for_is_relayed(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say({"type": "subscription_update", "subscriptions": ["photo_taken"]})
        await wait_all_tasks_blocked()
        glasses.say({"type": "photo_taken", "photoData": "AAAA", "mimeType": "image/jpeg"})
        event = await app.expect("data_stream")
        assert event["streamType"] == "photo_taken"
        assert event["data"]["photoData"] == "AAAA"


async def test_the_button_takes_a_photo_unless_an_app_wants_it(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        photos = house.directory.live(USER).desk.part(Photos)
        first = photos.button_pressed()
        assert first is not None
        assert first.startswith("photo_req_")
        assert photos.button_pressed() != first
        app.say({"type": "subscription_update", "subscriptions": ["button_press"]})
        await wait_all_tasks_blocked()
        assert photos.button_pressed() is None
        app.cut()
        await wait_all_tasks_blocked()
        assert photos.button_pressed() is None, "it is expected back, and wants it still"
        await house.directory.stop_app(USER, APP)
        assert photos.button_pressed() is not None
        glasses.say(connected("Vuzix Z100"))
        await wait_all_tasks_blocked()
        assert photos.button_pressed() is None, "there is no camera"
