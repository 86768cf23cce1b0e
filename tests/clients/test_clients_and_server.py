"""The Python clients and the real server, as authors of apps use them together."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest
import trio
from tour import ADA, BEN, GUEST, TOURIST, Tour, open_tour
from trio.testing import MockClock

from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.http_calls import call_http
from mentra_trio.clients.inbox import Inbox
from mentra_trio.clients.questions import RequestFailed
from mentra_trio.clients.tools import ToolCall, ToolFailed
from mentra_trio.wire import to_glasses
from mentra_trio.wire.from_app import RestreamDestination

AT_ONCE_S = 0.05
"""What cannot be done is told within so many seconds."""
URL = "rtmp://video.example/live/key"


@pytest.fixture
async def tour(autojump_clock: MockClock) -> AsyncGenerator[Tour]:
    async with open_tour() as opened:
        yield opened


async def refused(asking: Any) -> RequestFailed:
    """How ``asking`` fails, which it must do at once."""
    with pytest.raises(RequestFailed) as failed, trio.fail_after(AT_ONCE_S):
        await asking
    return failed.value


# -- the camera ------------------------------------------------------------------------


async def test_a_photo_fails_at_once_where_the_phone_says_so(tour: Tour) -> None:
    failure = tour.failing(tour.session.camera.request_photo)
    request = await tour.glasses.next(to_glasses.PhotoRequest)
    await tour.glasses.answer.photo_failed(request, "CAMERA_BUSY", "the camera is busy")
    failed = await failure.take()
    assert (failed.code, str(failed)) == ("CAMERA_BUSY", "phone: the camera is busy")


async def test_a_photo_survives_a_lost_link(tour: Tour) -> None:
    photo = tour.asking(tour.session.camera.request_photo)
    request = await tour.glasses.next(to_glasses.PhotoRequest)
    tour.session.cut()
    await trio.sleep(0.5)
    assert (await tour.glasses.answer.photo(request, b"jpeg")).ok
    assert (await photo.take()).data == b"jpeg"


async def test_what_needs_the_camera_fails_at_once_without_the_permission(tour: Tour) -> None:
    session = await tour.guest_session()
    failed = await refused(session.camera.request_photo())
    assert (failed.code, failed.hop) == ("PERMISSION_DENIED", "app")
    for start in (session.streams.start_managed(), session.streams.start_rtmp(URL)):
        failed = await refused(start)
        assert (failed.code, failed.hop) == ("STREAM_FAILED", "app")


async def test_what_needs_a_camera_fails_at_once_where_there_is_none(tour: Tour) -> None:
    await tour.glasses.connection_state("Even Realities G1")
    await tour.glasses.next(to_glasses.AppStateChange)
    failed = await refused(tour.session.camera.request_photo())
    assert (failed.code, failed.hop) == ("CAMERA_INIT_FAILED", "glasses")
    assert (await refused(tour.session.streams.start_rtmp(URL))).hop == "glasses"


async def test_a_photo_for_another_server_is_brought_there(tour: Tour) -> None:
    url = f"http://{GUEST}:80/photo-upload"
    assert await tour.session.camera.send_photo_to(url, auth_token="secret")
    request = await tour.glasses.next(to_glasses.PhotoRequest)
    assert (request.webhook_url, request.auth_token) == (url, "secret")
    answer = await tour.glasses.answer.photo(request, b"jpeg")
    assert answer.status == 404  # it was reached, and knows nothing of it


async def test_a_stream_that_is_begun_anew_replaces_the_one_before(tour: Tour) -> None:
    streams, glasses = tour.session.streams, tour.glasses
    ids = []
    for _ in range(2):
        started = tour.asking(lambda: streams.start_rtmp(URL))
        request = await glasses.next(to_glasses.StartRtmpStream)
        await glasses.stream_status("streaming", stream_id=request.stream_id)
        ids.append(await started.take())
    assert len(set(ids)) == 2
    assert (await glasses.next(to_glasses.StopRtmpStream)).stream_id == ids[0]
    found = await streams.check()
    assert found is not None and found.stream_id == ids[1]
    assert found.rtmp_url == URL


async def test_a_stream_can_begin_after_one_that_was_stopped(tour: Tour) -> None:
    streams, glasses = tour.session.streams, tour.glasses
    for _ in range(2):
        started = tour.asking(lambda: streams.start_rtmp(URL))
        request = await glasses.next(to_glasses.StartRtmpStream)
        await glasses.stream_status("active", stream_id=request.stream_id)
        await started.take()
        await streams.stop_rtmp()
        assert (await glasses.next(to_glasses.StopRtmpStream)).stream_id == request.stream_id
    assert await streams.check() is None


async def test_a_stream_that_does_not_come_to_run_says_why(tour: Tour) -> None:
    for _ in range(2):
        failure = tour.failing(lambda: tour.session.streams.start_rtmp(URL))
        request = await tour.glasses.next(to_glasses.StartRtmpStream)
        await tour.glasses.stream_status("error", stream_id=request.stream_id, error="too hot")
        failed = await failure.take()
        assert (failed.code, str(failed)) == ("STREAM_FAILED", "phone: too hot")


async def test_streams_of_two_kinds_exclude_each_other(tour: Tour) -> None:
    stream = await tour.session.streams.start_managed()
    assert (await refused(tour.session.streams.start_rtmp(URL))).hop == "app"
    again = await tour.session.streams.start_managed()
    assert again == stream
    await tour.session.streams.stop_managed()
    started = tour.asking(lambda: tour.session.streams.start_rtmp(URL))
    await tour.glasses.next(to_glasses.StartRtmpStream)
    request = await tour.glasses.next(to_glasses.StartRtmpStream)
    await tour.glasses.stream_status("active", stream_id=request.stream_id)
    await started.take()
    assert (await refused(tour.session.streams.start_managed())).hop == "app"


async def test_a_managed_stream_is_sent_on(tour: Tour) -> None:
    news: Inbox[Any] = Inbox()
    tour.session.streams.on_managed_status(news.put)
    place = RestreamDestination(url="rtmp://elsewhere.example/live/key", name="elsewhere")
    await tour.session.streams.start_managed(restream_to=[place])
    told = await news.take(lambda one: one.status == "active")
    (output,) = told.outputs
    assert (output.url, output.name) == (place.url, "elsewhere")
    assert tour.streams.ingests[0].sending == [place.url]


async def test_a_managed_stream_that_the_engine_refuses_fails_at_once(tour: Tour) -> None:
    tour.streams.refusal = "cloud: no place left"
    assert str(await refused(tour.session.streams.start_managed())) == "cloud: no place left"


# -- sound, light, place ---------------------------------------------------------------


async def test_speech_can_be_fetched_by_the_phone(tour: Tour) -> None:
    spoken = tour.asking(lambda: tour.session.audio.speak("Bon appétit & more", voice="anna"))
    request = await tour.glasses.next(to_glasses.AudioPlayRequest)
    assert request.track_id == 2
    answer = await call_http("GET", request.audio_url, dial=tour.glasses.door.dial)
    assert answer.ok and answer.body
    (asked,) = tour.voice.asked
    assert (asked.text, asked.voice) == ("Bon appétit & more", "anna")
    await tour.glasses.answer.audio(request, duration=1.5)
    assert (await spoken.take()).duration == 1.5


async def test_a_sound_that_cannot_be_played_says_why(tour: Tour) -> None:
    failure = tour.failing(lambda: tour.session.audio.play("http://sounds.example/a.mp3"))
    request = await tour.glasses.next(to_glasses.AudioPlayRequest)
    await tour.glasses.answer.audio(request, error="phone: no such file")
    assert str(await failure.take()) == "phone: no such file"


async def test_glasses_without_a_light_say_so(tour: Tour) -> None:
    await tour.glasses.connection_state("Even Realities G1")
    await tour.glasses.next(to_glasses.AppStateChange)
    answers: Inbox[Any] = Inbox()
    tour.session.leds.on_response(answers.put)
    assert await tour.session.leds.turn_on("red")
    answer = await answers.take()
    assert not answer.success
    assert answer.error.startswith("glasses:")


async def test_a_place_is_known_for_a_while(tour: Tour) -> None:
    await tour.glasses.location(52.5, 13.4, accuracy=5.0)
    await trio.sleep(1)
    found = await tour.session.location.latest("standard")
    assert (found.lat, found.lng, found.accuracy) == (52.5, 13.4, 5.0)


async def test_a_place_without_the_permission_is_refused_at_once(tour: Tour) -> None:
    session = await tour.guest_session()
    failed = await refused(session.location.latest())
    assert (failed.code, failed.hop) == ("PERMISSION_DENIED", "app")


# -- what is kept -----------------------------------------------------------------------


async def test_what_is_stored_is_there_in_the_next_session(tour: Tour) -> None:
    odd = "a/b c%2F?é"
    await tour.session.storage.set_many({odd: "1", "k": "2"})
    await tour.world.server.stop_app(ADA, TOURIST)
    await tour.start(ADA, TOURIST)
    session = await tour.tourist.server.next_session()
    assert session is not tour.session
    assert await session.storage.all() == {odd: "1", "k": "2"}
    assert await session.storage.delete(odd)
    assert not await session.storage.delete(odd)
    assert await tour.bens.storage.all() == {}
    await session.storage.clear()
    assert await session.storage.get("k", "none") == "none"


async def test_what_is_too_much_to_store_is_refused(tour: Tour) -> None:
    storage = tour.session.storage
    with pytest.raises(RequestFailed) as failed:
        await storage.set("k", "x" * 100_001)
    assert failed.value.code == "BAD_REQUEST"
    with pytest.raises(RequestFailed) as failed:
        await storage.set_many({f"k{number}": "x" * 100_000 for number in range(11)})
    assert failed.value.code == "TOO_LARGE"
    assert await storage.all() == {}
    with pytest.raises(RequestFailed) as failed:
        for _ in range(101):
            await storage.set("k", "v")
    assert failed.value.code == "TOO_MANY_REQUESTS"


# -- settings and tools ------------------------------------------------------------------


async def test_a_setting_is_told_once(tour: Tour) -> None:
    told: list[Any] = []
    tour.session.on_setting("size", told.append)
    for value in ("large", "large", "medium"):
        body = [{"key": "size", "value": value}]
        await tour.glasses.door.call("POST", f"/appsettings/{TOURIST}", body)
    await trio.sleep(1)
    assert told == ["large", "medium"]


async def test_a_setting_of_the_user_is_told_once(tour: Tour) -> None:
    told: list[Any] = []
    tour.session.on_mentraos_setting("brightness", told.append)
    assert (await tour.glasses.settings())["brightness"] != 7
    assert (await tour.glasses.change_settings(brightness=7))["brightness"] == 7
    await trio.sleep(1)
    assert told == [7]
    assert tour.session.mentraos_settings["brightness"] == 7


async def test_what_is_known_of_the_glasses(tour: Tour) -> None:
    applied = await tour.glasses.device_state(modelName="Mentra Live", batteryLevel=80)
    assert applied["modelName"] == "Mentra Live"
    await trio.sleep(1)
    assert tour.session.device_state["batteryLevel"] == 80
    assert tour.session.capabilities is not None
    assert tour.session.capabilities["hasCamera"]


async def call_tool(tour: Tour, tool: str, user: str = ADA) -> Any:
    body = {"toolId": tool, "userId": user, "toolParameters": {"what": "tea"}}
    return await tour.glasses.door.call("POST", f"/api/tools/apps/{TOURIST}/tool", body)


async def test_a_tool_is_called_with_the_session_and_without_one(tour: Tour) -> None:
    calls: list[ToolCall] = []

    @tour.app.on_tool
    async def tool(call: ToolCall) -> str | None:
        calls.append(call)
        if call.tool_id == "no":
            raise ToolFailed("there is no such tool")
        return f"{call.tool_id} {call.parameters['what']}"

    await tour.restart_tourist()
    assert await call_tool(tour, "make") == {"status": "success", "reply": "make tea"}
    session = await tour.tourist_session()
    assert (await call_tool(tour, "make"))["reply"] == "make tea"
    assert [call.session for call in calls] == [None, session]
    with pytest.raises(RequestFailed, match="there is no such tool"):
        await call_tool(tour, "no")


# -- others ------------------------------------------------------------------------------


async def test_who_is_there(tour: Tour) -> None:
    (other,) = await tour.session.messages.discover(profiles=True)
    assert other.user_id == BEN
    await tour.world.server.stop_app(BEN, TOURIST)
    assert await tour.session.messages.discover() == []
    failed = await refused(tour.session.messages.send(BEN, "hello"))
    assert failed.hop == "app"


async def test_two_rooms_are_joined_at_the_same_time(tour: Tour) -> None:
    await tour.bens.messages.join("small", max_users=1)
    for _ in range(8):  # either may be asked for first
        big = tour.asking(lambda: tour.session.messages.join("big", metadata={"topic": "tea"}))
        small = tour.failing(lambda: tour.session.messages.join("small"))
        assert (await big.take()).metadata == {"topic": "tea"}
        assert (await small.take()).code == "ROOM_FULL"
        await tour.session.messages.leave("big")


@pytest.mark.parametrize("order", [("full", "open"), ("open", "full")])
async def test_a_denial_is_of_the_room_that_is_full(tour: Tour, order: tuple[str, str]) -> None:
    await tour.bens.messages.join("full", max_users=1)
    results: dict[str, object] = {}

    async def join(room: str) -> None:
        try:
            results[room] = (await tour.session.messages.join(room)).member_count
        except RequestFailed as failed:
            results[room] = failed.code

    async with trio.open_nursery() as nursery:
        nursery.start_soon(join, order[0])
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(join, order[1])
    assert results == {"full": "ROOM_FULL", "open": 1}


async def test_a_message_finds_an_app_that_is_away_for_a_moment(tour: Tour) -> None:
    received: Inbox[Any] = Inbox()
    tour.bens.messages.on_message(received.put)
    tour.bens.cut()
    await tour.session.messages.send(BEN, {"for": "later"})
    assert (await received.take()).payload == {"for": "later"}


async def test_a_session_is_told_why_it_ends(tour: Tour) -> None:
    session: AppSession = await tour.guest_session()
    await tour.glasses.stop_app(GUEST)
    await session.ended.wait()
    assert session.end_reason.peek() == "user_disabled"
