"""The messages of each direction are those of protocol.md section 3, spelled as there."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

import msgspec
import pytest

from mentra_trio.domain.capabilities import capabilities_of
from mentra_trio.wire import from_app, from_glasses, parts, to_app, to_glasses
from mentra_trio.wire.codec import (
    decode_from_app,
    decode_from_glasses,
    decode_to_app,
    decode_to_glasses,
    encode,
)
from mentra_trio.wire.message import wire_type
from mentra_trio.wire.webhook_bodies import SessionRequest, StopRequest

FROM_APP: Final = """
    tpa_connection_init reconnect ping
    subscription_update display_event photo_request audio_play_request
    audio_stop_request rgb_led_control request_wifi_setup rtmp_stream_request rtmp_stream_stop
    managed_stream_request managed_stream_stop stream_status_check location_poll_request
    dashboard_content_update dashboard_mode_change dashboard_system_update app_broadcast_message
    app_direct_message app_room_join app_room_leave app_user_discovery ownership_release
"""
TO_APP: Final = """
    tpa_connection_ack reconnect_ack reconnect_rejected reconnect_deferred pong
    tpa_connection_error connection_error app_stopped data_stream
    settings_update augmentos_settings_update capabilities_update device_state_update
    permission_error photo_response audio_play_response rgb_led_control_response
    rtmp_stream_status managed_stream_status stream_status_check_response dashboard_mode_changed
    dashboard_always_on_changed custom_message app_message_received app_direct_message_response
    app_user_joined app_user_left app_room_updated websocket_error
"""
FROM_GLASSES: Final = """
    connection_init start_app stop_app request_settings settings_update_request
    core_status_update glasses_connection_state head_position button_press touch_event
    glasses_battery_update phone_battery_update VAD local_transcription translation location_update
    vps_coordinates calendar_event phone_notification phone_notification_dismissed
    photo_response photo_taken audio_play_response rgb_led_control_response rtmp_stream_status
    keep_alive_ack dashboard_state open_dashboard livekit_init udp_register udp_unregister ping
"""
TO_GLASSES: Final = """
    connection_ack connection_error auth_error app_state_change app_stopped display_event
    microphone_state_change settings_update photo_request audio_play_request audio_stop_request
    rgb_led_control show_wifi_setup start_rtmp_stream stop_rtmp_stream keep_rtmp_stream_alive
    set_location_tier request_single_location dashboard_mode_change dashboard_always_on_change
    livekit_info udp_ping_ack pong ping websocket_error
