"""Everything the server says to an app (protocol.md 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from .message import Message, Number, Part, Timestamp
from .parts import PhotoError, StreamStats


class TpaConnectionAck(Message, frozen=True, kw_only=True):
    """The init is accepted (protocol.md 2.4).

    ``capabilities`` is written even when it is null. ``augmentos_settings`` is a copy of
    ``mentraos_settings`` for older SDKs.
    """

    settings: Sequence[Any]
    mentraos_settings: Mapping[str, Any]
    capabilities: Mapping[str, Any] | None
    augmentos_settings: Mapping[str, Any] | None = None
    reconnect_token: str | None = None
    user_id: str | None = None
    subscriptions: Sequence[Any] | None = None
    config: Mapping[str, Any] | None = None
    resurrected: bool | None = None


class ReconnectAck(Message, frozen=True, kw_only=True):
    """The ack of a ``reconnect`` of SDK v3: what the server kept, and all that an ack says."""

    user_id: str
    subscriptions: Sequence[Any]
    settings: Sequence[Any]
    mentraos_settings: Mapping[str, Any]
    capabilities: Mapping[str, Any] | None
    reconnect_token: str | None = None


class ReconnectRejected(Message, frozen=True, kw_only=True):
    """A ``reconnect`` is not accepted; ``code`` says whether an init would be."""

    code: str
    message: str


class ReconnectDeferred(Message, frozen=True, kw_only=True):
    """A ``reconnect`` will be answered later; the link stays open for ``timeout_ms``."""

    code: str
    message: str
    timeout_ms: int


class Pong(Message, frozen=True, kw_only=True):
    """Yes, I am."""


class TpaConnectionError(Message, frozen=True, kw_only=True):
    """The init is not accepted; the close that follows decides what the app does."""

    message: str
    code: str | None = None


class ConnectionError(Message, frozen=True, kw_only=True):  # noqa: A001  (named as on the wire)
    """The same under its other name."""

    message: str
    code: str | None = None


class AppStopped(Message, frozen=True, kw_only=True):
    """The app session is over: ``user_disabled``, ``system_stop`` or ``error``."""

    reason: str | None = None
    message: str | None = None


class DataStream(Message, frozen=True, kw_only=True):
    """One event of a stream. ``stream_type`` is the subscriber's own string, verbatim (4.8)."""

    stream_type: str
    data: msgspec.Raw


class SettingsUpdate(Message, frozen=True, kw_only=True):
    """The app's own settings changed; to be followed by ``augmentos_settings_update``."""

    settings: Sequence[Any]
    package_name: str | None = None


class AugmentosSettingsUpdate(Message, frozen=True, kw_only=True):
    """The MentraOS settings, always all of them (protocol.md 6.9)."""

    settings: Mapping[str, Any]


class CapabilitiesUpdate(Message, frozen=True, kw_only=True):
    """The glasses changed; both fields are written even when they are null."""

    capabilities: Mapping[str, Any] | None
    model_name: str | None


class DeviceStateUpdate(Message, frozen=True, kw_only=True):
    """What changed about the glasses, or all of it (protocol.md 2.6, 6.10)."""

    state: Mapping[str, Any]
    full_snapshot: bool | None = None


class PermissionErrorDetail(Part, frozen=True, kw_only=True):
    """One rejected stream."""

    stream: str
    required_permission: str
    message: str


class PermissionError(Message, frozen=True, kw_only=True):  # noqa: A001  (named as on the wire)
    """Some subscriptions were rejected (protocol.md 4.7)."""

    message: str
    details: Sequence[PermissionErrorDetail]


class PhotoResponse(Message, frozen=True, kw_only=True):
    """What became of a photo; SDK 2.1.29 ignores it."""

    request_id: str
    success: bool | None = None
    photo_url: str | None = None
    saved_to_gallery: bool | None = None
    error: PhotoError | str | None = None
    error_code: str | None = None
    error_message: str | None = None


class AudioPlayResponse(Message, frozen=True, kw_only=True):
    """What became of an ``audio_play_request``; ``duration`` as the glasses measured it."""

    request_id: str
    success: bool
    error: str | None = None
    duration: Number | None = None


class RgbLedControlResponse(Message, frozen=True, kw_only=True):
    """What became of an ``rgb_led_control``; SDK 2.1.29 ignores it."""

    request_id: str
    success: bool
    error: str | None = None


