"""Photos and camera streams: checks 64-66, 71 and 72 of protocol.md section 8.5, and RTMP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import trio
from video import ffmpeg_or_skip, publish

from mentra_trio.clients.glasses import Glasses, open_glasses
from mentra_trio.wire import from_glasses as say
from mentra_trio.wire import to_glasses as heard

from .conftest import API_KEYS, MakeServer
from .real_app import RealApp, Step, call, handler, on
from .running_server import RunningServer
from .steps import register, untouched
from .timeline import eventually

PICTURE = bytes(range(256)) * 4
QUICK_S = 2.0
PHOTO: Step = {"call": "camera.requestPhoto", "args": [{"saveToGallery": True, "size": "large"}]}
CHECK: Step = {"call": "camera.checkExistingStream"}
MANAGED: Step = {"call": "camera.startManagedStream", "args": [{}]}
STOP_MANAGED: Step = {"call": "camera.stopManagedStream"}


@asynccontextmanager
async def wearing(server: RunningServer, user: str, *apps: RealApp) -> AsyncGenerator[Glasses]:
    """G of ``user``: a phone with Mentra Live that runs ``apps``."""
    async with open_glasses(server.websocket_url, server.token(user)) as glasses:
        await glasses.connection_state("Mentra Live", wifi=say.WifiState(connected=True, ssid="x"))
        for app in apps:
            await glasses.start_app(app.package)
            await app.running(user)
        yield glasses


async def upload(request: heard.PhotoRequest) -> httpx.Response:
    """What the glasses do with a photo: send it to the app's server."""
    assert request.webhook_url
    fields = {"requestId": request.request_id, "type": "photo_upload", "success": "true"}
    file = {"photo": ("photo.jpg", PICTURE, "image/jpeg")}
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(request.webhook_url, data=fields, files=file)


async def rejection(app: RealApp, user: str, step: Step) -> str:
    """What a step of the app fails with; it must do so soon."""
    with trio.fail_after(QUICK_S), pytest.raises(AssertionError) as failed:
        await app.run(user, step)
    return str(failed.value)


