"""Everything the glasses (and the phone behind them) say to the server (protocol.md 3.3).

Events that are only relayed reach apps as the text that came, so what is not written here is
not lost: these classes hold what the server itself reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from .message import Message, Number, Part, Timestamp
from .parts import PhotoError, StreamStats


class ConnectionInit(Message, frozen=True, kw_only=True):
    """Asks for the ``connection_ack`` once more."""

    user_id: str | None = None
    core_token: str | None = None


class StartApp(Message, frozen=True, kw_only=True):
    """The user starts an app."""

    package_name: str


class StopApp(Message, frozen=True, kw_only=True):
    """The user stops an app."""

    package_name: str


class RequestSettings(Message, frozen=True, kw_only=True):
    """Asks for a ``settings_update``."""


class SettingsUpdateRequest(Message, frozen=True, kw_only=True):
    """Asks for a ``settings_update``; also relayed."""


class CoreStatusUpdate(Message, frozen=True, kw_only=True):
    """The phone's state, settings included: an object or its JSON text (protocol.md 6.9)."""

    status: Mapping[str, Any] | str
    details: Any = None


class WifiState(Part, frozen=True, kw_only=True):
    """The glasses' network."""

    connected: bool | None = None
    ssid: str | None = None


class GlassesConnectionState(Message, frozen=True, kw_only=True):
    """The glasses came or went: CONNECTED, RECONNECTED or DISCONNECTED (protocol.md 6.10)."""

    status: str
    model_name: str | None = None
    wifi: WifiState | None = None


class HeadPosition(Message, frozen=True, kw_only=True):
    """The wearer looks ``up`` or ``down``."""

    position: str


class ButtonPress(Message, frozen=True, kw_only=True):
    """A button was pressed, ``short`` or ``long``."""

    button_id: str | None = None
    press_type: str | None = None


class TouchEvent(Message, frozen=True, kw_only=True):
    """A gesture on the touch pad (protocol.md 4.3)."""

    gesture_name: str = msgspec.field(name="gesture_name")
    device_model: str | None = msgspec.field(default=None, name="device_model")


class GlassesBatteryUpdate(Message, frozen=True, kw_only=True):
    """The glasses' battery; ``level`` 0 to 100."""

    level: Number
    charging: bool | None = None
    time_remaining: Number | None = None


class PhoneBatteryUpdate(Message, frozen=True, kw_only=True):
    """The phone's battery; ``level`` 0 to 100."""

    level: Number
    charging: bool | None = None
    time_remaining: Number | None = None


class Vad(Message, frozen=True, kw_only=True, tag="VAD"):
    """Somebody speaks, or does not: a boolean, or its text (protocol.md 6.2)."""

    status: bool | str


class LocalTranscription(Message, frozen=True, kw_only=True):
    """What the phone itself recognised; a transcription for the apps."""

    text: str
    is_final: bool | None = None
    start_time: Number | None = None
    end_time: Number | None = None
    speaker_id: Number | str | None = None
    transcribe_language: str | None = None
    provider: str | None = None


class Translation(Message, frozen=True, kw_only=True):
    """What a recogniser beside the phone has translated; relayed to apps of that pair (4.2)."""

    text: str
    transcribe_language: str | None = None
    translate_language: str | None = None


class LocationUpdate(Message, frozen=True, kw_only=True):
    """Where the user is; with ``correlation_id`` it answers one poll (protocol.md 6.8)."""

    lat: Number
    lng: Number
    accuracy: Number | None = None
    correlation_id: str | None = None


class VpsCoordinates(Message, frozen=True, kw_only=True):
    """A position from visual positioning."""

    device_model: str | None = None
    request_id: str | None = None
    x: Number | None = None
    y: Number | None = None
    z: Number | None = None
    qx: Number | None = None
    qy: Number | None = None
    qz: Number | None = None
    qw: Number | None = None
    confidence: Number | None = None


