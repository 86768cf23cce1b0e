"""Names of streams: what an app asks for, what an event offers, and whether the two meet.

An app hears an event under the very string with which it asked (protocol.md 4.8), so the text
of a subscription is kept as it came, options and all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, quote

import attrs

TRANSCRIPTION: Final = "transcription"
TRANSLATION: Final = "translation"
TOUCH_EVENT: Final = "touch_event"
AUDIO_CHUNK: Final = "audio_chunk"
VAD: Final = "VAD"
LOCATION_UPDATE: Final = "location_update"
LOCATION_STREAM: Final = "location_stream"
LOCATIONS: Final = frozenset({LOCATION_UPDATE, LOCATION_STREAM})
"""Two names under which the same events are heard (protocol.md 4.4)."""

WILDCARDS: Final = frozenset({"*", "all"})
SETTINGS_PREFIX: Final = "augmentos:"

DEFAULT_LANGUAGE: Final = "en-US"
"""What a bare ``transcription`` means, and an event that names no language (protocol.md 4.2)."""
ANY_SPOKEN: Final = "auto"
ANY_SOURCE: Final = "all"

GESTURES: Final = (
    "single_tap",
    "double_tap",
    "triple_tap",
    "long_press",
    "forward_swipe",
    "backward_swipe",
    "up_swipe",
    "down_swipe",
)

LOCATION_TIERS: Final = (
    "reduced",
    "threeKilometers",
    "kilometer",
    "hundredMeters",
    "tenMeters",
    "standard",
    "high",
    "realtime",
)
"""From the coarsest to the finest (protocol.md 4.4)."""

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}-[A-Z]{2}", re.ASCII)
_REGION: Final = re.compile(r"-.*", re.DOTALL)


@attrs.frozen
class Subscription:
    """One entry of an app's list: its ``text`` as it came, and what that means.

    ``stream`` is the part before the colon where the rest is understood, else the whole text.
    ``rate`` is the location tier that was asked for with the entry; it is no part of the text.
    """

    text: str
    stream: str = attrs.field(kw_only=True)
    language: str | None = attrs.field(default=None, kw_only=True)
    target_language: str | None = attrs.field(default=None, kw_only=True)
    gesture: str | None = attrs.field(default=None, kw_only=True)
    options: tuple[tuple[str, str], ...] = attrs.field(default=(), kw_only=True)
    rate: str | None = attrs.field(default=None, kw_only=True)

    @property
    def is_wildcard(self) -> bool:
        """Whether it asks for everything."""
        return self.stream in WILDCARDS

    @property
    def is_speech(self) -> bool:
        """Whether it needs a recogniser: a transcription or a translation."""
        return self.stream in (TRANSCRIPTION, TRANSLATION)

    @property
    def leaves_open(self) -> bool:
        """Whether it asks for speech without saying in which language."""
        return self.language in (ANY_SPOKEN, ANY_SOURCE)


@attrs.frozen(kw_only=True)
class StreamEvent:
    """What one event offers.

    ``language`` is the spoken language (``en-US``, or just ``en``), ``target_language`` the one
    translated to, ``gesture`` that of a touch event; ``None`` where there is none.

    ``identified`` matters while one recogniser finds out the language by itself and others
    listen for theirs, because two of them may hear the same words: true for what the first one
    heard, and then only those hear it who left the language open; false for what the others did.
    """

    stream: str
    language: str | None = None
    target_language: str | None = None
    gesture: str | None = None
    identified: bool | None = None
    key: object = attrs.field(init=False, eq=False, repr=False)
    """Equal for equal events; quicker to look up than the event itself."""

    @key.default
    def _make_key(self) -> object:
        more = (self.language, self.target_language, self.gesture, self.identified)
        return self.stream if more == (None, None, None, None) else (self.stream, *more)

    @property
    def name_size(self) -> int:
        """Characters in all that peers may have chosen of it."""
        parts = (self.stream, self.language, self.target_language, self.gesture)
        return sum(len(part) for part in parts if part)

    @property
    def name(self) -> str:
        """The event's own stream name, for those who subscribed to everything."""
        if self.stream == TRANSCRIPTION:
            return f"{TRANSCRIPTION}:{self.language or DEFAULT_LANGUAGE}"
        if self.stream == TRANSLATION and self.language and self.target_language:
            return f"{TRANSLATION}:{self.language}-to-{self.target_language}"
        return self.stream


def parse_subscription(text: str) -> Subscription:
    """What ``text`` asks for. Never fails: what is not understood matches only itself."""
    stream, colon, rest = text.partition(":")
    parsed = None
    if stream == TRANSCRIPTION:
        parsed = _transcription(text, rest) if colon else _bare_transcription(text)
    elif stream == TRANSLATION and colon:
        parsed = _translation(text, rest)
    elif stream == TOUCH_EVENT and colon and rest:
        parsed = Subscription(text, stream=TOUCH_EVENT, gesture=rest)
    return parsed or Subscription(text, stream=text)


