"""Which stream needs which permission."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.permissions import (
    permits,
    required_permission,
    split_by_permission,
)
from mentra_trio.domain.streams import StreamEvent, parse_subscription
from mentra_trio.domain.subscriptions import SubscriptionSet

NONE: frozenset[str] = frozenset()
KINDS = [
    *("MICROPHONE", "LOCATION", "BACKGROUND_LOCATION", "CALENDAR", "READ_NOTIFICATIONS"),
    *("NOTIFICATIONS", "POST_NOTIFICATIONS", "CAMERA", "ALL"),
]
STREAMS = [
    *("button_press", "audio_chunk", "VAD", "transcription", "transcription:auto", "translation"),
    *("transcription:en-US?hints=de", "translation:all-to-en-US", "location_update"),
    *("location_stream", "calendar_event", "phone_notification", "phone_notification_dismissed"),
    *("*", "all", "touch_event:double_tap", "never heard of"),
]
grants = st.frozensets(st.sampled_from(KINDS))


@pytest.mark.parametrize(
    ("text", "permission"),
    [
        ("audio_chunk", "MICROPHONE"),
        ("VAD", "MICROPHONE"),
        ("transcription", "MICROPHONE"),
        ("transcription:auto", "MICROPHONE"),
        ("transcription:auto?hints=en%2Cfr", "MICROPHONE"),
        ("transcription:no such language", "MICROPHONE"),
        ("translation", "MICROPHONE"),
        ("translation:es-ES-to-en-US", "MICROPHONE"),
        ("location_update", "LOCATION"),
        ("location_stream", "LOCATION"),
        ("calendar_event", "CALENDAR"),
        ("phone_notification", "READ_NOTIFICATIONS"),
        ("phone_notification_dismissed", "READ_NOTIFICATIONS"),
        ("button_press", None),
        ("touch_event:double_tap", None),
        ("photo_taken", None),
        ("augmentos:brightness", None),
        ("*", None),
        ("all", None),
        ("never heard of", None),
    ],
)
def test_what_a_stream_needs(text: str, permission: str | None) -> None:
    assert required_permission(parse_subscription(text)) == permission


@pytest.mark.parametrize(
    ("granted", "streams"),
    [
        ("MICROPHONE", {"audio_chunk", "VAD", "transcription", "translation"}),
        ("LOCATION", {"location_update", "location_stream"}),
        ("BACKGROUND_LOCATION", {"location_update", "location_stream"}),
        ("CALENDAR", {"calendar_event"}),
        ("READ_NOTIFICATIONS", {"phone_notification", "phone_notification_dismissed"}),
        ("NOTIFICATIONS", {"phone_notification", "phone_notification_dismissed"}),
        ("POST_NOTIFICATIONS", set()),
        ("CAMERA", set()),
        (
            "ALL",
            {
                *("audio_chunk", "VAD", "transcription", "translation", "location_update"),
                *("location_stream", "calendar_event", "phone_notification"),
                "phone_notification_dismissed",
            },
        ),
    ],
)
def test_what_a_permission_grants(granted: str, streams: set[str]) -> None:
    guarded = {text for text in STREAMS if ":" not in text} - {"*", "all"}
    guarded -= {"button_press", "never heard of"}

    heard = {text for text in guarded if permits(StreamEvent(stream=text), frozenset({granted}))}

    assert heard == streams


@given(texts=st.lists(st.sampled_from(STREAMS)), granted=grants)
def test_every_entry_is_allowed_or_rejected_and_keeps_its_place(
    texts: list[str], granted: frozenset[str]
) -> None:
    requested = SubscriptionSet.from_wire(texts)

    allowed, rejected = split_by_permission(requested, granted)

    refused = [rejection.stream for rejection in rejected]
    assert sorted([*allowed.texts, *refused]) == sorted(requested.texts)
    assert list(allowed.texts) == [text for text in requested.texts if text not in refused]
    assert refused == [text for text in requested.texts if text in refused]
    for rejection in rejected:
        assert rejection.required_permission not in granted
        assert rejection.stream in rejection.message
        assert rejection.required_permission in rejection.message


@given(texts=st.lists(st.sampled_from(STREAMS)), granted=grants, more=grants)
def test_more_permissions_never_allow_less(
    texts: list[str], granted: frozenset[str], more: frozenset[str]
) -> None:
    requested = SubscriptionSet.from_wire(texts)

    fewer, _ = split_by_permission(requested, granted)
    all_of_it, _ = split_by_permission(requested, granted | more)

    assert set(fewer.texts) <= set(all_of_it.texts)


def test_all_allows_everything_and_nothing_allows_what_is_free() -> None:
    requested = SubscriptionSet.from_wire(STREAMS)

    assert split_by_permission(requested, frozenset({"ALL"})) == (requested, ())
    allowed, _ = split_by_permission(requested, NONE)
    assert allowed.texts == ("button_press", "*", "all", "touch_event:double_tap", "never heard of")


def test_a_rejection_says_what_is_missing() -> None:
    requested = SubscriptionSet.from_wire(["audio_chunk", "button_press"])

    allowed, (rejection,) = split_by_permission(requested, NONE)

    assert allowed.texts == ("button_press",)
    assert (rejection.stream, rejection.required_permission) == ("audio_chunk", "MICROPHONE")


def test_a_wildcard_is_allowed_but_hears_only_what_is_permitted() -> None:
    allowed, rejected = split_by_permission(SubscriptionSet.from_wire(["*"]), NONE)

    assert allowed.texts == ("*",) and rejected == ()
    assert permits(StreamEvent(stream="button_press"), NONE)
    assert not permits(StreamEvent(stream="transcription", language="en-US"), NONE)
    assert not permits(StreamEvent(stream="location_update"), frozenset({"CALENDAR"}))