class CalendarEvent(Message, frozen=True, kw_only=True):
    """An entry of the user's calendar, told apart by ``event_id`` and ``dt_start``."""

    event_id: str
    title: str | None = None
    dt_start: Timestamp | None = None
    dt_end: Timestamp | None = None
    timezone: str | None = None
    time_stamp: Timestamp | None = None


class PhoneNotification(Message, frozen=True, kw_only=True):
    """A notification on the phone: ``low``, ``normal`` or ``high``."""

    notification_id: str | None = None
    app: str | None = None
    title: str | None = None
    content: str | None = None
    priority: str | None = None


class PhoneNotificationDismissed(Message, frozen=True, kw_only=True):
    """The user dismissed a notification."""

    notification_id: str | None = None
    app: str | None = None
    title: str | None = None
    content: str | None = None
    notification_key: str | None = None


class PhotoResponse(Message, frozen=True, kw_only=True):
    """What became of a photo; older phones use the flat error fields (protocol.md 6.3)."""

    request_id: str
    success: bool | None = None
    photo_url: str | None = None
    saved_to_gallery: bool | None = None
    error: PhotoError | str | None = None
    error_code: str | None = None
    error_message: str | None = None


class PhotoTaken(Message, frozen=True, kw_only=True):
    """A photo nobody asked for; only relayed."""

    photo_data: Any = None
    mime_type: str | None = None


class AudioPlayResponse(Message, frozen=True, kw_only=True):
    """What became of an ``audio_play_request``."""

    request_id: str
    success: bool
    error: str | None = None
    duration: Number | None = None


class RgbLedControlResponse(Message, frozen=True, kw_only=True):
    """What became of an ``rgb_led_control``."""

    request_id: str
    success: bool
    error: str | None = None


class RtmpStreamStatus(Message, frozen=True, kw_only=True):
    """How the camera's stream is (protocol.md 6.6)."""

    status: str
    stream_id: str | None = None
    error_details: str | None = None
    app_id: str | None = None
    stats: StreamStats | None = None


class KeepAliveAck(Message, frozen=True, kw_only=True):
    """Answers one ``keep_rtmp_stream_alive``."""

    stream_id: str
    ack_id: str


class DashboardState(Message, frozen=True, kw_only=True):
    """The dashboard is open or not; only relayed."""

    is_open: bool | None = None


class OpenDashboard(Message, frozen=True, kw_only=True):
    """The user opened the dashboard; only relayed."""


class LivekitInit(Message, frozen=True, kw_only=True):
    """Asks for ``livekit_info``: ``publish`` or ``subscribe``."""

    mode: str | None = None


class UdpRegister(Message, frozen=True, kw_only=True):
    """Offers audio over UDP; the hash is FNV-1a 32 of the user id."""

    user_id_hash: Number | None = None


class UdpUnregister(Message, frozen=True, kw_only=True):
    """Ends audio over UDP."""

    user_id_hash: Number | None = None


class Ping(Message, frozen=True, kw_only=True):
    """Asks for a ``pong``."""


FromGlasses: TypeAlias = (
    ConnectionInit
    | StartApp
    | StopApp
    | RequestSettings
    | SettingsUpdateRequest
    | CoreStatusUpdate
    | GlassesConnectionState
    | HeadPosition
    | ButtonPress
    | TouchEvent
    | GlassesBatteryUpdate
    | PhoneBatteryUpdate
    | Vad
    | LocalTranscription
    | Translation
    | LocationUpdate
    | VpsCoordinates
    | CalendarEvent
    | PhoneNotification
    | PhoneNotificationDismissed
    | PhotoResponse
    | PhotoTaken
    | AudioPlayResponse
    | RgbLedControlResponse
    | RtmpStreamStatus
    | KeepAliveAck
    | DashboardState
    | OpenDashboard
    | LivekitInit
    | UdpRegister
    | UdpUnregister
    | Ping
)
"""The closed union of this direction."""
