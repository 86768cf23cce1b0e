"""An app's whole list of subscriptions, as one value that is replaced and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final

import attrs

from .streams import (
    AUDIO_CHUNK,
    LOCATION_STREAM,
    LOCATION_TIERS,
    LOCATIONS,
    StreamEvent,
    Subscription,
    finest_tier,
    matches,
    parse_subscription,
    stream_type_for,
)

ENTRIES_MAX: Final = 256
"""Further entries of a list are dropped."""
CHARACTERS_MAX: Final = 512
"""A longer entry is dropped."""
DEFAULT_TIER: Final = "standard"
"""The location tier of those who name none (protocol.md 4.4)."""


@attrs.frozen
class SubscriptionSet:
    """Subscriptions in the order in which they were asked for, no text twice."""

    subscriptions: tuple[Subscription, ...] = ()

    @classmethod
    def from_wire(cls, entries: Iterable[object]) -> SubscriptionSet:
        """The set that a ``subscription_update`` asks for.

        Malformed entries are dropped and the others stay (protocol.md 3.6); a text that names
        no stream is kept and matches nothing but itself (4.10). At most 256 entries of at most
        512 characters are kept.
        """
        found: dict[str, Subscription] = {}
        for entry in entries:
            subscription = _entry(entry)
            if subscription is None:
                continue
            known = found.get(subscription.text)
            if known is not None:
                found[subscription.text] = _finer(known, subscription)
            elif len(found) < ENTRIES_MAX:
                found[subscription.text] = subscription
        return cls(tuple(found.values()))

    def to_wire(self) -> list[object]:
        """A list from which ``from_wire`` makes this set again."""
        return [
            {"stream": s.text, "rate": s.rate} if s.rate is not None else s.text
            for s in self.subscriptions
        ]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What the app listed, without duplicates."""
        return tuple(subscription.text for subscription in self.subscriptions)

    @property
    def is_empty(self) -> bool:
        """Whether the app asks for nothing."""
        return not self.subscriptions

    @cached_property
    def wants_audio(self) -> bool:
        """Whether audio frames go to the app, permission provided (protocol.md 4.9)."""
        return any(s.is_wildcard or s.stream == AUDIO_CHUNK for s in self.subscriptions)

    @cached_property
    def location_tier(self) -> str | None:
        """How exactly the app wants locations; ``None`` if it wants none.

        A tier that is named counts even if the same list also has a plain entry: the SDK adds
        the plain one by itself.
        """
        wished = [s for s in self.subscriptions if s.stream in LOCATIONS]
        if not wished:
            return None
        return finest_tier(s.rate for s in wished if s.rate) or DEFAULT_TIER

    def matching(self, event: StreamEvent) -> tuple[str, ...]:
        """The stream types under which the app hears ``event``: one ``data_stream`` for each."""
        heard = [stream_type_for(s, event) for s in self.subscriptions if matches(s, event)]
        return tuple(heard) if len(heard) < 2 else tuple(dict.fromkeys(heard))


NOTHING: Final = SubscriptionSet()
"""What an app asks for before it said anything."""


def _entry(entry: object) -> Subscription | None:
    if isinstance(entry, str):
        return parse_subscription(entry) if 0 < len(entry) <= CHARACTERS_MAX else None
    if isinstance(entry, Mapping) and entry.get("stream") == LOCATION_STREAM:
        rate = entry.get("rate")
        known = rate if isinstance(rate, str) and rate in LOCATION_TIERS else None
        return Subscription(LOCATION_STREAM, stream=LOCATION_STREAM, rate=known)
    return None


def _finer(one: Subscription, other: Subscription) -> Subscription:
    rates = [s.rate for s in (one, other) if s.rate]
    return attrs.evolve(one, rate=finest_tier(rates))


def decide_update(
    current: SubscriptionSet, requested: SubscriptionSet, *, held: bool
) -> SubscriptionSet:
    """What holds after an update.

    A list replaces the one before. Only while a reattached app has not yet said what it wants
    (``held``) an empty list is ignored (protocol.md 4.10).
    """
    return current if held and requested.is_empty else requested
