"""An app's list of subscriptions: what is kept of it and what it hears."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.streams import LOCATION_TIERS, StreamEvent
from mentra_trio.domain.subscriptions import (
    CHARACTERS_MAX,
    ENTRIES_MAX,
    NOTHING,
    SubscriptionSet,
    decide_update,
)

texts = st.sampled_from(
    [
        *("button_press", "audio_chunk", "*", "all", "touch_event", "touch_event:double_tap"),
        *("transcription:en-US", "transcription:en-US?hints=en%2Cfr", "transcription"),
        *("transcription:auto", "translation:es-ES-to-en-US", "location_update"),
        *("location_stream", "VAD", "never heard of", "augmentos:*"),
    ]
)
requests = st.builds(
    lambda rate: {"stream": "location_stream", "rate": rate}, st.sampled_from(LOCATION_TIERS)
)
junk = st.one_of(
    st.none(), st.booleans(), st.integers(), st.lists(texts), st.dictionaries(texts, texts)
)
wire_lists = st.lists(st.one_of(texts, requests, junk), max_size=12)
events = st.one_of(
    st.sampled_from(["button_press", "location_update", "audio_chunk", "VAD"]).map(
        lambda stream: StreamEvent(stream=stream)
    ),
    st.sampled_from(["en-US", "en-GB", "de-DE"]).map(
        lambda language: StreamEvent(stream="transcription", language=language)
    ),
    st.sampled_from(["double_tap", "single_tap"]).map(
        lambda gesture: StreamEvent(stream="touch_event", gesture=gesture)
    ),
)


def subscribed(*entries: object) -> SubscriptionSet:
    return SubscriptionSet.from_wire(entries)


@given(wire_lists)
def test_no_text_is_kept_twice_and_the_order_is_that_of_the_list(entries: list[Any]) -> None:
    kept = SubscriptionSet.from_wire(entries).texts

    named = [e if isinstance(e, str) else "location_stream" for e in entries if understood(e)]
    assert list(kept) == list(dict.fromkeys(named))


def understood(entry: Any) -> bool:
    return isinstance(entry, str) or (
        isinstance(entry, dict) and entry.get("stream") == "location_stream"
    )


@given(entries=wire_lists, event=events)
def test_an_event_is_heard_once_under_each_name(entries: list[Any], event: StreamEvent) -> None:
    subscriptions = SubscriptionSet.from_wire(entries)

    heard = subscriptions.matching(event)

    assert len(heard) == len(set(heard))
    assert set(heard) <= {*subscriptions.texts, event.name}


@given(wire_lists)
def test_the_same_list_makes_the_same_set(entries: list[Any]) -> None:
    once = SubscriptionSet.from_wire(entries)

    assert once == SubscriptionSet.from_wire(list(entries))
    assert hash(once) == hash(SubscriptionSet.from_wire(list(entries)))
    assert SubscriptionSet.from_wire(once.texts).texts == once.texts


def test_two_entries_for_one_gesture_are_two_messages() -> None:
    both = subscribed("touch_event", "touch_event:double_tap")

    double = StreamEvent(stream="touch_event", gesture="double_tap")
    single = StreamEvent(stream="touch_event", gesture="single_tap")
    assert both.matching(double) == ("touch_event", "touch_event:double_tap")
    assert both.matching(single) == ("touch_event",)


def test_a_wildcard_beside_the_name_itself_is_one_message() -> None:
    event = StreamEvent(stream="button_press")

    assert subscribed("*", "button_press", "all").matching(event) == ("button_press",)


def test_options_are_echoed_character_for_character() -> None:
    wanted = subscribed("transcription:auto?hints=en%2Cfr", "transcription:en-US")
    event = StreamEvent(stream="transcription", language="en-US")

    assert wanted.matching(event) == ("transcription:auto?hints=en%2Cfr", "transcription:en-US")


def test_malformed_entries_are_dropped_and_the_others_stay() -> None:
    entries = [
        *(None, 7, True, "", [], ["button_press"], {}, {"stream": "audio_chunk"}),
        *({"stream": 7}, {"rate": "high"}, {"stream": ["location_stream"]}, "x" * 513),
        *("x" * CHARACTERS_MAX, "button_press"),
    ]

    assert subscribed(*entries).texts == ("x" * CHARACTERS_MAX, "button_press")


def test_a_list_is_bounded() -> None:
    long = subscribed(*(f"stream {n}" for n in range(ENTRIES_MAX + 50)))

    assert len(long.texts) == ENTRIES_MAX
    assert long.texts[-1] == f"stream {ENTRIES_MAX - 1}"


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([], False),
        (["button_press"], False),
        (["transcription:en-US"], False),
        (["audio_chunk:16000"], False),
        (["audio_chunk"], True),
        (["*"], True),
        (["all"], True),
    ],
)
def test_who_gets_audio(entries: list[str], wanted: bool) -> None:
    assert subscribed(*entries).wants_audio == wanted


@pytest.mark.parametrize(
    ("entries", "tier"),
    [
        ([], None),
        (["button_press", "*"], None),
        (["location_update"], "standard"),
        (["location_stream"], "standard"),
        ([{"stream": "location_stream", "rate": "reduced"}], "reduced"),
        ([{"stream": "location_stream", "rate": "realtime"}, "location_update"], "realtime"),
        (["location_update", {"stream": "location_stream", "rate": "reduced"}], "reduced"),
        (["location_stream", {"stream": "location_stream", "rate": "high"}], "high"),
        (
            [
                {"stream": "location_stream", "rate": "high"},
                {"stream": "location_stream", "rate": "kilometer"},
            ],
            "high",
        ),
        ([{"stream": "location_stream", "rate": "warp"}], "standard"),
        ([{"stream": "location_stream", "rate": ["high"]}], "standard"),
        ([{"stream": "location_stream"}], "standard"),
    ],
)
def test_how_exactly_an_app_wants_locations(entries: list[Any], tier: str | None) -> None:
    assert subscribed(*entries).location_tier == tier


@given(current=wire_lists, requested=wire_lists, held=st.booleans())
def test_a_list_replaces_the_one_before_unless_it_is_empty_and_held(
    current: list[Any], requested: list[Any], held: bool
) -> None:
    before, asked = SubscriptionSet.from_wire(current), SubscriptionSet.from_wire(requested)

    after = decide_update(before, asked, held=held)

    assert after == (before if held and asked.is_empty else asked)


def test_a_burst_ends_in_its_last_list() -> None:
    state = NOTHING
    for entries in ([], ["audio_chunk"], ["audio_chunk", "transcription:en-US"]):
        state = decide_update(state, SubscriptionSet.from_wire(entries), held=False)

    assert state.texts == ("audio_chunk", "transcription:en-US")
    assert NOTHING.is_empty and not state.is_empty
