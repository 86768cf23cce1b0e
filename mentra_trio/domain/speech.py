"""Which recognisers the subscriptions of all apps of a user need, and when a phone replaces one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol

import attrs

from .streams import (
    ANY_SPOKEN,
    DEFAULT_LANGUAGE,
    TRANSCRIPTION,
    Subscription,
    base_language,
)
from .subscriptions import SubscriptionSet
from .timings import PHONE_SPEECH_S

RECOGNISERS_MAX: Final = 8
"""Recognisers of one user; the languages that were asked for last are not served."""
TARGETS_MAX: Final = 8
"""Languages into which one recogniser translates."""
HINTS_MAX: Final = 16
"""Hints that a recogniser gets; all of them are languages."""
PHONE_LANGUAGES_MAX: Final = 32
"""Languages, and pairs of them, of which it is remembered when the phone last recognised them."""

_HINT: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{2,4})?", re.ASCII)
_NO_IDENTIFICATION: Final = ("no-language-identification", "true")


class Abilities(Protocol):
    """What a transcriber can do at all."""

    def understands(self, language: str) -> bool:
        """Whether it recognises ``language`` (``en-US``); ``auto`` asks whether it finds out the
        language by itself."""
        ...

    def translates(self, source: str, target: str) -> bool:
        """Whether what it recognises in ``source`` it can also give in ``target``."""
        ...


@attrs.frozen(kw_only=True)
class SpeechWish:
    """What one recogniser is to listen for.

    Attributes:
        language: such as ``en-US``; ``auto``: it finds out by itself.
        targets: languages into which it is to translate, besides.
        hints: languages that may be spoken, from all who want it.
        identify_language: whether it may find that another language is spoken. Only where all
            who want it ask for that, it may not.
    """

    language: str
    targets: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    identify_language: bool = True

    @property
    def key(self) -> str:
        """There is one recogniser for each: ``en-US`` and ``en-GB`` are one language, because
        whoever asks for one hears the other as well."""
        return base_language(self.language)


@attrs.frozen(kw_only=True)
class SpeechPlan:
    """The recognisers that are needed, by key; and the streams for which there can be none."""

    wishes: Mapping[str, SpeechWish] = MappingProxyType({})
    unserved: tuple[str, ...] = ()

    @property
    def finds_out(self) -> bool:
        """Whether one of them finds out the language by itself."""
        return ANY_SPOKEN in self.wishes


NOTHING_SPOKEN: Final = SpeechPlan()


def speech_plan(sets: Iterable[SubscriptionSet], able: Abilities) -> SpeechPlan:
    """The recognisers that all of ``sets`` together need, one for each language.

    Who leaves the language open is served by one that finds it out, where there is such a one;
    else by whichever run, or by one for the first language that was hinted at.

    Source: protocol.md 4.2 (stream sharing).
    """
    asked = [s for each in sets for s in each.subscriptions if s.is_speech and s.language]
    named = [s for s in asked if not s.leaves_open]
    left_open = [s for s in asked if s.leaves_open]
    groups: dict[str, list[Subscription]] = {}
    for subscription in named:
        groups.setdefault(base_language(_language(subscription)), []).append(subscription)
    wished = [_wish(_usual(group), group, able) for group in groups.values()]
    if left_open and able.understands(ANY_SPOKEN):
        wished.append(_wish(ANY_SPOKEN, left_open, able))
    elif left_open:
        wished = [_with_targets(wish, left_open, able) for wish in wished]
        if not any(wished):
            wished.append(_wish(_guess(left_open, able), left_open, able))
    found = [wish for wish in wished if wish is not None][:RECOGNISERS_MAX]
    wishes = {wish.key: wish for wish in found}
    unserved = [s.text for s in asked if not _is_served(s, wishes)]
    return SpeechPlan(wishes=wishes, unserved=tuple(dict.fromkeys(unserved)))


def _wish(language: str, group: Sequence[Subscription], able: Abilities) -> SpeechWish | None:
    """What a recogniser of ``language`` is to do for ``group``; ``None`` if it cannot."""
    if not able.understands(language):
        return None
    wanted = sorted({s.target_language for s in group if s.target_language})
    targets = [target for target in wanted if able.translates(language, target)][:TARGETS_MAX]
    if not targets and all(s.stream != TRANSCRIPTION for s in group):
        return None
    hints = sorted({hint for s in group for hint in _hints(s)})[:HINTS_MAX]
    return SpeechWish(
        language=language,
        targets=tuple(targets),
        hints=tuple(hints),
        identify_language=not all(_NO_IDENTIFICATION in s.options for s in group),
    )


def _with_targets(
    wish: SpeechWish | None, left_open: Sequence[Subscription], able: Abilities
) -> SpeechWish | None:
    """``wish``, doing also what those want who leave the language open."""
    if wish is None:
        return None
    wanted = {s.target_language for s in left_open if s.target_language}
    more = {target for target in wanted if able.translates(wish.language, target)}
    return attrs.evolve(wish, targets=tuple(sorted({*wish.targets, *more})[:TARGETS_MAX]))


def _usual(group: Sequence[Subscription]) -> str:
    """The spelling that most of ``group`` use, such as ``en-US``."""
    spellings = Counter(_language(s) for s in group)
    return min(spellings, key=lambda one: (-spellings[one], one))


def _guess(left_open: Sequence[Subscription], able: Abilities) -> str:
    """The language for those who name none, if it cannot be found out."""
    hints = [hint for s in left_open for hint in _hints(s)]
    return next((hint for hint in hints if able.understands(hint)), DEFAULT_LANGUAGE)


def _language(subscription: Subscription) -> str:
    return subscription.language or DEFAULT_LANGUAGE


def _hints(subscription: Subscription) -> Iterable[str]:
    """The languages that ``subscription`` hints at, in its order; ``en`` is ``en-US`` to us."""
    values = [value for name, value in subscription.options if name == "hints"]
    return [hint for value in values for hint in value.split(",") if _HINT.fullmatch(hint)]


def _is_served(subscription: Subscription, wishes: Mapping[str, SpeechWish]) -> bool:
    target = subscription.target_language
    if subscription.leaves_open:
        able = [wishes[ANY_SPOKEN]] if ANY_SPOKEN in wishes else list(wishes.values())
    else:
        key = base_language(_language(subscription))
        able = [wishes[key]] if key in wishes else []
    return any(target is None or target in wish.targets for wish in able)


@attrs.define(eq=False)
class PhoneSpeech:
    """What the phone recognises by itself: lately is as good as now.

    A phone that recognises a language does so faster than we can, and its words reach the apps
    as well; so a recogniser of the same language is silent meanwhile.
    """

    _latest: dict[tuple[str, str], float] = attrs.field(factory=dict, init=False)

    def note(self, language: str, target: str | None, now: float) -> None:
        """The phone recognised ``language``, or translated it to ``target``, at time ``now``."""
        pair = _pair(language, target)
        self._latest.pop(pair, None)
        self._latest[pair] = now
        while len(self._latest) > PHONE_LANGUAGES_MAX:
            del self._latest[next(iter(self._latest))]

    def speaks(self, language: str, target: str | None, now: float) -> bool:
        """Whether the phone does that at time ``now``."""
        latest = self._latest.get(_pair(language, target))
        return latest is not None and now - latest < PHONE_SPEECH_S


def _pair(language: str, target: str | None) -> tuple[str, str]:
    return base_language(language), base_language(target or "")
