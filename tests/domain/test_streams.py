"""What an app asks for, what an event offers, and whether the two meet."""

from __future__ import annotations

import json
from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.streams import (
    GESTURES,
    LOCATION_TIERS,
    WILDCARDS,
    StreamEvent,
    Subscription,
    finest_tier,
    is_language,
    matches,
    parse_subscription,
    print_subscription,
    stream_type_for,
    touch_stream,
    transcription_stream,
    translation_stream,
)

PLAIN: Final = ("button_press", "head_position", "VAD", "audio_chunk", "custom_message", "newer")

languages = st.from_regex(r"[a-z]{2,3}-[A-Z]{2}", fullmatch=True)
words = st.text(st.characters(codec="utf-8"), max_size=20)
gestures = st.sampled_from(GESTURES)
stream_texts = st.one_of(
    words,
    st.sampled_from([*PLAIN, "transcription", "translation", "touch_event", "location_update"]),
    st.sampled_from(["location_stream", "*", "all", "augmentos:*", "augmentos:brightness"]),
    st.builds(transcription_stream, st.one_of(languages, st.just("auto"), words)),
    st.builds(translation_stream, st.one_of(languages, st.just("all"), words), languages),
    st.builds(touch_stream, st.one_of(gestures, words)),
)
events = st.one_of(
    st.builds(StreamEvent, stream=st.sampled_from(PLAIN) | words),
    st.builds(StreamEvent, stream=st.just("transcription"), language=st.none() | languages),
    st.builds(
        StreamEvent,
        stream=st.just("translation"),
        language=languages,
        target_language=languages,
    ),
    st.builds(StreamEvent, stream=st.just("touch_event"), gesture=st.none() | gestures),
    st.builds(StreamEvent, stream=st.sampled_from(["location_update", "location_stream"])),
    st.builds(StreamEvent, stream=words.map(lambda key: f"augmentos:{key}")),
)

meetings = events.flatmap(
    lambda event: st.tuples(
        st.one_of(stream_texts, st.just(event.name), st.just(event.stream)), st.just(event)
    )
)
"""A subscription's text and an event, which often, but not always, fit."""


def hears(text: str, event: StreamEvent) -> bool:
    return matches(parse_subscription(text), event)


def spoken(language: str | None) -> StreamEvent:
    return StreamEvent(stream="transcription", language=language)


def translated(source: str, target: str) -> StreamEvent:
    return StreamEvent(stream="translation", language=source, target_language=target)


@given(events, events)
def test_events_are_told_apart_by_their_keys(one: StreamEvent, other: StreamEvent) -> None:
    again = attrs.evolve(one)
    assert again == one
    assert again.key == one.key
    assert (one.key == other.key) is (one == other)
    assert one.name_size >= len(one.stream)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (StreamEvent(stream="a"), StreamEvent(stream="a", identified=False)),
        (StreamEvent(stream="a", language="b"), StreamEvent(stream="a", gesture="b")),
        (StreamEvent(stream="('a', 'b', None)"), StreamEvent(stream="a", language="b")),
    ],
)
def test_alike_events_have_keys_of_their_own(one: StreamEvent, other: StreamEvent) -> None:
    assert one.key != other.key


# ---- parse and print


@given(stream_texts)
def test_what_is_parsed_is_printed_as_it_was(text: str) -> None:
    assert print_subscription(parse_subscription(text)) == text


@given(stream_texts)
def test_parsing_what_was_printed_changes_nothing(text: str) -> None:
    once = parse_subscription(text)

    assert parse_subscription(print_subscription(once)) == once


@given(language=languages | st.just("auto"), hints=st.lists(languages), identify=st.booleans())
def test_a_transcription_that_was_printed_is_understood(
    language: str, hints: list[str], identify: bool
) -> None:
    text = transcription_stream(language, hints=hints, identify_language=identify)

    parsed = parse_subscription(text)

    assert (parsed.stream, parsed.language) == ("transcription", language)
    options = dict(parsed.options)
    assert options.get("hints", "") == ",".join(hints)
    assert ("no-language-identification" in options) == (not identify)


