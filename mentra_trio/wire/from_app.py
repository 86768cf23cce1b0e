"""Everything an app says to the server (protocol.md 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from .message import Message, Number, Part
from .parts import AudioConfig, Layout, StreamConfig, VideoConfig


class AppMessage(Message, frozen=True, kw_only=True):
    """Common to all: both names are to be replaced by the identity of the link."""

    package_name: str | None = None


class TpaConnectionInit(AppMessage, frozen=True, kw_only=True):
    """The first frame of a link: who is there (protocol.md 2.3)."""

    session_id: str
    package_name: str
    api_key: str
    reconnect: Any = None
    """``True`` if this runtime was here before (seed 003). SDK 2.1.29 never says so."""
    reconnect_token: Any = None
    """From the latest ack: shows that it was. What is no text is none."""


class Reconnect(AppMessage, frozen=True, kw_only=True):
    """The first frame of a link of an SDK v3 that was here before (appendix A)."""


class Ping(AppMessage, frozen=True, kw_only=True):
    """Are you there? SDK v3 asks so, beside the protocol's own pings (appendix A)."""


class SubscriptionUpdate(AppMessage, frozen=True, kw_only=True):
    """The app's whole list of subscriptions; strings, or objects for ``location_stream``."""

    subscriptions: list[Any]


class DisplayEvent(AppMessage, frozen=True, kw_only=True):
    """Draw something. ``view`` is ``main`` or ``dashboard``; ``session_id`` is often empty."""

    layout: Layout
    view: str | None = None
    duration_ms: Number | None = None
    force_display: bool | None = None


class PhotoRequest(AppMessage, frozen=True, kw_only=True):
    """Take a photo and upload it to the app (protocol.md 6.3)."""

    request_id: str
    save_to_gallery: bool | None = None
    custom_webhook_url: str | None = None
    auth_token: str | None = None
    size: str | None = None
    compress: str | None = None


class AudioPlayRequest(AppMessage, frozen=True, kw_only=True):
    """Play ``audio_url`` at ``volume`` 0 to 1 on a track: 0 speaker, 1 app, 2 speech."""

    request_id: str
    audio_url: str
    volume: Number | None = None
    stop_other_audio: bool | None = None
    track_id: Number | None = None


class AudioStopRequest(AppMessage, frozen=True, kw_only=True):
    """Stop one track, or all of them."""

    track_id: Number | None = None


class RgbLedControl(AppMessage, frozen=True, kw_only=True):
    """Switch the LED; ``ontime`` and ``offtime`` in milliseconds."""

    request_id: str
    action: str
    color: str | None = None
    ontime: Number | None = None
    offtime: Number | None = None
    count: Number | None = None


class RequestWifiSetup(AppMessage, frozen=True, kw_only=True):
    """Ask the user to connect the glasses to a network."""

    reason: str | None = None


class RtmpStreamRequest(AppMessage, frozen=True, kw_only=True):
    """Stream the camera to the app's own RTMP address (protocol.md 6.6)."""

    rtmp_url: str
    video: VideoConfig | None = None
    audio: AudioConfig | None = None
    stream: StreamConfig | None = None


class RtmpStreamStop(AppMessage, frozen=True, kw_only=True):
    """End the app's RTMP stream."""

    stream_id: str | None = None


class RestreamDestination(Part, frozen=True, kw_only=True):
    """A further place to which a managed stream is sent."""

    url: str
    name: str | None = None


class ManagedStreamRequest(AppMessage, frozen=True, kw_only=True):
    """Stream the camera through a provider that gives viewers URLs (protocol.md 6.7)."""

    quality: str | None = None
    enable_webrtc: bool | None = msgspec.field(default=None, name="enableWebRTC")
    video: VideoConfig | None = None
    audio: AudioConfig | None = None
    stream: StreamConfig | None = None
    restream_destinations: Sequence[RestreamDestination] | None = None


class ManagedStreamStop(AppMessage, frozen=True, kw_only=True):
    """Stop watching the managed stream."""


class StreamStatusCheck(AppMessage, frozen=True, kw_only=True):
    """Ask whether the user streams; must be answered within 5 s."""


class LocationPollRequest(AppMessage, frozen=True, kw_only=True):
    """Ask for one location; the answer repeats ``correlation_id`` (protocol.md 6.8)."""

    correlation_id: str
    accuracy: str | None = None


class DashboardContentUpdate(AppMessage, frozen=True, kw_only=True):
    """The app's text on the dashboard, for ``main`` and/or ``expanded``.

    Old SDKs may send a layout instead of a text (protocol.md 5.6).
    """

    content: str | Layout
    modes: Sequence[str] | None = None


class DashboardModeChange(AppMessage, frozen=True, kw_only=True):
    """Change the dashboard's mode; heeded from the dashboard package only."""

    mode: str


class DashboardSystemUpdate(AppMessage, frozen=True, kw_only=True):
    """The text of a system section; heeded from the dashboard package only."""

    section: str
    content: str


class AppBroadcastMessage(AppMessage, frozen=True, kw_only=True):
    """A message to every other user of the same app (protocol.md 6.12).

    With ``room_id`` only to the other members of that room; SDK 2.1.29 never says so.
    """

    payload: Any = None
    message_id: str | None = None
    sender_user_id: str | None = None
    room_id: str | None = None


class AppDirectMessage(AppMessage, frozen=True, kw_only=True):
    """A message to one user of the same app; must be answered."""

    target_user_id: str
    message_id: str
    payload: Any = None
    sender_user_id: str | None = None


class RoomConfig(Part, frozen=True, kw_only=True):
    """How a room is made by the first who joins it."""

    max_users: Number | None = None
    is_private: bool | None = None
    metadata: Any = None


class AppRoomJoin(AppMessage, frozen=True, kw_only=True):
    """Join a room of the app, making it if need be."""

    room_id: str
    room_config: RoomConfig | None = None


class AppRoomLeave(AppMessage, frozen=True, kw_only=True):
    """Leave a room of the app."""

    room_id: str


class AppUserDiscovery(AppMessage, frozen=True, kw_only=True):
    """Ask who else uses the app; the SDK asks over HTTP instead."""

    include_user_profiles: bool | None = None


class OwnershipRelease(AppMessage, frozen=True, kw_only=True):
    """When my link closes, do not bring me back (protocol.md 2.10)."""

    reason: str | None = None


FromApp: TypeAlias = (
    TpaConnectionInit
    | Reconnect
    | Ping
    | SubscriptionUpdate
    | DisplayEvent
    | PhotoRequest
    | AudioPlayRequest
    | AudioStopRequest
    | RgbLedControl
    | RequestWifiSetup
    | RtmpStreamRequest
    | RtmpStreamStop
    | ManagedStreamRequest
    | ManagedStreamStop
    | StreamStatusCheck
    | LocationPollRequest
    | DashboardContentUpdate
    | DashboardModeChange
    | DashboardSystemUpdate
    | AppBroadcastMessage
    | AppDirectMessage
    | AppRoomJoin
    | AppRoomLeave
    | AppUserDiscovery
    | OwnershipRelease
)
"""The closed union of this direction."""
