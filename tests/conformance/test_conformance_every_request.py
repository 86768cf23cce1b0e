"""Requests to the glasses and to the cloud that an author may take back, and how a session ends."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import httpx
import trio

from .real_app import RealApp, Step, call, handler
from .running_server import RunningServer
from .sockets import open_phone
from .steps import pending, register, start, untouched, wear
from .timeline import eventually

SETTLE_S = 0.4
GONE_S = 10.0
PLAY: Final[Step] = call("audio.playAudio", {"audioUrl": "https://a.test/b.mp3"})
ADDRESS = "rtmp://live.test/app/key"


async def value_of(found: list[Any]) -> list[Any]:
    """What a list holds by now."""
    await trio.lowlevel.checkpoint()
    return found


# -- camera --------------------------------------------------------------------------------


async def test_a_photo_may_be_given_up_and_a_late_one_hurts_nobody(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await wear(phone, "Mentra Live")
    await start(phone, app_a, user)
    ends: list[str] = []
    nursery.start_soon(pending, app_a, user, call("camera.requestPhoto", {}), ends)
    asked = await phone.message("photo_request")
    name = asked["requestId"]
    assert (asked["size"], asked["compress"], asked["saveToGallery"]) == ("medium", "none", False)
    assert await app_a.run(user, call("camera.hasPhotoPendingRequest", name)) is True
    assert await app_a.run(user, call("camera.cancelAllPhotoRequests")) == 0, "2.1.29 does nothing"
    assert await app_a.run(user, call("camera.cancelPhotoRequest", name)) is True
    await eventually(partial(value_of, ends), bool)
    assert "Photo request cancelled" in ends[0]
    assert await app_a.run(user, call("camera.cancelPhotoRequest", name)) is False
    assert await app_a.run(user, call("camera.hasPhotoPendingRequest", name)) is False

    fields = {"requestId": name, "type": "photo_upload", "success": "true"}
    async with httpx.AsyncClient(trust_env=False) as client:
        file = {"photo": ("photo.jpg", b"late", "image/jpeg")}
        answer = await client.post(asked["webhookUrl"], data=fields, files=file)
    assert answer.status_code == 404
    await phone.send("photo_response", requestId=name, success=True)
    await trio.sleep(SETTLE_S)
    assert untouched(app_a, user)


async def test_a_photo_may_go_elsewhere(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await wear(phone, "Mentra Live")
    await start(phone, app_a, user)
    options = {
        "customWebhookUrl": "https://photos.example/in",
        "authToken": "let me in",
        "size": "small",
        "compress": "heavy",
    }
    photo = await app_a.run(user, call("camera.requestPhoto", options))
    assert photo["size"] == 0, "the SDK waits for nothing then"
    asked = await phone.message("photo_request")
    assert asked["webhookUrl"] == options.pop("customWebhookUrl")
    assert {key: asked[key] for key in options} == options
    await phone.send("photo_response", requestId=asked["requestId"], success=False)
    await trio.sleep(SETTLE_S)
    assert untouched(app_a, user)


async def test_a_stream_is_followed_and_ends_with_all_other_requests(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await wear(phone, "Mentra Live", wifi={"connected": True, "ssid": "home"})
    await start(phone, app_a, user)
    assert await app_a.run(user, call("camera.isCurrentlyStreaming")) is False
    options = {
        "video": {"width": 1280, "height": 720, "bitrate": 2_000_000, "frameRate": 30},
        "audio": {"bitrate": 128_000, "sampleRate": 44_100},
        "stream": {"durationLimit": 60},
    }
    await app_a.run(user, call("camera.startStream", {"rtmpUrl": ADDRESS, **options}))
    await app_a.run(user, call("camera.subscribeToStreamStatusUpdates"))
    asked = await phone.message("start_rtmp_stream")
    assert asked["rtmpUrl"] == ADDRESS
    assert {key: asked[key] for key in options} == options
    name = asked["streamId"]
    await phone.send("rtmp_stream_status", streamId=name, status="active", stats={"fps": 30})
    status = partial(app_a.run, user, call("camera.getStreamStatus"))
    found = await eventually(status, lambda found: found and found["status"] == "active")
    assert found["streamId"] == name
    assert await app_a.run(user, call("camera.isCurrentlyStreaming")) is True
    assert await app_a.run(user, call("camera.getCurrentStreamUrl")) == ADDRESS
    await app_a.run(user, call("camera.unsubscribeFromStreamStatusUpdates"))
    assert await app_a.run(user, call("camera.cancelAllRequests")) == {"photoRequests": 0}
    assert (await phone.message("stop_rtmp_stream"))["streamId"] == name
    await eventually(status, lambda found: found and found["status"] == "stopped")
    assert await app_a.run(user, call("camera.isCurrentlyStreaming")) is False
    assert await app_a.run(user, call("camera.getCurrentStreamUrl")) is None
    assert untouched(app_a, user)


# -- sound ---------------------------------------------------------------------------------


async def test_what_plays_is_counted_and_may_be_given_up(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    ends: list[str] = []

    async def waiting() -> list[str]:
        names: list[str] = await app_a.run(user, call("audio.getPendingRequestIds"))
        return names

    nursery.start_soon(pending, app_a, user, PLAY, ends)
    asked = await phone.message("audio_play_request")
    assert await waiting() == [asked["requestId"]]
    assert await app_a.run(user, call("audio.hasPendingRequest", asked["requestId"])) is True
    assert await app_a.run(user, call("audio.getPendingRequestCount")) == 1
    assert await app_a.run(user, call("audio.cancelAudioRequest", asked["requestId"])) is True
    await phone.send("audio_play_response", requestId=asked["requestId"], success=True)
    assert await app_a.run(user, call("audio.hasPendingRequest")) is False

    for number, path in enumerate(("audio.cancelAllAudioRequests", "audio.cancelAllRequests")):
        nursery.start_soon(pending, app_a, user, PLAY, ends)
        await phone.message("audio_play_request", number=number + 2)
        assert await app_a.run(user, call(path)) in (1, {"audioRequests": 1})
    await eventually(partial(value_of, ends), lambda found: len(found) == 3)
    assert "Audio request cancelled" in ends[0]
    assert await waiting() == []

    beside = {"audioUrl": "https://a.test/c.mp3", "stopOtherAudio": False, "volume": 0.25}
    played = await app_a.run(user, call("audio.playAudio", beside))
    assert played == {"success": True}, "the SDK waits for nothing then"
    asked = await phone.message("audio_play_request", number=4)
    assert (asked["stopOtherAudio"], asked["volume"]) == (False, 0.25)
    await app_a.run(user, call("audio.stopAudio"))
    assert (await phone.message("audio_stop_request"))["appId"] == app_a.package
    assert untouched(app_a, user)


# -- the session ---------------------------------------------------------------------------


async def test_a_message_of_the_authors_own_and_who_else_is_there(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    other, room = f"other-{user}", f"room of {user}"
    await app_a.script(user, call("onAppUserLeft", handler("left")))
    for one in (user, other):
        await start(await open_phone(nursery, server, one), app_a, one)
        await app_a.run(one, call("joinAppRoom", room))
    assert await app_a.run(user, call("isUserActive", other)) is False, "2.1.29 asks nobody"
    await app_a.run(other, call("leaveAppRoom", room))
    assert (await app_a.first_fired(user, "left"))["userId"] == other
    payload = {"by": "hand"}
    own = {"type": "app_broadcast_message", "payload": payload, "messageId": "m"}
    await app_a.run(user, call("onAppMessage", handler("message")))
    await app_a.run(other, call("sendMessage", own))
    heard = await app_a.first_fired(user, "message")
    assert (heard["payload"], heard["senderUserId"]) == (payload, other)


async def test_an_app_that_lets_go_is_called_when_its_user_returns(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await app_a.run(user, call("releaseOwnership", "clean_shutdown"), call("disconnect"))
    await app_a.seen.first(
        event="sent",
        session=app_a.session_of(user),
        message=lambda it: it["type"] == "ownership_release" and it["reason"] == "clean_shutdown",
    )
    look = partial(server.app, user, app_a.package)
    await eventually(look, lambda found: found and found["state"] == "dormant")
    await phone.close()
    await phone.end()
    await open_phone(nursery, server, user)
    await app_a.running(user, number=2)
    assert len(app_a.webhooks(user)) == 2


async def test_an_app_server_that_stops_itself_is_called_again(
    quick_server: RunningServer, lone_app: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await register(quick_server, lone_app)
    phone = await open_phone(nursery, quick_server, user)
    await start(phone, lone_app, user)
    await lone_app.run(user, call("appServer.addCleanupHandler", handler("cleaned")))
    await lone_app.run(user, {"later": call("appServer.stop")})
    await lone_app.first_fired(user, "cleaned")
    with trio.fail_after(GONE_S):
        assert await lone_app.gone() == 0
    await lone_app.come_back()
    await lone_app.running(user, number=2)
    assert lone_app.stops(user) == []
