"""What the cloud of a certification has to tell an app: events of the streams that it wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs
import msgspec

from ...domain.streams import DEFAULT_LANGUAGE, GESTURES, TOUCH_EVENT, parse_subscription
from ...wire.codec import encode
from ...wire.to_app import DataStream

NOTICEABLE: Final = frozenset(
    {
        "display_event",
        "dashboard_content_update",
        "audio_play_request",
        "audio_stop_request",
        "rgb_led_control",
        "photo_request",
    }
)
"""Messages of an app whose effect a user sees or hears."""

PROBES_MAX: Final = 6
"""So many of an app's streams are tried to find one that it answers."""

NOTIFICATION: Final = "phone_notification"
_NO_LANGUAGE: Final = frozenset({None, "auto", "all"})
_PLAIN: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "button_press": {"buttonId": "main", "pressType": "short"},
        "head_position": {"position": "up"},
        "glasses_battery_update": {"level": 50, "charging": False, "timeRemaining": 60},
        "phone_battery_update": {"level": 50, "charging": False, "timeRemaining": 60},
        "location_update": {"lat": 52.5, "lng": 13.4, "accuracy": 10},
        "VAD": {"status": True},
    }
)


@attrs.frozen(kw_only=True)
class Reaction:
    """What an app does on an event, as it was seen twice in the same way.

    Attributes:
        stream: the subscription whose event it was.
        times: how many noticeable messages carried the event's own words; 0 if the app answers
            without repeating them, and then only whether it answers can be told.
    """

    stream: str
    times: int


def event(session_id: str, stream: str, words: str, timestamp: str) -> str | None:
    """The frame of an event for the subscription ``stream``; ``None`` if we cannot make one.

    ``words`` is said, written or named in it, wherever the stream has a place for words.
    """
    data = _data(stream, words)
    if data is None:
        return None
    message = DataStream(
        session_id=session_id,
        timestamp=timestamp,
        stream_type=stream,
        data=msgspec.Raw(msgspec.json.encode(data)),
    )
    return encode(message)


def probes(subscriptions: Iterable[str]) -> list[str]:
    """The subscriptions worth trying, those whose events carry words first."""
    known = [stream for stream in sorted(subscriptions) if _data(stream, "") is not None]
    return sorted(known, key=lambda stream: not parse_subscription(stream).is_speech)[:PROBES_MAX]


def _data(stream: str, words: str) -> dict[str, Any] | None:
    """What an event of ``stream`` says (protocol.md 3.3, 4.2); ``None``: not one that we make."""
    wanted = parse_subscription(stream)
    plain = _PLAIN.get(stream)
    data: dict[str, Any] | None = None if plain is None else dict(plain)
    if wanted.is_speech:
        language = DEFAULT_LANGUAGE if wanted.language in _NO_LANGUAGE else wanted.language
        times = {"startTime": 0, "endTime": 900, "speakerId": "1"}
        data = {"text": words, "isFinal": True, "transcribeLanguage": language, **times}
        if wanted.target_language:
            data |= {"translateLanguage": wanted.target_language, "didTranslate": True}
    elif wanted.stream == TOUCH_EVENT:
        data = {"gesture_name": wanted.gesture or GESTURES[0], "device_model": "certify"}
    elif stream == NOTIFICATION:
        data = {"app": "certify", "title": words, "content": words, "priority": "normal"}
    return None if data is None else {"type": wanted.stream, **data}
