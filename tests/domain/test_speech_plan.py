"""Which recognisers the apps together need."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.speech import (
    HINTS_MAX,
    PHONE_LANGUAGES_MAX,
    RECOGNISERS_MAX,
    PhoneSpeech,
    SpeechPlan,
    SpeechWish,
    speech_plan,
)
from mentra_trio.domain.streams import StreamEvent, base_language, matches
from mentra_trio.domain.subscriptions import SubscriptionSet
from mentra_trio.domain.timings import PHONE_SPEECH_S


@attrs.frozen
class Able:
    """Understands these base languages, and translates between all of them if it may."""

    languages: Collection[str] = ("en", "de", "es", "fr", "auto")
    can_translate: bool = True

    def understands(self, language: str) -> bool:
        return base_language(language) in self.languages

    def translates(self, source: str, target: str) -> bool:
        return self.can_translate and base_language(target) in self.languages


def sets(*lists: Iterable[str]) -> list[SubscriptionSet]:
    return [SubscriptionSet.from_wire(entries) for entries in lists]


def plan(*lists: Iterable[str], able: Able | None = None) -> SpeechPlan:
    return speech_plan(sets(*lists), able or Able())


def wishes(*lists: Iterable[str], able: Able | None = None) -> list[SpeechWish]:
    return list(plan(*lists, able=able).wishes.values())


def test_nobody_asks() -> None:
    assert plan([], ["*", "all", "VAD", "audio_chunk", "translation", "transcription:??"]) == (
        SpeechPlan(wishes={})
    )


def test_one_for_each_language_whoever_asks_and_however_it_is_spelt() -> None:
    asked = [["transcription:en-US", "audio_chunk"], ["transcription"], ["transcription:en-GB"]]
    assert wishes(*asked, ["transcription:de-DE"]) == [
        SpeechWish(language="en-US"),
        SpeechWish(language="de-DE"),
    ]


def test_the_usual_spelling_is_taken() -> None:
    asked = [["transcription:en-GB"], ["transcription:en-GB"], ["transcription:en-AU"]]
    assert [wish.language for wish in wishes(*asked)] == ["en-GB"]
    assert [wish.language for wish in wishes(*reversed(asked[1:]))] == ["en-AU"]


def test_hints_are_all_hints() -> None:
    asked = ["transcription:auto?hints=en%2Cfr"], ["transcription:auto?hints=de,fr,<b>,"]
    assert wishes(*asked) == [SpeechWish(language="auto", hints=("de", "en", "fr"))]


def test_identification_is_left_out_only_if_all_ask_for_that() -> None:
    without = "transcription:en-US?no-language-identification=true"
    assert [one.identify_language for one in wishes([without], [without])] == [False]
    assert [one.identify_language for one in wishes([without], ["transcription:en-US"])] == [True]


def test_one_recogniser_translates_into_all_that_is_wanted() -> None:
    asked = ["translation:es-ES-to-en-US"], ["translation:es-MX-to-fr-FR", "transcription:es-ES"]
    assert wishes(*asked) == [SpeechWish(language="es-ES", targets=("en-US", "fr-FR"))]


def test_what_cannot_be_done_is_told_and_the_rest_is_done() -> None:
    asked = ["transcription:pt-BR", "transcription:en-US"], ["translation:en-US-to-ja-JP"]
    made = plan(*asked)
    assert list(made.wishes) == ["en"]
    assert made.unserved == ("transcription:pt-BR", "translation:en-US-to-ja-JP")


def test_none_is_opened_to_translate_into_nothing() -> None:
    asked = ["translation:es-ES-to-ja-JP"]
    assert plan(asked) == SpeechPlan(wishes={}, unserved=("translation:es-ES-to-ja-JP",))


def test_who_leaves_the_language_open_has_a_recogniser_of_its_own() -> None:
    made = plan(["transcription:auto", "translation:all-to-de-DE"], ["transcription:en-US"])
    assert list(made.wishes) == ["en", "auto"]
    assert made.wishes["auto"].targets == ("de-DE",)
    assert made.finds_out


@pytest.mark.parametrize(
    ("asked", "languages"),
    [
        ([["transcription:auto"]], ["en-US"]),
        ([["transcription:auto?hints=ja%2Cfr"]], ["fr"]),
        ([["transcription:auto"], ["transcription:de-DE"]], ["de-DE"]),
        ([["transcription:auto"], ["transcription:ja-JP"]], ["en-US"]),
    ],
)
def test_where_none_can_find_out_whichever_runs_will_do(
    asked: list[list[str]], languages: list[str]
) -> None:
    made = plan(*asked, able=Able(languages=("en", "de", "fr")))
    assert [wish.language for wish in made.wishes.values()] == languages
    assert not made.finds_out
    assert "transcription:auto" not in made.unserved


def test_where_none_can_find_out_those_that_run_translate_for_all() -> None:
    able = Able(languages=("en", "de"))
    made = plan(["translation:all-to-de-DE"], ["transcription:en-US"], able=able)
    assert made == SpeechPlan(wishes={"en": SpeechWish(language="en-US", targets=("de-DE",))})


def test_nothing_is_without_a_bound() -> None:
    codes = [f"{a}{b}-XX" for a in "abcdef" for b in "abcdef"]
    hints = ",".join(code[:2] for code in codes)
    able = Able(languages={code[:2] for code in codes} | {"auto"})
    assert len(wishes([f"transcription:{code}" for code in codes], able=able)) == RECOGNISERS_MAX
    (found,) = wishes([f"transcription:auto?hints={hints}"], able=able)
    assert len(found.hints) == HINTS_MAX


LANGUAGES = ("en-US", "en-GB", "de-DE", "es-ES", "ja-JP")
SPEECH = st.one_of(
    st.sampled_from(
        ["transcription", "transcription:auto", *(f"transcription:{x}" for x in LANGUAGES)]
    ),
    st.tuples(st.sampled_from(["all", *LANGUAGES]), st.sampled_from(LANGUAGES)).map(
        lambda pair: f"translation:{pair[0]}-to-{pair[1]}"
    ),
)
LISTS = st.lists(st.lists(SPEECH, max_size=4), max_size=4)
ABLE = st.builds(Able, st.sets(st.sampled_from(["en", "de", "es", "auto"])), st.booleans())


@given(LISTS, ABLE)
def test_only_what_can_be_done_is_wished_for_and_everything_is_accounted_for(
    lists: list[list[str]], able: Able
) -> None:
    made = speech_plan(sets(*lists), able)
    for key, wish in made.wishes.items():
        assert key == base_language(wish.language)
        assert able.understands(wish.language)
        assert all(able.translates(wish.language, target) for target in wish.targets)
    asked = {text for one in lists for text in one}
    assert set(made.unserved) <= asked
    assert bool(made.wishes) or asked == set(made.unserved)


@given(LISTS, ABLE, st.sampled_from(LANGUAGES))
def test_no_transcription_is_heard_twice(lists: list[list[str]], able: Able, spoken: str) -> None:
    """All recognisers understand the same words: who named a language hears them at most once."""
    made = speech_plan(sets(*lists), able)
    events = [
        StreamEvent(
            stream="transcription",
            language=spoken if wish.language == "auto" else wish.language,
            identified=(wish.language == "auto") if made.finds_out else None,
        )
        for wish in made.wishes.values()
    ]
    for subscriptions in sets(*lists):
        for subscription in subscriptions.subscriptions:
            heard = [event for event in events if matches(subscription, event)]
            if subscription.language != "auto" or made.finds_out:
                assert len(heard) <= 1


@given(st.permutations([["transcription:en-US"], ["transcription:auto"], ["transcription:de-DE"]]))
def test_the_order_of_apps_does_not_matter(lists: list[list[str]]) -> None:
    assert dict(plan(*lists).wishes) == dict(plan(*sorted(lists)).wishes)


# -- what the phone recognises itself ----------------------------------------------------


def test_a_phone_recognises_for_a_while() -> None:
    phone = PhoneSpeech()
    phone.note("en-US", None, 100.0)
    assert phone.speaks("en-GB", None, 100.0 + PHONE_SPEECH_S - 0.01)
    assert not phone.speaks("en-GB", None, 100.0 + PHONE_SPEECH_S)
    assert not phone.speaks("de-DE", None, 100.0)
    assert not phone.speaks("en-US", "de-DE", 100.0), "words are not their translation"
    phone.note("en-US", "de-DE", 100.0)
    assert phone.speaks("en-US", "de-AT", 101.0)


def test_a_phone_that_speaks_in_tongues_costs_no_memory() -> None:
    phone = PhoneSpeech()
    for number in range(10 * PHONE_LANGUAGES_MAX):
        phone.note(f"l{number}", None, float(number))
    assert len(phone._latest) == PHONE_LANGUAGES_MAX
