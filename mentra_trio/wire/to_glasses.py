"""Everything the server says to the glasses and the phone behind them (protocol.md 3.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from .message import Message, Number, Part
from .parts import AudioConfig, Layout, StreamConfig, VideoConfig


class Livekit(Part, frozen=True, kw_only=True):
    """Where audio can be published with LiveKit."""

    url: str
    room_name: str
    token: str


class UdpEncryption(Part, frozen=True, kw_only=True):
    """How audio over UDP is encrypted."""

    key: str
    algorithm: str


class ConnectionAck(Message, frozen=True, kw_only=True):
    """The glasses are attached; ``session_id`` is the user id (protocol.md 2.15)."""

    session_id: str
    user_session: Any = None
    livekit: Livekit | None = None
    udp_host: str | None = None
    udp_port: Number | None = None
    udp_encryption: UdpEncryption | None = None
    env: str | None = None


class ConnectionError(Message, frozen=True, kw_only=True):  # noqa: A001  (named as on the wire)
    """The glasses are not let in; also the body of the HTTP answer 401."""

    message: str
    code: str | None = None


class AuthError(Message, frozen=True, kw_only=True):
    """The core token is not accepted."""

    message: str
    code: str | None = None


class AppStateChange(Message, frozen=True, kw_only=True):
    """Something about the user's apps changed; the phone then fetches the list anew."""

    user_session: Any = None
    error: str | None = None


class AppStopped(Message, frozen=True, kw_only=True):
    """An app is gone for good."""

    package_name: str


class DisplayEvent(Message, frozen=True, kw_only=True):
    """Draw something: the app's object (protocol.md 5)."""

    package_name: str
    view: str
    layout: Layout
    duration_ms: Number | None = None


class MicrophoneStateChange(Message, frozen=True, kw_only=True):
    """Switch the microphone (protocol.md 6.1)."""

    is_microphone_enabled: bool
    required_data: Sequence[str]
    bypass_vad: bool | None = None
    user_session: Any = None


class SettingsUpdate(Message, frozen=True, kw_only=True):
    """The MentraOS settings, all of them."""

    settings: Mapping[str, Any]
    success: bool | None = None
    message: str | None = None


class PhotoRequest(Message, frozen=True, kw_only=True):
    """Take a photo and upload it to ``webhook_url`` (protocol.md 6.3)."""

    request_id: str
    app_id: str
    webhook_url: str | None = None
    auth_token: str | None = None
    size: str | None = None
    compress: str | None = None
    save_to_gallery: bool | None = None


class AudioPlayRequest(Message, frozen=True, kw_only=True):
    """Play ``audio_url``. Two names for the app: phones read one or the other."""

    request_id: str
    audio_url: str
    package_name: str | None = None
    app_id: str | None = None
    volume: Number | None = None
    stop_other_audio: bool | None = None
    track_id: Number | None = None


class AudioStopRequest(Message, frozen=True, kw_only=True):
    """Stop one of the app's tracks, or all of them."""

    app_id: str
    track_id: Number | None = None


class RgbLedControl(Message, frozen=True, kw_only=True):
    """Switch the LED; ``ontime`` and ``offtime`` in milliseconds."""

    request_id: str
    action: str
    package_name: str | None = None
    app_id: str | None = None
    color: str | None = None
    ontime: Number | None = None
    offtime: Number | None = None
    count: Number | None = None


class ShowWifiSetup(Message, frozen=True, kw_only=True):
    """Let the user connect the glasses to a network."""

    reason: str | None = None
    app_package_name: str | None = None


class StartRtmpStream(Message, frozen=True, kw_only=True):
    """Stream the camera; ``app_id`` is a package name or ``MANAGED_STREAM``."""

    rtmp_url: str
    app_id: str
    stream_id: str | None = None
    video: VideoConfig | None = None
    audio: AudioConfig | None = None
    stream: StreamConfig | None = None


class StopRtmpStream(Message, frozen=True, kw_only=True):
    """End a stream."""

    app_id: str
    stream_id: str | None = None


class KeepRtmpStreamAlive(Message, frozen=True, kw_only=True):
    """Is the stream alive? Answered by ``keep_alive_ack`` with the same ``ack_id``."""

    stream_id: str
    ack_id: str


class SetLocationTier(Message, frozen=True, kw_only=True):
    """How exactly the phone is to watch its location (protocol.md 4.4)."""

    tier: str


class RequestSingleLocation(Message, frozen=True, kw_only=True):
    """Asks for one location; the answer repeats ``correlation_id``."""

    accuracy: str
    correlation_id: str


class DashboardModeChange(Message, frozen=True, kw_only=True):
    """Defined, not used by v2 phones."""

    mode: str


class DashboardAlwaysOnChange(Message, frozen=True, kw_only=True):
    """Defined, not used by v2 phones."""

    enabled: bool


class LivekitInfo(Message, frozen=True, kw_only=True):
    """Where audio can be published with LiveKit: the answer to ``livekit_init``."""

    url: str
    room_name: str
    token: str


class UdpPingAck(Message, frozen=True, kw_only=True):
    """Audio over UDP works."""


class Ping(Message, frozen=True, kw_only=True):
    """Asks for a ``pong``."""


class Pong(Message, frozen=True, kw_only=True):
    """Answers a ``ping``."""


class WebsocketError(Message, frozen=True, kw_only=True):
    """Defined, unused."""

    code: str | None = None
    message: str | None = None


ToGlasses: TypeAlias = (
    ConnectionAck
    | ConnectionError
    | AuthError
    | AppStateChange
    | AppStopped
    | DisplayEvent
    | MicrophoneStateChange
    | SettingsUpdate
    | PhotoRequest
    | AudioPlayRequest
    | AudioStopRequest
    | RgbLedControl
    | ShowWifiSetup
    | StartRtmpStream
    | StopRtmpStream
    | KeepRtmpStreamAlive
    | SetLocationTier
    | RequestSingleLocation
    | DashboardModeChange
    | DashboardAlwaysOnChange
    | LivekitInfo
    | UdpPingAck
    | Ping
    | Pong
    | WebsocketError
)
"""The closed union of this direction."""
