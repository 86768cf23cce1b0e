"""The legs of the tour: what apps and phones say, and what comes of it (protocol.md section 3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
import trio
from tour import ADA, BEN, EVICTED_S, GUEST, TOURIST, Tour, leg

from mentra_trio.clients import app_connection
from mentra_trio.clients.dialing import ClientLink, open_websocket
from mentra_trio.clients.questions import RequestFailed
from mentra_trio.wire import from_app, from_glasses, to_app, to_glasses
from mentra_trio.wire.codec import encode
from mentra_trio.wire.message import Message

PHOTO: Final = b"\xff\xd8 a photo"
PCM: Final = b"\x01\x02" * 160

RELAYED: Final[tuple[Message, ...]] = (
    from_glasses.ButtonPress(button_id="main", press_type="short"),
    from_glasses.HeadPosition(position="up"),
    from_glasses.TouchEvent(gesture_name="double_tap", device_model="Any"),
    from_glasses.GlassesBatteryUpdate(level=80),
    from_glasses.PhoneBatteryUpdate(level=70),
    from_glasses.Vad(status=True),
    from_glasses.LocationUpdate(lat=52.5, lng=13.4),
    from_glasses.VpsCoordinates(x=1, y=2, z=3),
    from_glasses.CalendarEvent(event_id="e", title="Tea", dt_start="2031-01-01T10:00:00Z"),
    from_glasses.PhoneNotification(notification_id="n", title="Post"),
    from_glasses.PhoneNotificationDismissed(notification_id="n", notification_key="n"),
    from_glasses.PhotoTaken(photo_data="x", mime_type="image/jpeg"),
    from_glasses.DashboardState(is_open=True),
    from_glasses.OpenDashboard(),
    from_glasses.LivekitInit(mode="publish"),
    from_glasses.UdpRegister(user_id_hash=1),
    from_glasses.UdpUnregister(user_id_hash=1),
)
"""What apps get that subscribe to its name; of the last three nobody else takes notice."""


# -- connections ----------------------------------------------------------------------


@leg(from_glasses.ConnectionInit, to_glasses.ConnectionAck)
async def the_phone_asks_for_another_ack(tour: Tour) -> None:
    await tour.glasses.send(from_glasses.ConnectionInit(user_id=ADA))
    assert (await tour.glasses.next(to_glasses.ConnectionAck)).session_id == ADA


@leg(from_glasses.Ping, to_glasses.Pong)
async def the_phone_asks_who_is_there(tour: Tour) -> None:
    await tour.glasses.send(from_glasses.Ping())
    await tour.glasses.next(to_glasses.Pong)


@leg(from_app.Ping, to_app.Pong)
async def an_app_asks_who_is_there(tour: Tour) -> None:
    pongs = tour.messages(tour.session, "pong")
    await tour.session.send(from_app.Ping())
    await pongs.take()


@leg(
    from_glasses.StartApp,
    from_app.TpaConnectionInit,
    to_app.TpaConnectionAck,
    to_glasses.AppStateChange,
)
async def an_app_is_started_from_the_phone(tour: Tour) -> None:
    while tour.glasses.received():
        await tour.glasses.__anext__()
    await tour.glasses.start_app(GUEST)
    session = await tour.guest.server.next_session()
    assert await session.ready.wait()
    await tour.glasses.next(to_glasses.AppStateChange)
    assert tour.world.state(GUEST, ADA) == "running"


@leg(from_glasses.StopApp, to_app.AppStopped)
async def an_app_is_stopped_from_the_phone(tour: Tour) -> None:
    session = await tour.guest_session()
    told = tour.messages(session, "app_stopped")
    await tour.glasses.stop_app(GUEST)
    assert (await told.take()).reason == "user_disabled"
    await session.ended.wait()
    await tour.until(GUEST, "stopped")


@leg(from_app.OwnershipRelease)
async def an_app_leaves_and_is_not_brought_back(tour: Tour) -> None:
    session = await tour.guest_session()
    await session.release()
    session.end("moves on")
    await tour.until(GUEST, "dormant")


@leg(to_glasses.AppStopped)
async def an_app_that_is_lost_for_good(tour: Tour) -> None:
    await tour.guest_session()
    await tour.guest.kill()
    with trio.fail_after(EVICTED_S):
        assert (await tour.glasses.next(to_glasses.AppStopped)).package_name == GUEST
    await tour.glasses.stop_app(GUEST)
    await tour.guest.start()


@leg(from_app.Reconnect, to_app.ReconnectAck)
async def a_runtime_of_sdk_v3_resumes(tour: Tour) -> None:
    await tour.guest_session()
    async with v3_link(tour) as link:
        await link.send(encode(from_app.Reconnect()))
        while not isinstance(ack := await link.receive(), to_app.ReconnectAck):
            pass
        assert ack.user_id == ADA
        await tour.glasses.stop_app(GUEST)
        await link.until_closed()
    await tour.until(GUEST, "stopped")


@leg(from_app.Reconnect, to_app.ReconnectRejected)
async def a_runtime_of_sdk_v3_that_nobody_started(tour: Tour) -> None:
    async with v3_link(tour) as link:
        await link.send(encode(from_app.Reconnect()))
        rejected = await link.receive()
        assert isinstance(rejected, to_app.ReconnectRejected)
        assert rejected.code in {
            "NOT_RUNNING",
            "SESSION_STOPPED",
        }  # as it was stopped, or never was


@asynccontextmanager
async def v3_link(tour: Tour) -> AsyncGenerator[ClientLink[Any]]:
    """A link of the guest as SDK v3 opens it: the headers say who it is (protocol.md 1.3)."""
    headers = {
        "x-user-id": ADA,
        "x-session-id": f"{ADA}-{GUEST}",
        "x-package-name": GUEST,
        "x-api-key": "key",
    }
    async with open_websocket(
        f"{tour.world.server.url}/ws/miniapp",
        decode=app_connection._decode,
        headers=list(headers.items()),
        dial=tour.world.network.dial_from(GUEST),
    ) as link:
        yield link


@leg(to_app.PermissionError)
async def an_app_wants_what_it_may_not_have(tour: Tour) -> None:
    session = await tour.guest_session()
    refused = tour.messages(session, "permission_error")
    session.on_location(lambda where: None)
    (detail,) = (await refused.take()).details
    assert (detail.stream, detail.required_permission) == ("location_update", "LOCATION")


# -- the display and the dashboard -----------------------------------------------------


@leg(from_app.DisplayEvent, to_glasses.DisplayEvent)
async def a_text_is_shown(tour: Tour) -> None:
    await tour.session.show_text("Mind the gap")
    await tour.glasses.until_shown("Mind the gap", package=TOURIST)


@leg(from_app.DashboardContentUpdate, from_app.DashboardSystemUpdate)
async def words_on_the_dashboard(tour: Tour) -> None:
    await tour.session.dashboard.write("three mails")
    await tour.glasses.until_shown("three mails")
    await tour.board.dashboard.write_section("topRight", "sunny")
    await tour.glasses.until_shown("sunny")


@leg(from_app.DashboardModeChange, to_app.DashboardModeChanged)
async def the_dashboard_changes_its_mode(tour: Tour) -> None:
    modes = tour.messages(tour.session, "dashboard_mode_changed")
    await tour.board.dashboard.set_mode("expanded")
    assert (await modes.take()).mode == "expanded"
    assert tour.session.dashboard.mode == "expanded"


# -- what is said ----------------------------------------------------------------------


@leg(from_app.SubscriptionUpdate, to_glasses.MicrophoneStateChange)
async def an_app_listens(tour: Tour) -> None:
    heard = await tour.listen(tour.session, "audio_chunk", "transcription:en-US")
    while not (await tour.glasses.next(to_glasses.MicrophoneStateChange)).is_microphone_enabled:
        pass
    await tour.glasses.send_audio(PCM)
    assert await heard.take() == PCM
    (await tour.transcriber.recogniser()).hear("hello from the audio")
    assert (await heard.take(is_text)).text == "hello from the audio"


@leg(from_glasses.LocalTranscription, to_app.DataStream)
async def the_phone_has_understood_something(tour: Tour) -> None:
    heard = await tour.listen(tour.session, "transcription:de-DE")
    await tour.glasses.say("Guten Tag", language="de-DE")
    assert (await heard.take()).text == "Guten Tag"


@leg(from_glasses.Translation)
async def the_phone_has_translated_something(tour: Tour) -> None:
    heard = await tour.listen(tour.session, "translation:de-DE-to-en-US")
    said = {"transcribe_language": "de-DE", "translate_language": "en-US"}
    await tour.glasses.send(from_glasses.Translation(text="good day", **said))
    assert (await heard.take()).text == "good day"


def is_text(event: object) -> bool:
    """Whether it is no audio."""
    return not isinstance(event, bytes)


# -- what the phone tells ---------------------------------------------------------------


@leg(*map(type, RELAYED))
async def what_is_handed_on_to_apps(tour: Tour) -> None:
    names = [message.__struct_config__.tag for message in RELAYED]
    heard = {str(name): await tour.listen(tour.session, str(name)) for name in names}
    for message, name in zip(RELAYED, names, strict=True):
        await tour.glasses.send(message)
        event = await heard[str(name)].take()
        if isinstance(event, type(message)):
            assert event == message
        else:
            assert event["type"] == name


@leg(from_glasses.GlassesConnectionState, to_app.CapabilitiesUpdate, to_app.DeviceStateUpdate)
async def glasses_are_found(tour: Tour) -> None:
    able = tour.messages(tour.session, "capabilities_update")
    states = tour.messages(tour.session, "device_state_update")
    heard = await tour.listen(tour.session, "glasses_connection_state")
    await tour.glasses.connection_state("Mentra Live")
    assert (await heard.take()).model_name == "Mentra Live"
    assert (await able.take()).model_name == "Mentra Live"
    assert (await states.take()).state["modelName"] == "Mentra Live"
    assert tour.session.capabilities is not None
    assert tour.session.device_state["connected"]


@leg(from_glasses.RequestSettings, from_glasses.SettingsUpdateRequest, to_glasses.SettingsUpdate)
async def the_phone_asks_for_settings(tour: Tour) -> None:
    await tour.glasses.ask_for_settings()
    assert "brightness" in (await tour.glasses.next(to_glasses.SettingsUpdate)).settings
    heard = await tour.listen(tour.session, "settings_update_request")
    await tour.glasses.send(from_glasses.SettingsUpdateRequest())
    assert (await tour.glasses.next(to_glasses.SettingsUpdate)).success
    await heard.take()


@leg(from_glasses.CoreStatusUpdate, to_app.AugmentosSettingsUpdate)
async def the_phone_states_its_settings(tour: Tour) -> None:
    told = tour.messages(tour.session, "augmentos_settings_update")
    metric = not tour.session.mentraos_settings["metricSystemEnabled"]
    status = {"status": {"core_info": {"metric_system_enabled": metric}}}
    await tour.glasses.core_status(status)
    assert (await told.take()).settings["metricSystemEnabled"] is metric
    assert tour.session.mentraos_settings["metricSystemEnabled"] is metric


@leg(to_app.SettingsUpdate)
async def the_user_changes_a_setting_of_the_app(tour: Tour) -> None:
    told = tour.messages(tour.session, "settings_update")
    assert tour.session.settings == {"size": "small"}
    path = f"/appsettings/{TOURIST}"
    await tour.glasses.door.call("POST", path, [{"key": "size", "value": "large"}])
    await told.take()
    assert tour.session.settings == {"size": "large"}


@leg(to_app.CustomMessage)
async def the_phone_tells_the_time(tour: Tour) -> None:
    clock = tour.messages(tour.session, "custom_message")
    await tour.listen(tour.session, "custom_message")
    now = "2031-01-01T12:00:00+01:00"
    await tour.glasses.door.call("POST", "/api/user-data/set-datetime", {"datetime": now})
    assert (await clock.take()).payload["datetime"] == now


# -- camera ----------------------------------------------------------------------------


@leg(from_app.PhotoRequest, to_glasses.PhotoRequest, from_glasses.PhotoResponse)
async def a_photo(tour: Tour) -> None:
    told = await tour.listen(tour.session, "photo_response")
    photo = tour.asking(tour.session.camera.request_photo)
    request = await tour.glasses.next(to_glasses.PhotoRequest)
    assert (await tour.glasses.answer.photo(request, PHOTO)).ok
    assert (await photo.take()).data == PHOTO
    assert (await told.take())["requestId"] == request.request_id


@leg(
    from_app.RtmpStreamRequest,
    to_glasses.StartRtmpStream,
    from_glasses.RtmpStreamStatus,
    to_app.RtmpStreamStatus,
    from_app.StreamStatusCheck,
    to_app.StreamStatusCheckResponse,
    to_glasses.KeepRtmpStreamAlive,
    from_glasses.KeepAliveAck,
    from_app.RtmpStreamStop,
    to_glasses.StopRtmpStream,
)
async def a_stream_to_an_address(tour: Tour) -> None:
    streams, glasses = tour.session.streams, tour.glasses
    stream_id = tour.asking(lambda: streams.start_rtmp("rtmp://video.example/live/key"))
    request = await glasses.next(to_glasses.StartRtmpStream)
    await glasses.stream_status("streaming", stream_id=request.stream_id)
    await glasses.stream_status("active", stream_id=request.stream_id)
    assert await stream_id.take() == request.stream_id
    for _ in range(6):
        await glasses.answer.keep_alive(await glasses.next(to_glasses.KeepRtmpStreamAlive))
    found = await streams.check()
    assert found is not None
    assert (found.stream_id, found.status) == (request.stream_id, "active")
    over = tour.messages(tour.session, "rtmp_stream_status")
    await streams.stop_rtmp(request.stream_id)
    assert (await glasses.next(to_glasses.StopRtmpStream)).stream_id == request.stream_id
    assert (await over.take(lambda news: news.status != "active")).status == "stopped"


@leg(from_app.ManagedStreamRequest, to_app.ManagedStreamStatus, from_app.ManagedStreamStop)
async def a_stream_for_viewers(tour: Tour) -> None:
    stream = await tour.session.streams.start_managed()
    assert stream.hls_url == tour.streams.ingests[-1].playback.hls_url
    over = tour.messages(tour.session, "managed_stream_status")
    await tour.session.streams.stop_managed()
    assert (await over.take(lambda news: news.status != "active")).status == "stopped"
    stopped = await tour.glasses.next(to_glasses.StopRtmpStream)
    assert stopped.stream_id == stream.stream_id


# -- sound, light, network, place ------------------------------------------------------


@leg(
    from_app.AudioPlayRequest,
    to_glasses.AudioPlayRequest,
    from_glasses.AudioPlayResponse,
    to_app.AudioPlayResponse,
    from_app.AudioStopRequest,
    to_glasses.AudioStopRequest,
)
async def a_sound(tour: Tour) -> None:
    played = tour.asking(lambda: tour.session.audio.play("http://sounds.example/gong.mp3"))
    request = await tour.glasses.next(to_glasses.AudioPlayRequest)
    await tour.glasses.answer.audio(request, duration=2)
    assert (await played.take()).duration == 2
    await tour.session.audio.stop()
    assert (await tour.glasses.next(to_glasses.AudioStopRequest)).app_id == TOURIST


@leg(
    from_app.RgbLedControl,
    to_glasses.RgbLedControl,
    from_glasses.RgbLedControlResponse,
    to_app.RgbLedControlResponse,
)
async def a_light(tour: Tour) -> None:
    answers = tour.messages(tour.session, "rgb_led_control_response")
    await tour.session.leds.turn_on("green")
    request = await tour.glasses.next(to_glasses.RgbLedControl)
    assert (request.action, request.color) == ("on", "green")
    await tour.glasses.answer.led(request)
    assert (await answers.take()).success


@leg(from_app.RequestWifiSetup, to_glasses.ShowWifiSetup)
async def a_network(tour: Tour) -> None:
    await tour.session.request_wifi_setup("to stream")
    assert (await tour.glasses.next(to_glasses.ShowWifiSetup)).reason == "to stream"


@leg(
    to_glasses.SetLocationTier,
    from_app.LocationPollRequest,
    to_glasses.RequestSingleLocation,
    from_glasses.LocationUpdate,
)
async def a_place(tour: Tour) -> None:
    tour.session.location.watch(lambda where: None, "high")
    while (await tour.glasses.next(to_glasses.SetLocationTier)).tier != "high":
        pass
    place = tour.asking(lambda: tour.session.location.latest("realtime"))
    request = await tour.glasses.next(to_glasses.RequestSingleLocation)
    await tour.glasses.answer.location(request, 48.1, 11.5)
    assert (await place.take()).lat == 48.1


# -- other users -----------------------------------------------------------------------


@leg(
    from_app.AppBroadcastMessage,
    from_app.AppDirectMessage,
    to_app.AppMessageReceived,
    to_app.AppDirectMessageResponse,
)
async def words_for_another_user(tour: Tour) -> None:
    received = tour.messages(tour.bens, "app_message_received")
    await tour.session.messages.broadcast("to all")
    assert (await received.take()).payload == "to all"
    await tour.session.messages.send(BEN, "to you")
    assert (await received.take()).sender_user_id == ADA


@leg(
    from_app.AppRoomJoin,
    to_app.AppRoomUpdated,
    to_app.AppUserJoined,
    from_app.AppRoomLeave,
    to_app.AppUserLeft,
    to_app.TpaConnectionError,
)
async def a_room(tour: Tour) -> None:
    came, went = (tour.messages(tour.bens, f"app_user_{what}") for what in ("joined", "left"))
    await tour.bens.messages.join("hall", max_users=2)
    assert (await tour.session.messages.join("hall")).member_count == 2
    assert (await came.take()).user_id == ADA
    await tour.session.messages.leave("hall")
    assert (await went.take()).user_id == ADA
    refused: Any = tour.messages(tour.session, "tpa_connection_error")
    await tour.session.messages.broadcast("nobody hears it", room="hall")
    assert (await refused.take()).code == "NOT_IN_ROOM"


@leg(from_app.AppRoomJoin, to_app.TpaConnectionError)
async def a_full_room(tour: Tour) -> None:
    await tour.bens.messages.join("cell", max_users=1)
    with pytest.raises(RequestFailed) as failed:
        await tour.session.messages.join("cell")
    assert failed.value.code == "ROOM_FULL"


@leg(from_app.AppUserDiscovery)
async def the_others_are_not_told_over_the_link(tour: Tour) -> None:
    await tour.session.send(from_app.AppUserDiscovery())
    while "AppUserDiscovery" not in await tour.ignored():
        pass
    assert [one.user_id for one in await tour.session.messages.discover()] == [BEN]