"""


@pytest.mark.parametrize(
    ("union", "types"),
    [
        pytest.param(from_app.FromApp, FROM_APP, id="from_app"),
        pytest.param(to_app.ToApp, TO_APP, id="to_app"),
        pytest.param(from_glasses.FromGlasses, FROM_GLASSES, id="from_glasses"),
        pytest.param(to_glasses.ToGlasses, TO_GLASSES, id="to_glasses"),
    ],
)
def test_a_direction_has_every_type_and_no_other(union: Any, types: str) -> None:
    tags = [cls.__struct_config__.tag for cls in get_args(union)]

    assert sorted(tags) == sorted(types.split())


def test_every_message_is_frozen_and_has_the_common_fields() -> None:
    unions = (from_app.FromApp, to_app.ToApp, from_glasses.FromGlasses, to_glasses.ToGlasses)
    for cls in (cls for union in unions for cls in get_args(union)):
        assert cls.__struct_config__.frozen, cls
        names = {field.encode_name for field in msgspec.structs.fields(cls)}
        assert {"timestamp", "sessionId"} <= names, cls


@pytest.mark.parametrize(
    ("name", "type_"),
    [("TpaConnectionInit", "tpa_connection_init"), ("Vad", "vad"), ("Ping", "ping")],
)
def test_the_type_follows_from_the_name_of_the_class(name: str, type_: str) -> None:
    assert wire_type(name) == type_


def test_the_ack_writes_a_null_for_unknown_glasses_and_nothing_for_what_is_absent() -> None:
    ack = to_app.TpaConnectionAck(
        session_id="u@x.org-com.a.b", settings=[], mentraos_settings={}, capabilities=None
    )

    assert json.loads(encode(ack)) == {
        "type": "tpa_connection_ack",
        "sessionId": "u@x.org-com.a.b",
        "settings": [],
        "mentraosSettings": {},
        "capabilities": None,
    }


def test_the_ack_carries_the_capabilities_as_the_sdk_types_spell_them() -> None:
    ack = to_app.TpaConnectionAck(
        settings=[], mentraos_settings={}, capabilities=capabilities_of("Mentra Live")
    )

    assert json.loads(encode(ack))["capabilities"]["hasIMU"] is True


def test_gone_glasses_are_written_as_nulls() -> None:
    update = to_app.CapabilitiesUpdate(capabilities=None, model_name=None)

    assert json.loads(encode(update)) == {
        "type": "capabilities_update",
        "capabilities": None,
        "modelName": None,
    }


def test_a_data_stream_carries_the_event_as_it_came() -> None:
    came = '{"type":"button_press",  "newer": [1, 2.50]}'
    message = to_app.DataStream(
        session_id="s", stream_type="button_press", data=msgspec.Raw(came), timestamp="t"
    )

    frame = encode(message)

    assert came in frame
    back = decode_to_app(frame)
    assert isinstance(back, to_app.DataStream) and bytes(back.data).decode() == came


def test_spellings_that_are_not_camel_case() -> None:
    touch = decode_from_glasses(
        '{"type":"touch_event","device_model":"M","gesture_name":"single_tap"}'
    )
    stream = decode_from_app('{"type":"managed_stream_request","enableWebRTC":true}')
    info = to_app.StreamInfo(kind="managed", stream_id="s", status="active", created_at=1)

    assert touch == from_glasses.TouchEvent(device_model="M", gesture_name="single_tap")
    assert stream == from_app.ManagedStreamRequest(enable_webrtc=True)
    assert json.loads(msgspec.json.encode(info))["type"] == "managed"


@pytest.mark.parametrize("status", [True, False, "true", "false"])
def test_voice_activity_is_a_boolean_or_its_text(status: bool | str) -> None:
    message = decode_from_glasses(json.dumps({"type": "VAD", "status": status}))

    assert message == from_glasses.Vad(status=status)


@pytest.mark.parametrize("status", [{"core_info": {"a": 1}}, '{"core_info":{}}'])
def test_the_core_status_is_an_object_or_its_text(status: Any) -> None:
    message = decode_from_glasses(json.dumps({"type": "core_status_update", "status": status}))

    assert message == from_glasses.CoreStatusUpdate(status=status)


@pytest.mark.parametrize("timestamp", ["2026-01-01T00:00:00.000Z", 1767225600000, 1.5, None])
def test_a_timestamp_is_text_or_a_number(timestamp: Any) -> None:
    message = decode_from_glasses(json.dumps({"type": "ping", "timestamp": timestamp}))

    assert message == from_glasses.Ping(timestamp=timestamp)


@pytest.mark.parametrize("error", [None, "flat", {"code": "CAMERA_BUSY", "details": {"a": 1}}])
def test_a_photo_may_fail_in_several_spellings(error: Any) -> None:
    body = {"type": "photo_response", "requestId": "r", "success": False, "error": error}

    message = decode_from_glasses(json.dumps(body))

    assert isinstance(message, from_glasses.PhotoResponse)
    expected = parts.PhotoError(**error) if isinstance(error, dict) else error
    assert message.error == expected


def test_javascript_writes_no_difference_between_3000_and_3000_point_0() -> None:
    frame = '{"type":"display_event","layout":{"layoutType":"clear_view"},"durationMs":%s}'

    whole, fraction = decode_from_app(frame % "3000"), decode_from_app(frame % "3000.0")

    assert whole == fraction
    assert isinstance(whole, from_app.DisplayEvent) and whole.layout == parts.ClearView()


def test_an_app_s_picture_reaches_the_glasses_unchanged() -> None:
    layout = {"layoutType": "double_text_wall", "topText": "a", "bottomText": "é"}
    asked = decode_from_app(json.dumps({"type": "display_event", "view": "main", "layout": layout}))
    assert isinstance(asked, from_app.DisplayEvent)

    sent = encode(to_glasses.DisplayEvent(package_name="p", view="main", layout=asked.layout))

    assert json.loads(sent)["layout"] == layout
    assert decode_to_glasses(sent) == to_glasses.DisplayEvent(
        package_name="p", view="main", layout=parts.DoubleTextWall(top_text="a", bottom_text="é")
    )


def test_the_session_webhook_names_the_address_twice() -> None:
    body = SessionRequest(
        session_id="s",
        user_id="u",
        timestamp="t",
        mentraos_websocket_url="wss://h/app-ws",
        augmentos_websocket_url="wss://h/app-ws",
    )

    assert json.loads(encode(body)) == {
        "type": "session_request",
        "sessionId": "s",
        "userId": "u",
        "timestamp": "t",
        "mentraOSWebsocketUrl": "wss://h/app-ws",
        "augmentOSWebsocketUrl": "wss://h/app-ws",
    }


def test_the_stop_webhook_gives_the_reason() -> None:
    body = StopRequest(session_id="s", user_id="u", timestamp="t", reason="user_disabled")

    assert json.loads(encode(body)) == {
        "type": "stop_request",
        "sessionId": "s",
        "userId": "u",
        "timestamp": "t",
        "reason": "user_disabled",
    }