def print_subscription(subscription: Subscription) -> str:
    """The text it was parsed from, character for character."""
    return subscription.text


def _bare_transcription(text: str) -> Subscription:
    return Subscription(text, stream=TRANSCRIPTION, language=DEFAULT_LANGUAGE)


def _transcription(text: str, rest: str) -> Subscription | None:
    language, _, query = rest.partition("?")
    if language != ANY_SPOKEN and not is_language(language):
        return None
    return Subscription(text, stream=TRANSCRIPTION, language=language, options=_options(query))


def _translation(text: str, rest: str) -> Subscription | None:
    pair, _, query = rest.partition("?")
    source, to, target = pair.partition("-to-")
    if not to or not is_language(target) or not (source == ANY_SOURCE or is_language(source)):
        return None
    return Subscription(
        text,
        stream=TRANSLATION,
        language=source,
        target_language=target,
        options=_options(query),
    )


def _options(query: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(query, keep_blank_values=True))


def is_language(code: str) -> bool:
    """Whether ``code`` is a language as the SDK writes it: ``en-US``, ``fil-PH``."""
    return _LANGUAGE.fullmatch(code) is not None


def transcription_stream(
    language: str = DEFAULT_LANGUAGE,
    *,
    hints: Iterable[str] = (),
    identify_language: bool = True,
) -> str:
    """The stream name with which the SDK asks for transcriptions (protocol.md 4.2)."""
    options = [] if identify_language else ["no-language-identification=true"]
    if hinted := ",".join(hints):
        options.append(f"hints={quote(hinted, safe='')}")
    return f"{TRANSCRIPTION}:{language}" + ("?" + "&".join(options) if options else "")


def translation_stream(source: str, target: str, *, identify_language: bool = True) -> str:
    """The stream name with which the SDK asks for translations; ``source`` may be ``all``."""
    option = "" if identify_language else "?no-language-identification=true"
    return f"{TRANSLATION}:{source}-to-{target}{option}"


def touch_stream(gesture: str | None = None) -> str:
    """The stream name for one gesture, or for all of them."""
    return TOUCH_EVENT if gesture is None else f"{TOUCH_EVENT}:{gesture}"


def matches(subscription: Subscription, event: StreamEvent) -> bool:
    """Whether the subscriber is to hear ``event``; permissions are decided elsewhere."""
    if subscription.stream in WILDCARDS:
        return True
    if event.identified is not None and event.identified is not subscription.leaves_open:
        return False
    if event.stream == TRANSCRIPTION:
        return subscription.stream == TRANSCRIPTION and _hears(subscription, event)
    if event.stream == TRANSLATION:
        return subscription.stream == TRANSLATION and _wants_pair(subscription, event)
    if event.stream == TOUCH_EVENT:
        return subscription.stream == TOUCH_EVENT and (
            subscription.gesture is None or subscription.gesture == event.gesture
        )
    if event.stream in LOCATIONS:
        return subscription.stream in LOCATIONS
    if subscription.stream == f"{SETTINGS_PREFIX}*":
        return event.stream.startswith(SETTINGS_PREFIX)
    return subscription.stream == event.stream


def _hears(subscription: Subscription, event: StreamEvent) -> bool:
    """Same base language: who asks for ``en-US`` also hears ``en-GB``."""
    if subscription.language == ANY_SPOKEN:
        return True
    spoken = event.language or DEFAULT_LANGUAGE
    return base_language(subscription.language or DEFAULT_LANGUAGE) == base_language(spoken)


def _wants_pair(subscription: Subscription, event: StreamEvent) -> bool:
    """Both languages: who asks for Spanish to English does not hear Spanish to French."""
    if subscription.target_language is None:  # a bare `translation` names no pair
        return True
    return _same_language(subscription.target_language, event.target_language) and (
        subscription.language == ANY_SOURCE or _same_language(subscription.language, event.language)
    )


def base_language(code: str) -> str:
    """``en`` of ``en-US``, in lower case."""
    return _REGION.sub("", code).lower()


def _same_language(one: str | None, other: str | None) -> bool:
    """Equal, or equal as far as said: a recogniser may report ``es`` for ``es-ES``."""
    if not one or not other:
        return False
    if "-" in one and "-" in other:
        return one.lower() == other.lower()
    return base_language(one) == base_language(other)


def stream_type_for(subscription: Subscription, event: StreamEvent) -> str:
    """The ``streamType`` under which the subscriber hears ``event`` (protocol.md 4.6, 4.8)."""
    return event.name if subscription.is_wildcard else subscription.text


def finest_tier(tiers: Iterable[str]) -> str | None:
    """The finest of the known location tiers among ``tiers``; ``None`` if there is none."""
    known = [LOCATION_TIERS.index(tier) for tier in tiers if tier in LOCATION_TIERS]
    return LOCATION_TIERS[max(known)] if known else None
