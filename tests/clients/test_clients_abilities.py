"""What an app on the Python client can ask for, against a scripted server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from app_rig import Rig, stream
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.audio_out import Played
from mentra_trio.clients.camera import Photo
from mentra_trio.clients.live_streams import ManagedStream
from mentra_trio.clients.multipart import FormPart, write_form
from mentra_trio.clients.questions import WAITING_MAX, RequestFailed
from mentra_trio.wire.from_app import RestreamDestination
from mentra_trio.wire.parts import AudioConfig, VideoConfig

Asking = Callable[[AppSession], Awaitable[object]]


class Answer:
    """What has come of something that was asked for in a task of its own."""

    value: Any = None
    failure: RequestFailed | None = None
    over = False

    async def of(self, asking: Awaitable[object]) -> None:
        try:
            self.value = await asking
        except RequestFailed as failure:
            self.failure = failure
        self.over = True


async def asked(rig: Rig, session: AppSession, asking: Asking) -> Answer:
    """Ask in a task of its own, and let it get as far as it gets."""
    answer = Answer()
    rig.nursery.start_soon(answer.of, asking(session))
    await wait_all_tasks_blocked()
    return answer


def upload(request_id: str, data: bytes = b"\xff\xd8jpeg", **more: str) -> tuple[bytes, str]:
    texts = {"requestId": request_id, "type": "photo_upload", "success": "true", **more}
    fields = [FormPart(name=name, data=text.encode()) for name, text in texts.items()]
    photo = FormPart(name="photo", data=data, filename="p.jpg", mime_type="image/jpeg")
    content_type, body = write_form(*fields, photo)
    return body, content_type


# -- photos ---------------------------------------------------------------------------


async def test_a_photo_comes_by_upload(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, lambda s: s.camera.request_photo(size="large"))
    request = await caller.hear()
    request_id = request.pop("requestId")
    assert request == {
        "type": "photo_request",
        "packageName": "com.t.a",
        "sessionId": session.session_id,
        "size": "large",
        "compress": "none",
        "saveToGallery": False,
    }
    status, told = await rig.cloud.post("app", "/photo-upload", *upload(request_id))
    assert (status, told["success"], told["requestId"]) == (200, True, request_id)
    await wait_all_tasks_blocked()
    assert answer.value == Photo(
        request_id=request_id, data=b"\xff\xd8jpeg", mime_type="image/jpeg", filename="p.jpg"
    )
    assert (await rig.cloud.post("app", "/photo-upload", *upload(request_id)))[0] == 404
    caller.leave()


@pytest.mark.parametrize("how", ["json", "form", "response", "old response"])
async def test_a_photo_that_fails_says_why(how: str, rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, lambda s: s.camera.request_photo())
    request_id = (await caller.hear())["requestId"]
    code, text = "CAMERA_BUSY", "glasses: the camera is busy"
    flat = {"requestId": request_id, "errorCode": code, "errorMessage": text}
    match how:
        case "json":
            body = {**flat, "type": "photo_error", "success": False}
            assert (await rig.cloud.post("app", "/photo-upload", body))[0] == 200
        case "form":
            failed = upload(request_id, success="false", errorCode=code, errorMessage=text)
            assert (await rig.cloud.post("app", "/photo-upload", *failed))[0] == 200
        case "response":
            error = {"code": code, "message": text}
            response = {"type": "photo_response", "requestId": request_id, "success": False}
            caller.say({**response, "error": error})
        case _:
            caller.say({**flat, "type": "photo_response", "success": False})
    await trio.sleep(0.1)
    assert answer.failure is not None
    assert (answer.failure.code, str(answer.failure)) == (code, text)
    assert answer.failure.hop == "glasses"
    caller.leave()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{}", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"requestId":"r"}', "application/json", 400),
        (*upload(""), 400),
        (*upload("nobody waits"), 404),
        (*write_form(FormPart(name="requestId", data=b"r"))[::-1], 400),
        (
            *write_form(
                FormPart(name="requestId", data=b"r"),
                FormPart(name="photo", data=b"x", filename="x.txt"),
            )[::-1],
            400,
        ),
        (*upload("r", b"x" * (10 * 1_024 * 1_024 + 1)), 413),
        (b"x" * 10_600_000, "application/json", 413),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_a_wrong_upload_is_refused(
    body: bytes, content_type: str, status: int, rig: Rig, autojump_clock: MockClock
) -> None:
    answered, told = await rig.cloud.post("app", "/photo-upload", body, content_type)
    assert answered == status
    assert told.get("success", False) is False


async def test_a_photo_for_somebody_else_is_not_awaited(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    assert await session.camera.send_photo_to("https://x.org/up", auth_token="t")
    request = await caller.hear()
    assert (request["customWebhookUrl"], request["authToken"]) == ("https://x.org/up", "t")
    assert len(session.questions) == 0
    caller.leave()


# -- sound, light, wifi ----------------------------------------------------------------


async def test_a_sound_is_played_to_its_end(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, lambda s: s.audio.play("http://a/b.mp3", volume=0.5))
    request = await caller.hear()
    assert request["type"] == "audio_play_request"
    assert request["audioUrl"] == "http://a/b.mp3"
    assert (request["volume"], request["stopOtherAudio"], request["trackId"]) == (0.5, True, 0)
    response = {"type": "audio_play_response", "requestId": request["requestId"]}
    caller.say({**response, "requestId": "another", "success": False})
    caller.say({**response, "success": True, "duration": 2.5})
    await trio.sleep(0.1)
    assert answer.value == Played(duration=2.5)
    assert await session.audio.stop(1)
    stopped = await caller.hear()
    assert (stopped["type"], stopped["trackId"]) == ("audio_stop_request", 1)
    caller.leave()


async def test_a_sound_that_fails_says_why(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, lambda s: s.audio.play("http://a/b.mp3"))
    request = await caller.hear()
    response = {"type": "audio_play_response", "requestId": request["requestId"]}
    caller.say({**response, "success": False, "error": "phone: not connected"})
    await trio.sleep(0.1)
    assert answer.failure is not None
    assert (answer.failure.code, answer.failure.hop) == ("FAILED", "phone")
    caller.leave()


async def test_speech_is_a_sound_that_the_server_makes(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    await asked(
        rig,
        session,
        lambda s: s.audio.speak("Grüß & dich", voice="v", voice_settings={"speed": 1.5}),
    )
    request = await caller.hear()
    assert request["trackId"] == 2
    assert request["audioUrl"] == (
        "http://cloud:8002/s/t1/api/tts?text=Gr%C3%BC%C3%9F+%26+dich&voice_id=v"
        "&voice_settings=%7B%22speed%22%3A1.5%7D"
    )
    caller.leave()


async def test_light_and_wifi(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    heard: list[Any] = []
    session.leds.on_response(lambda response: heard.append(response.error))
    assert await session.leds.turn_on("green", on_ms=200, off_ms=100, count=3)
    on = await caller.hear()
    assert (on["type"], on["action"], on["color"]) == ("rgb_led_control", "on", "green")
    assert (on["ontime"], on["offtime"], on["count"]) == (200, 100, 3)
    response = {"type": "rgb_led_control_response", "requestId": on["requestId"]}
    caller.say({**response, "success": False, "error": "phone: not connected"})
    assert await session.leds.turn_off()
    assert (await caller.hear())["action"] == "off"
    with pytest.raises(ValueError, match="'pink' is not one of red"):
        await session.leds.turn_on("pink")
    assert await session.request_wifi_setup("to stream")
    wifi = await caller.hear()
    assert (wifi["type"], wifi["reason"]) == ("request_wifi_setup", "to stream")
    await wait_all_tasks_blocked()
    assert heard == ["phone: not connected"]
    caller.leave()


# -- streams ----------------------------------------------------------------------------


async def test_a_stream_of_the_apps_own(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    statuses: list[str] = []
    session.streams.on_rtmp_status(lambda status: statuses.append(status.status))
    answer = await asked(
        rig,
        session,
        lambda s: s.streams.start_rtmp(
            "rtmp://x/y",
            video=VideoConfig(width=640),
            audio=AudioConfig(bitrate=1),
            duration_limit_s=60,
        ),
    )
    request = await caller.hear()
    assert (request["type"], request["rtmpUrl"]) == ("rtmp_stream_request", "rtmp://x/y")
    assert (request["video"], request["audio"]) == ({"width": 640}, {"bitrate": 1})
    assert request["stream"] == {"durationLimit": 60}
    status = {"type": "rtmp_stream_status", "streamId": "s1"}
    caller.say({**status, "status": "initializing"})
    await trio.sleep(0.1)
    assert not answer.over
    caller.say({**status, "status": "active"})
    await trio.sleep(0.1)
    assert answer.value == "s1"
    second = await asked(rig, session, lambda s: s.streams.start_rtmp("rtmp://x/z"))
    await caller.hear()
    caller.say({**status, "status": "stopped"}, {**status, "streamId": "s2", "status": "active"})
    await trio.sleep(0.1)
    assert second.value == "s2", "the end of the one before is not the end of this one"
    assert statuses == ["initializing", "active", "stopped", "active"]
    await session.streams.stop_rtmp("s2")
    assert (await caller.hear())["streamId"] == "s2"
    caller.leave()


@pytest.mark.parametrize("status", ["error", "stopped", "timeout"])
async def test_a_stream_that_does_not_come_says_why(
    status: str, rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    own = await asked(rig, session, lambda s: s.streams.start_rtmp("rtmp://x/y"))
    managed = await asked(rig, session, lambda s: s.streams.start_managed())
    text = "glasses: no wifi"
    caller.say({"type": "rtmp_stream_status", "status": "initializing"})
    caller.say({"type": "managed_stream_status", "status": "initializing"})
    caller.say({"type": "rtmp_stream_status", "status": status, "errorDetails": text})
    await trio.sleep(0.1)
    assert own.failure is not None
    assert (own.failure.code, own.failure.hop) == ("STREAM_FAILED", "glasses")
    assert not managed.over
    caller.say({"type": "managed_stream_status", "status": status})
    await trio.sleep(0.1)
    assert managed.failure is not None
    assert managed.failure.message == f"the stream did not come to run: {status}"
    caller.leave()


@pytest.mark.parametrize("known", [True, False], ids=["one that ran", "none that ran"])
@pytest.mark.parametrize("kind", ["rtmp", "managed"])
async def test_the_end_of_what_was_stopped_is_not_that_of_what_is_started(
    kind: str, known: bool, rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    status = {"type": f"{kind}_stream_status", "hlsUrl": "http://h", "dashUrl": "http://d"}
    if known:
        caller.say({**status, "streamId": "s1", "status": "active"})
        await trio.sleep(0.1)
    await (session.streams.stop_rtmp() if kind == "rtmp" else session.streams.stop_managed())

    async def start(session: AppSession) -> None:
        if kind == "rtmp":
            await session.streams.start_rtmp("rtmp://x/y")
        else:
            await session.streams.start_managed()

    answer = await asked(rig, session, start)
    first = {"streamId": "s1"} if known else {}
    caller.say({**status, **first, "status": "stopped"})
    await trio.sleep(0.1)
    assert not answer.over
    caller.say({**status, "streamId": "s2", "status": "initializing"})
    caller.say({**status, "streamId": "s2", "status": "stopped"})
    await trio.sleep(0.1)
    assert answer.failure is not None
    failing = await asked(rig, session, start)
    caller.say({**status, "status": "error"})
    await trio.sleep(0.1)
    assert failing.failure is not None, "one that is refused does not begin"
    caller.leave()


async def test_a_managed_stream_that_is_joined_again_may_fail(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    status = {"type": "managed_stream_status", "streamId": "m"}
    caller.say({**status, "status": "initializing"})
    await trio.sleep(0.1)
    answer = await asked(rig, session, lambda s: s.streams.start_managed())
    caller.say({**status, "status": "initializing"}, {**status, "status": "stopped"})
    await trio.sleep(0.1)
    assert answer.failure is not None
    caller.leave()


async def test_a_managed_stream_is_there_when_it_has_both_urls(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    answers = [
        await asked(
            rig,
            session,
            lambda s: s.streams.start_managed(
                quality="720p", webrtc=True, restream_to=[RestreamDestination(url="rtmp://r/1")]
            ),
        )
        for _ in range(2)
    ]
    request = await caller.hear()
    assert (request["quality"], request["enableWebRTC"]) == ("720p", True)
    assert request["restreamDestinations"] == [{"url": "rtmp://r/1"}]
    status = {"type": "managed_stream_status", "streamId": "m", "hlsUrl": "http://h"}
    caller.say({**status, "status": "initializing", "dashUrl": "http://d"})
    caller.say({**status, "status": "active"})
    await trio.sleep(0.1)
    assert not answers[0].over
    caller.say({**status, "status": "active", "dashUrl": "http://d", "webrtcUrl": "http://w"})
    await trio.sleep(0.1)
    expected = ManagedStream(
        stream_id="m", hls_url="http://h", dash_url="http://d", webrtc_url="http://w"
    )
    assert [answer.value for answer in answers] == [expected] * 2
    await caller.hear()
    await session.streams.stop_managed()
    assert (await caller.hear())["type"] == "managed_stream_stop"
    assert session.streams.managed is not None
    caller.leave()


async def test_whether_there_is_a_stream(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, lambda s: s.streams.check())
    assert (await caller.hear())["type"] == "stream_status_check"
    info = {"type": "managed", "streamId": "m", "status": "active", "createdAt": "2026"}
    response = {"type": "stream_status_check_response", "hasActiveStream": True}
    caller.say({**response, "streamInfo": info})
    await trio.sleep(0.1)
    assert (answer.value.kind, answer.value.stream_id) == ("managed", "m")
    second = await asked(rig, session, lambda s: s.streams.check())
    caller.say({**response, "hasActiveStream": False})
    await trio.sleep(0.1)
    assert second.over
    assert second.value is None
    caller.leave()


# -- location, dashboard, displays -------------------------------------------------------


async def test_one_location_is_that_of_the_question(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, lambda s: s.location.latest("high"))
    request = await caller.hear()
    assert (request["type"], request["accuracy"]) == ("location_poll_request", "high")
    caller.say(
        stream("location_update", lat=0, lng=0),
        stream("location_update", lat=0, lng=0, correlationId="another"),
        stream("location_update", nonsense=True),
        stream("location_update", lat=1.5, lng=2, correlationId=request["correlationId"]),
    )
    await trio.sleep(0.1)
    assert (answer.value.lat, answer.value.lng) == (1.5, 2)
    with pytest.raises(ValueError, match="'exact' is not one of"):
        await session.location.latest("exact")
    caller.leave()


async def test_the_finest_accuracy_is_asked_for(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    heard: list[float] = []
    first = session.location.watch(lambda found: heard.append(found.lat), "kilometer")
    second = session.location.watch(lambda found: heard.append(found.lat), "high")

    async def wanted() -> Any:
        return (await caller.hear())["subscriptions"]

    assert await wanted() == [{"stream": "location_stream", "rate": "high"}]
    assert session.subscriptions == ["location_stream"]
    caller.say(stream("location_stream", lat=3, lng=4))
    await trio.sleep(0.1)
    assert heard == [3, 3]
    second()
    assert await wanted() == [{"stream": "location_stream", "rate": "kilometer"}]
    first()
    assert await wanted() == []
    with pytest.raises(ValueError, match="'exact' is not one of"):
        session.location.watch(heard.append, "exact")  # type: ignore[arg-type]
    assert session.subscriptions == []
    caller.leave()


async def test_words_on_the_dashboard(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    modes: list[str] = []
    session.dashboard.on_mode(modes.append)
    assert session.dashboard.mode == "main"
    assert await session.dashboard.write("3 mails", ["main", "expanded"])
    written = await caller.hear()
    assert (written["content"], written["modes"]) == ("3 mails", ["main", "expanded"])
    assert await session.dashboard.set_mode("expanded")
    assert (await caller.hear())["mode"] == "expanded"
    assert await session.dashboard.write_section("topLeft", "12:00")
    section = await caller.hear()
    assert (section["type"], section["section"]) == ("dashboard_system_update", "topLeft")
    caller.say({"type": "dashboard_mode_changed", "mode": "expanded"})
    await trio.sleep(0.1)
    assert (session.dashboard.mode, modes) == ("expanded", ["expanded"])
    caller.leave()


async def test_every_layout_can_be_drawn(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    await session.show_columns("left", "right", duration_ms=100)
    await session.show_bitmap("Qk0=")
    await session.show_animation(["Qk0=", "Qk1="], interval_ms=200, repeat=True)
    layouts = [(await caller.hear())["layout"] for _ in range(3)]
    assert layouts == [
        {"layoutType": "dashboard_card", "leftText": "left", "rightText": "right"},
        {"layoutType": "bitmap_view", "data": "Qk0="},
        {
            "layoutType": "bitmap_animation",
            "frames": ["Qk0=", "Qk1="],
            "interval": 200,
            "repeat": True,
        },
    ]
    caller.leave()


# -- deadlines and ends -------------------------------------------------------------------

EVERY: dict[str, Asking] = {
    "photo": lambda s: s.camera.request_photo(),
    "audio": lambda s: s.audio.play("http://a"),
    "speech": lambda s: s.audio.speak("a"),
    "rtmp": lambda s: s.streams.start_rtmp("rtmp://a"),
    "managed": lambda s: s.streams.start_managed(),
    "check": lambda s: s.streams.check(),
    "location": lambda s: s.location.latest(),
    "direct": lambda s: s.messages.send("u-2@x.org", 1),
    "room": lambda s: s.messages.join("r"),
}
SECONDS = {
    "photo": 30,
    "audio": 60,
    "speech": 60,
    "rtmp": 30,
    "managed": 30,
    "check": 5,
    "location": 15,
    "direct": 15,
    "room": 15,
}


@pytest.mark.parametrize("name", EVERY)
async def test_what_is_not_answered_is_given_up_in_time(
    name: str, rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    began = trio.current_time()
    with pytest.raises(RequestFailed) as failed:
        await EVERY[name](session)
    assert (failed.value.code, failed.value.hop) == ("TIMEOUT", "cloud")
    assert trio.current_time() - began == pytest.approx(SECONDS[name])
    assert len(session.questions) == 0
    caller.leave()


@pytest.mark.parametrize("name", EVERY)
async def test_without_a_connection_it_fails_at_once(
    name: str, rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    rig.cloud.cut()
    await wait_all_tasks_blocked()
    began = trio.current_time()
    with pytest.raises(RequestFailed) as failed:
        await EVERY[name](session)
    assert (failed.value.code, failed.value.hop) == ("NOT_CONNECTED", "app")
    assert trio.current_time() == began
    caller.leave()


@pytest.mark.parametrize("name", EVERY)
async def test_the_end_of_the_session_ends_the_wait_and_whoever_asks_later(
    name: str, rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, EVERY[name])
    await caller.close(1000, "App stopped")
    await wait_all_tasks_blocked()
    assert answer.failure is not None
    assert answer.failure.code == "SESSION_ENDED"
    assert "App stopped" in str(answer.failure)
    with pytest.raises(RequestFailed) as failed:
        await EVERY[name](session)
    assert failed.value.code == "SESSION_ENDED"


async def test_an_answer_after_a_reconnect_still_counts(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, lambda s: s.audio.play("http://a"))
    request_id = (await caller.hear())["requestId"]
    rig.cloud.cut()
    caller.leave()
    again = await rig.cloud.next()
    await again.greet()
    again.say({"type": "audio_play_response", "requestId": request_id, "success": True})
    await trio.sleep(0.1)
    assert answer.value == Played(duration=None)
    again.leave()


async def test_so_many_may_wait_and_no_more(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    for _ in range(WAITING_MAX):
        rig.nursery.start_soon(Answer().of, session.audio.play("http://a"))
    await wait_all_tasks_blocked()
    with pytest.raises(RequestFailed) as failed:
        await session.audio.play("http://a")
    assert failed.value.code == "TOO_MANY_REQUESTS"
    caller.leave()


async def test_whoever_gives_up_leaves_nothing_behind(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    with trio.move_on_after(1):
        await session.camera.request_photo()
    assert len(session.questions) == 0
    request_id = (await caller.hear())["requestId"]
    assert (await rig.cloud.post("app", "/photo-upload", *upload(request_id)))[0] == 404
    caller.leave()