class RtmpStreamStatus(Message, frozen=True, kw_only=True):
    """How the app's RTMP stream is (protocol.md 6.6)."""

    status: str
    stream_id: str | None = None
    error_details: str | None = None
    app_id: str | None = None
    stats: StreamStats | None = None


class StreamOutput(Part, frozen=True, kw_only=True):
    """One place to which a managed stream is sent: ``active``, ``error`` or ``stopped``."""

    url: str
    status: str
    name: str | None = None
    error: str | None = None


class ManagedStreamStatus(Message, frozen=True, kw_only=True):
    """How the managed stream is (protocol.md 6.7)."""

    status: str
    stream_id: str | None = None
    hls_url: str | None = None
    dash_url: str | None = None
    webrtc_url: str | None = None
    preview_url: str | None = None
    thumbnail_url: str | None = None
    message: str | None = None
    outputs: Sequence[StreamOutput] | None = None


class StreamInfo(Part, frozen=True, kw_only=True):
    """The stream that exists: ``kind`` is ``managed`` or ``unmanaged``."""

    kind: str = msgspec.field(name="type")
    stream_id: str
    status: str
    created_at: Timestamp
    hls_url: str | None = None
    dash_url: str | None = None
    webrtc_url: str | None = None
    preview_url: str | None = None
    thumbnail_url: str | None = None
    active_viewers: Number | None = None
    rtmp_url: str | None = None
    requesting_app_id: str | None = None


class StreamStatusCheckResponse(Message, frozen=True, kw_only=True):
    """Whether the user streams."""

    has_active_stream: bool
    stream_info: StreamInfo | None = None


class DashboardModeChanged(Message, frozen=True, kw_only=True):
    """The dashboard's mode changed."""

    mode: str


class DashboardAlwaysOnChanged(Message, frozen=True, kw_only=True):
    """Defined, but not to be sent: SDK 2.1.29 lacks the method behind it."""

    enabled: bool


class CustomMessage(Message, frozen=True, kw_only=True):
    """A message without a type of its own, such as ``update_datetime``."""

    action: str
    payload: Any = None


MISSED: Final = "messages_missed"
"""``action`` of the ``custom_message`` in which the server tells an app of a gap."""


class AppMessageReceived(Message, frozen=True, kw_only=True):
    """Another user of the app sent a message (protocol.md 6.12)."""

    payload: Any
    message_id: str
    sender_user_id: str
    sender_session_id: str
    room_id: str | None = None


class AppDirectMessageResponse(Message, frozen=True, kw_only=True):
    """What became of an ``app_direct_message``."""

    message_id: str
    success: bool
    target_user_id: str
    error: str | None = None


class AppUserJoined(Message, frozen=True, kw_only=True):
    """A user of the app came."""

    user_id: str
    session_id: str
    joined_at: Timestamp
    room_id: str | None = None
    user_profile: Any = None


class AppUserLeft(Message, frozen=True, kw_only=True):
    """A user of the app went."""

    user_id: str
    session_id: str
    left_at: Timestamp
    room_id: str | None = None


class RoomData(Part, frozen=True, kw_only=True):
    """How a room is."""

    member_count: Number
    max_users: Number | None = None
    is_private: bool | None = None
    metadata: Any = None


class AppRoomUpdated(Message, frozen=True, kw_only=True):
    """A room changed: ``user_joined``, ``user_left``, ``config_changed`` or ``room_closed``."""

    room_id: str
    update_type: str
    room_data: RoomData


class WebsocketError(Message, frozen=True, kw_only=True):
    """Defined, but never sent: SDK 2.1.29 does not know it."""

    code: str | None = None
    message: str | None = None


ToApp: TypeAlias = (
    TpaConnectionAck
    | ReconnectAck
    | ReconnectRejected
    | ReconnectDeferred
    | Pong
    | TpaConnectionError
    | ConnectionError
    | AppStopped
    | DataStream
    | SettingsUpdate
    | AugmentosSettingsUpdate
    | CapabilitiesUpdate
    | DeviceStateUpdate
    | PermissionError
    | PhotoResponse
    | AudioPlayResponse
    | RgbLedControlResponse
    | RtmpStreamStatus
    | ManagedStreamStatus
    | StreamStatusCheckResponse
    | DashboardModeChanged
    | DashboardAlwaysOnChanged
    | CustomMessage
    | AppMessageReceived
    | AppDirectMessageResponse
    | AppUserJoined
    | AppUserLeft
    | AppRoomUpdated
    | WebsocketError
)
"""The closed union of this direction."""