async def test_64_a_photo_comes_to_the_app(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    async with wearing(server, user, app_a) as glasses:
        found: list[Any] = []

        async def take() -> None:
            found.append(await app_a.run(user, PHOTO))

        nursery.start_soon(take)
        request = await glasses.next(heard.PhotoRequest)
        assert request.webhook_url == f"{app_a.url}/photo-upload"
        assert (request.app_id, request.size) == (app_a.package, "large")
        assert request.save_to_gallery is True
        assert (await upload(request)).status_code == 200
        await glasses.send(say.PhotoResponse(request_id=request.request_id, success=True))
        await eventually(partial(_value, found), bool)
        assert bytes(found[0]["buffer"]["data"]) == PICTURE
        assert found[0]["mimeType"] == "image/jpeg"
        assert untouched(app_a, user)


async def _value(found: list[Any]) -> list[Any]:
    await trio.lowlevel.checkpoint()
    return found


async def test_65_a_photo_without_glasses_fails_soon(
    server: RunningServer, app_a: RealApp, user: str
) -> None:
    async with wearing(server, user, app_a) as glasses:
        await glasses.connection_state("Mentra Live", status="DISCONNECTED")
        await app_a.received(user, "device_state_update", number=2)
        assert "glasses: not connected to the phone" in await rejection(app_a, user, PHOTO)
        await glasses.close()
        await eventually(partial(server.user, user), lambda found: found and not found["connected"])
        assert "phone: not connected" in await rejection(app_a, user, PHOTO)
        assert untouched(app_a, user)


@pytest.mark.parametrize("way", ["websocket", "http"])
async def test_65_a_photo_that_fails_at_the_phone_fails_soon(
    way: str, server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    async with wearing(server, user, app_a) as glasses:

        async def answer() -> None:
            request = await glasses.next(heard.PhotoRequest)
            body = {"code": "CAMERA_BUSY", "message": "somebody else has it"}
            failed = {"requestId": request.request_id, "success": False, "error": body}
            if way == "http":
                await server.post("/api/client/photo/response", user, failed)
            else:
                await glasses.send(
                    say.PhotoResponse(
                        request_id=request.request_id,
                        success=False,
                        error_code="CAMERA_BUSY",
                        error_message="somebody else has it",
                    )
                )

        nursery.start_soon(answer)
        text = await rejection(app_a, user, PHOTO)
        assert "phone: somebody else has it (code: CAMERA_BUSY)" in text
        assert untouched(app_a, user)


async def test_66_a_photo_without_the_permission_fails_soon(
    server: RunningServer, app_a: RealApp, user: str
) -> None:
    await app_a.become("com.t.quiet", API_KEYS["com.t.quiet"])
    async with wearing(server, user, app_a):
        text = await rejection(app_a, user, PHOTO)
        assert "Camera permission required to take photos (code: PERMISSION_DENIED)" in text
        error = await app_a.received(user, "permission_error")
        assert error["details"][0]["requiredPermission"] == "CAMERA"
        assert untouched(app_a, user)


async def test_the_button_takes_a_photo_unless_an_app_wants_it(
    server: RunningServer, app_a: RealApp, user: str
) -> None:
    await app_a.script(user, on("onButtonPress", "button"))
    pressed = {"buttonId": "main", "pressType": "short"}
    async with wearing(server, user) as glasses:
        answer = (await server.post("/api/hardware/button-press", user, pressed)).json()
        assert (answer["success"], answer["action"]) == (True, "take_photo")
        await glasses.start_app(app_a.package)
        await app_a.running(user)
        answered = partial(server.post, "/api/hardware/button-press", user, pressed)
        await eventually(answered, lambda answer: answer.json() == {"success": True})


async def test_rtmp_begins_lives_and_ends(server: RunningServer, app_a: RealApp, user: str) -> None:
    url = "rtmp://live.test/app/key"
    stream: Step = {"call": "camera.startStream", "args": [{"rtmpUrl": url}]}
    await app_a.script(user, {"call": "camera.onStreamStatus", "args": [{"$handler": "status"}]})
    async with wearing(server, user, app_a) as glasses:
        await app_a.run(user, stream)
        start = await glasses.next(heard.StartRtmpStream)
        assert (start.rtmp_url, start.app_id) == (url, app_a.package)
        for status in ("connecting", "streaming"):
            await glasses.send(say.RtmpStreamStatus(stream_id=start.stream_id, status=status))
        await app_a.first_fired(user, "status", number=3)
        statuses = [data["status"] for data in app_a.fired(user, "status")]
        assert statuses == ["initializing", "initializing", "active"], "each once"
        found = await app_a.run(user, CHECK)
        assert found["streamInfo"]["type"] == "unmanaged"
        assert found["streamInfo"]["rtmpUrl"] == url
        with trio.fail_after(20):
            question = await glasses.next(heard.KeepRtmpStreamAlive)
        assert question.stream_id == start.stream_id
        await glasses.send(say.KeepAliveAck(stream_id=question.stream_id, ack_id=question.ack_id))
        await app_a.run(user, {"call": "camera.stopStream"})
        stop = await glasses.next(heard.StopRtmpStream)
        assert stop.stream_id == start.stream_id
        assert (await app_a.first_fired(user, "status", number=4))["status"] == "stopped"
        assert untouched(app_a, user)
        await app_a.run(user, stream)  # the SDK knows that the one before is over


async def test_rtmp_without_a_network_is_an_error_and_no_close(
    server: RunningServer, app_a: RealApp, user: str
) -> None:
    async with wearing(server, user, app_a) as glasses:
        await glasses.connection_state("Mentra Live", wifi=say.WifiState(connected=False))
        await app_a.received(user, "device_state_update", number=2)
        for _ in range(2):  # the SDK's own flag is cleared by the error
            args = [{"rtmpUrl": "rtmp://live.test/app/key"}]
            await app_a.run(user, {"call": "camera.startStream", "args": args})
            refusal = await app_a.received(user, "rtmp_stream_status")
            assert refusal["status"] == "error"
            assert "no_wifi_connection" in refusal["errorDetails"]
            await trio.sleep(0.2)
        assert untouched(app_a, user)


async def test_71_without_an_engine_the_promise_is_rejected_soon(
    server: RunningServer, app_a: RealApp, user: str
) -> None:
    async with wearing(server, user, app_a):
        assert "streams.engine=ffmpeg" in await rejection(app_a, user, MANAGED)
        assert untouched(app_a, user)


async def test_71_a_managed_stream_is_shared_and_ends_with_the_last_viewer(
    make_server: MakeServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    program = ffmpeg_or_skip()
    server = await make_server(
        "streams.engine=ffmpeg", "streams.port=0", f"streams.program={program}"
    )
    await register(server, app_a)
    await register(server, app_b, kind="background")
    async with wearing(server, user, app_a, app_b) as glasses, trio.open_nursery() as filming:

        async def film() -> None:
            start = await glasses.next(heard.StartRtmpStream)
            assert start.app_id == "MANAGED_STREAM"
            await publish(program, start.rtmp_url, seconds=30)

        filming.start_soon(film)
        hear = call("camera.onManagedStreamStatus", handler("managed"))
        assert await app_a.run(user, hear, call("camera.isManagedStreamActive")) is False
        urls = await app_a.run(user, MANAGED)
        assert await app_a.run(user, call("camera.isManagedStreamActive")) is True
        assert await app_a.run(user, call("camera.getManagedStreamUrls")) == urls
        async with httpx.AsyncClient(trust_env=False) as client:
            for url in (urls["hlsUrl"], urls["dashUrl"]):
                assert (await client.get(url)).status_code == 200
            with trio.fail_after(QUICK_S):
                joined = await app_b.run(user, MANAGED)
            assert joined["hlsUrl"] == urls["hlsUrl"]
            found = await app_b.run(user, CHECK)
            assert found["streamInfo"]["activeViewers"] == 2
            await app_a.run(user, STOP_MANAGED)
            stopped = await app_a.received(user, "managed_stream_status", number=3)
            assert stopped["status"] == "stopped"
            await app_a.first_fired(user, "managed", number=3)
            statuses = [data["status"] for data in app_a.fired(user, "managed")]
            assert statuses == ["initializing", "active", "stopped"], "each once"
            assert await app_a.run(user, call("camera.getManagedStreamUrls")) is None
            assert (await client.get(urls["hlsUrl"])).status_code == 200
            await app_b.run(user, STOP_MANAGED)
            stop = await glasses.next(heard.StopRtmpStream)
            assert stop.app_id == "MANAGED_STREAM"
            gone = partial(client.get, urls["hlsUrl"])
            await eventually(gone, lambda answer: answer.status_code == 404)
        filming.cancel_scope.cancel("filmed")
        assert untouched(app_a, user)
        assert untouched(app_b, user)


async def test_72_whether_there_is_a_stream_is_known_at_once(
    server: RunningServer, app_a: RealApp, user: str
) -> None:
    async with wearing(server, user, app_a):
        with trio.fail_after(1):
            assert (await app_a.run(user, CHECK))["hasActiveStream"] is False
        args = [{"rtmpUrl": "rtmp://live.test/app/key"}]
        await app_a.run(user, {"call": "camera.startStream", "args": args})
        with trio.fail_after(1):
            assert (await app_a.run(user, CHECK))["hasActiveStream"] is True
