"""What an app's handlers are given: the data of streams, decoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import attrs
import msgspec

from ..wire.from_glasses import (
    ButtonPress,
    CalendarEvent,
    GlassesBatteryUpdate,
    GlassesConnectionState,
    HeadPosition,
    LocationUpdate,
    PhoneBatteryUpdate,
    PhoneNotification,
    PhoneNotificationDismissed,
    PhotoTaken,
    TouchEvent,
    Vad,
    VpsCoordinates,
)
from ..wire.message import Number, Part
from ..wire.to_app import ManagedStreamStatus, RtmpStreamStatus


class Transcription(Part, frozen=True, kw_only=True):
    """What was said (protocol.md 4.2); the times are the recogniser's own."""

    text: str
    is_final: bool = True
    transcribe_language: str | None = None
    detected_language: str | None = None
    utterance_id: str | None = None
    start_time: Number | None = None
    end_time: Number | None = None
    speaker_id: str | int | None = None
    provider: str | None = None
    confidence: Number | None = None


class Translation(Part, frozen=True, kw_only=True):
    """What was said, in another language (protocol.md 4.2)."""

    text: str
    is_final: bool = True
    original_text: str | None = None
    transcribe_language: str | None = None
    translate_language: str | None = None
    did_translate: bool | None = None
    speaker_id: str | int | None = None


@attrs.frozen(kw_only=True)
class Reconnected:
    """A session's connection was lost, and it has another one.

    Attributes:
        resurrected: whether the server had given it up, and was about to begin another.
        subscriptions: which streams the server still knew it to want, in the words of the wire;
            ``None`` if the server has not said so. They are asked for again in any case.
    """

    resurrected: bool
    subscriptions: Sequence[Any] | None


class MissedMessages(Part, frozen=True, kw_only=True):
    """What was lost while the app was away: how many messages, since when (ISO 8601), and why."""

    count: int = 0
    since: str = ""
    reason: str = ""

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> MissedMessages:
        """As the server told it; what cannot be understood is left at its default."""
        try:
            return msgspec.convert(payload, cls)
        except msgspec.ValidationError:
            return cls()


_KINDS: Final[Mapping[str, type[msgspec.Struct]]] = MappingProxyType(
    {
        "transcription": Transcription,
        "translation": Translation,
        "button_press": ButtonPress,
        "head_position": HeadPosition,
        "touch_event": TouchEvent,
        "location_update": LocationUpdate,
        "location_stream": LocationUpdate,
        "glasses_battery_update": GlassesBatteryUpdate,
        "phone_battery_update": PhoneBatteryUpdate,
        "glasses_connection_state": GlassesConnectionState,
        "phone_notification": PhoneNotification,
        "phone_notification_dismissed": PhoneNotificationDismissed,
        "calendar_event": CalendarEvent,
        "VAD": Vad,
        "vps_coordinates": VpsCoordinates,
        "photo_taken": PhotoTaken,
        "rtmp_stream_status": RtmpStreamStatus,
        "managed_stream_status": ManagedStreamStatus,
    }
)


def decode_event(stream_type: str, data: msgspec.Raw) -> Any:
    """The event in the data of a stream: a class of this module or of ``wire.from_glasses``.

    Streams without a class of their own give what the JSON says.

    Raises:
        msgspec.MsgspecError: the data is not what the stream carries.
    """
    kind: Any = _KINDS.get(stream_type.partition(":")[0].partition("?")[0], Any)
    return msgspec.json.decode(data, type=kind)