@given(source=languages | st.just("all"), target=languages, identify=st.booleans())
def test_a_translation_that_was_printed_is_understood(
    source: str, target: str, identify: bool
) -> None:
    parsed = parse_subscription(translation_stream(source, target, identify_language=identify))

    assert parsed.stream == "translation"
    assert (parsed.language, parsed.target_language) == (source, target)
    assert bool(parsed.options) == (not identify)


def test_hints_are_spelled_as_the_sdk_spells_them() -> None:
    text = transcription_stream("auto", hints=["en", "fr"])

    assert text == "transcription:auto?hints=en%2Cfr"
    assert parse_subscription(text).options == (("hints", "en,fr"),)


@given(gestures)
def test_a_gesture_that_was_printed_is_understood(gesture: str) -> None:
    assert parse_subscription(touch_stream(gesture)).gesture == gesture
    assert parse_subscription(touch_stream()).gesture is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "transcription:",
        "transcription:en",
        "transcription:english",
        "transcription:EN-us",
        "transcription:en-US-x",
        "transcription:en-US\n",
        "transcription:all",
        "translation:",
        "translation:en-US",
        "translation:en-US-to-",
        "translation:-to-en-US",
        "translation:auto-to-en-US",
        "translation:en-US-to-all",
        "translation:en-US-to-fr-FR-to-de-DE",
        "touch_event:",
        "button_press:short",
        "Transcription:en-US",
        json.dumps({"stream": "location_stream"}),
    ],
)
@given(event=events)
def test_what_is_not_understood_matches_only_itself(text: str, event: StreamEvent) -> None:
    parsed = parse_subscription(text)

    assert parsed == Subscription(text, stream=text)
    assert matches(parsed, event) == (event.stream == text)


# ---- matching


@given(meetings)
def test_an_event_is_heard_under_the_very_text_that_asked_for_it(
    meeting: tuple[str, StreamEvent],
) -> None:
    text, event = meeting
    subscription = parse_subscription(text)

    heard_as = stream_type_for(subscription, event)

    assert heard_as == (event.name if text in WILDCARDS else text)


@pytest.mark.parametrize("text", sorted(WILDCARDS))
@given(event=events)
def test_a_wildcard_hears_everything(text: str, event: StreamEvent) -> None:
    assert hears(text, event)


@given(events)
def test_who_subscribes_to_the_name_of_an_event_hears_it(event: StreamEvent) -> None:
    assert hears(event.name, event)


@given(meetings)
def test_no_event_crosses_to_another_kind_of_stream(meeting: tuple[str, StreamEvent]) -> None:
    text, event = meeting
    kind = parse_subscription(text).stream

    if text not in {*WILDCARDS, "augmentos:*"} and kind != event.stream:
        both_are_locations = {kind, event.stream} <= {"location_update", "location_stream"}
        assert hears(text, event) == both_are_locations


@given(
    base=st.sampled_from(["en", "de", "fil"]),
    one=st.sampled_from(["US", "GB", "DE"]),
    other=st.sampled_from(["US", "GB", "DE"]),
    suffix=st.sampled_from(["", "?hints=en%2Cfr", "?no-language-identification=true"]),
)
def test_a_transcription_is_heard_in_every_region_whatever_the_options(
    base: str, one: str, other: str, suffix: str
) -> None:
    assert hears(f"transcription:{base}-{one}{suffix}", spoken(f"{base}-{other}"))
    assert hears(f"transcription:{base}-{one}{suffix}", spoken(base))


@given(wanted=languages, heard=languages)
def test_a_transcription_is_heard_in_its_own_base_language_only(wanted: str, heard: str) -> None:
    same = wanted[:-3] == heard[:-3]

    assert hears(f"transcription:{wanted}", spoken(heard)) == same


@given(languages)
def test_auto_hears_every_language(language: str) -> None:
    assert hears("transcription:auto?hints=en%2Cfr", spoken(language))


def test_a_bare_transcription_is_english_and_stays_bare() -> None:
    bare = parse_subscription("transcription")

    assert matches(bare, spoken("en-GB")) and not matches(bare, spoken("de-DE"))
    assert matches(bare, spoken(None))
    assert stream_type_for(bare, spoken("en-GB")) == "transcription"


