"""Which stream needs which permission (protocol.md 4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from .streams import (
    AUDIO_CHUNK,
    LOCATION_STREAM,
    LOCATION_UPDATE,
    TRANSCRIPTION,
    TRANSLATION,
    VAD,
    StreamEvent,
    Subscription,
)
from .subscriptions import SubscriptionSet

REJECTED: Final = "Some subscriptions were rejected due to missing permissions"
"""The ``message`` of a ``permission_error``."""

_REQUIRED: Final[Mapping[str, str]] = MappingProxyType(
    {
        AUDIO_CHUNK: "MICROPHONE",
        VAD: "MICROPHONE",
        TRANSCRIPTION: "MICROPHONE",
        TRANSLATION: "MICROPHONE",
        LOCATION_UPDATE: "LOCATION",
        LOCATION_STREAM: "LOCATION",
        "calendar_event": "CALENDAR",
        "phone_notification": "READ_NOTIFICATIONS",
        "phone_notification_dismissed": "READ_NOTIFICATIONS",
    }
)

_IMPLIED_BY: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "LOCATION": frozenset({"BACKGROUND_LOCATION"}),
        "READ_NOTIFICATIONS": frozenset({"NOTIFICATIONS"}),
    }
)


@attrs.frozen(kw_only=True)
class Rejection:
    """A subscription that the app may not have; its three fields go to the app as they are."""

    stream: str
    required_permission: str
    message: str


def required_permission(subscription: Subscription) -> str | None:
    """What an app must have declared for ``subscription``; ``None`` if anybody may have it.

    Decided by the part before the colon, so that no spelling of a language slips through. A
    wildcard needs nothing by itself: see ``permits``.
    """
    return _REQUIRED.get(subscription.text.partition(":")[0])


def holds(permission: str, granted: frozenset[str]) -> bool:
    """Whether ``granted`` has ``permission``, or one that includes it."""
    if permission in granted or "ALL" in granted:  # audio comes a hundred times in a second
        return True
    return not granted.isdisjoint(_IMPLIED_BY.get(permission, ()))


def permits(event: StreamEvent, granted: frozenset[str]) -> bool:
    """Whether an app with ``granted`` may hear ``event`` at all; needed for wildcards (4.6)."""
    required = _REQUIRED.get(event.stream)
    return required is None or holds(required, granted)


def split_by_permission(
    requested: SubscriptionSet, granted: frozenset[str]
) -> tuple[SubscriptionSet, tuple[Rejection, ...]]:
    """What of ``requested`` the app may have, and a rejection for each of the others."""
    allowed: list[Subscription] = []
    rejected: list[Rejection] = []
    for subscription in requested.subscriptions:
        required = required_permission(subscription)
        if required is None or holds(required, granted):
            allowed.append(subscription)
        else:
            rejected.append(_rejection(subscription, required))
    return SubscriptionSet(tuple(allowed)), tuple(rejected)


def _rejection(subscription: Subscription, required: str) -> Rejection:
    return Rejection(
        stream=subscription.text,
        required_permission=required,
        message=f"The app needs the {required} permission for {subscription.text}",
    )