@given(source=languages, target=languages, wanted_source=languages, wanted_target=languages)
def test_a_translation_needs_both_its_languages(
    source: str, target: str, wanted_source: str, wanted_target: str
) -> None:
    wanted = translation_stream(wanted_source, wanted_target)

    same = (source, target) == (wanted_source, wanted_target)
    assert hears(wanted, translated(source, target)) == same
    assert hears(translation_stream(source, target), translated(source, target))


@pytest.mark.parametrize(
    ("text", "event", "heard"),
    [
        ("translation:es-ES-to-en-US", translated("es-ES", "en-US"), True),
        ("translation:es-ES-to-fr-FR", translated("es-ES", "en-US"), False),
        ("translation:de-DE-to-en-US", translated("es-ES", "en-US"), False),
        ("translation:en-US-to-es-ES", translated("es-ES", "en-US"), False),
        ("translation:all-to-en-US", translated("ja-JP", "en-US"), True),
        ("translation:all-to-fr-FR", translated("ja-JP", "en-US"), False),
        ("translation:es-ES-to-en-US", translated("es", "en"), True),
        (
            "translation:es-ES-to-en-US?no-language-identification=true",
            translated("es", "en"),
            True,
        ),
        ("translation:es-ES-to-en-US", StreamEvent(stream="translation"), False),
        ("translation", translated("es-ES", "en-US"), True),
        ("transcription:es-ES", translated("es-ES", "en-US"), False),
        ("translation:es-ES-to-en-US", spoken("es-ES"), False),
    ],
)
def test_translations(text: str, event: StreamEvent, heard: bool) -> None:
    assert hears(text, event) == heard


@given(made=gestures, wanted=gestures)
def test_a_gesture_is_heard_by_those_who_want_it_and_by_those_who_want_all(
    made: str, wanted: str
) -> None:
    event = StreamEvent(stream="touch_event", gesture=made)

    assert hears("touch_event", event)
    assert hears(f"touch_event:{wanted}", event) == (made == wanted)


def test_a_location_is_heard_under_both_names() -> None:
    event = StreamEvent(stream="location_update")

    for text in ("location_update", "location_stream"):
        assert hears(text, event)
        assert stream_type_for(parse_subscription(text), event) == text


@given(words)
def test_a_setting_is_heard_by_its_key_and_by_those_who_want_all(key: str) -> None:
    event = StreamEvent(stream=f"augmentos:{key}")

    assert hears("augmentos:*", event) and hears(f"augmentos:{key}", event)
    assert not hears("augmentos:somethingElse", event) or key == "somethingElse"
    assert not hears("augmentos:*", StreamEvent(stream="button_press"))


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (StreamEvent(stream="button_press"), "button_press"),
        (spoken("de-DE"), "transcription:de-DE"),
        (spoken(None), "transcription:en-US"),
        (translated("es-ES", "en-US"), "translation:es-ES-to-en-US"),
        (StreamEvent(stream="translation"), "translation"),
        (StreamEvent(stream="touch_event", gesture="long_press"), "touch_event"),
    ],
)
def test_a_wildcard_hears_an_event_under_its_own_name(event: StreamEvent, name: str) -> None:
    assert stream_type_for(parse_subscription("*"), event) == name


@pytest.mark.parametrize(
    ("code", "good"),
    [
        ("en-US", True),
        ("fil-PH", True),
        ("en", False),
        ("en-us", False),
        ("EN-US", False),
        ("engl-US", False),
        ("en_US", False),
        ("en-US\n", False),
        ("ﬁ-FI", False),
        ("", False),
    ],
)
def test_languages(code: str, good: bool) -> None:
    assert is_language(code) == good


@given(st.lists(st.sampled_from(LOCATION_TIERS) | words))
def test_the_finest_tier_is_the_last_in_the_list_of_tiers(tiers: list[str]) -> None:
    known = [tier for tier in tiers if tier in LOCATION_TIERS]

    finest = finest_tier(tiers)

    if finest is None:
        assert not known
    else:
        assert finest in known
        assert all(LOCATION_TIERS.index(tier) <= LOCATION_TIERS.index(finest) for tier in known)
