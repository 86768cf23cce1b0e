"""What the subscriptions of all apps of a user together require from the glasses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from .streams import AUDIO_CHUNK, finest_tier
from .subscriptions import SubscriptionSet

COARSEST_TIER: Final = "reduced"
"""The location tier when nobody asks (protocol.md 4.4)."""


@attrs.frozen(kw_only=True)
class MicrophoneDemand:
    """Who needs the microphone: apps that take audio, and apps that take speech as text.

    ``unfiltered`` is the user's wish, for looking for errors, that silence be sent as well.
    """

    pcm: bool = False
    transcription: bool = False
    unfiltered: bool = False

    @property
    def enabled(self) -> bool:
        """Whether it must be on."""
        return self.pcm or self.transcription

    @property
    def bypass_vad(self) -> bool:
        """Whether silence must be sent too: those who take audio want all of it."""
        return self.pcm or (self.transcription and self.unfiltered)

    @property
    def state(self) -> MicrophoneState:
        """All of it that the glasses can tell."""
        return MicrophoneState(enabled=self.enabled, bypass_vad=self.bypass_vad)


@attrs.frozen(kw_only=True)
class MicrophoneState:
    """How the glasses' microphone is to be: two demands that come to the same are one."""

    enabled: bool = False
    bypass_vad: bool = False

    @property
    def required_data(self) -> list[str]:
        """``requiredData`` of a ``microphone_state_change`` (protocol.md 6.1)."""
        return ["pcm"] if self.enabled else []


def microphone_demand(
    sets: Iterable[SubscriptionSet], *, unfiltered: bool = False
) -> MicrophoneDemand:
    """What all of ``sets`` together need.

    A wildcard takes what there is but does not switch the microphone on, nor does ``VAD``.
    """
    subscriptions = [s for each in sets for s in each.subscriptions]
    return MicrophoneDemand(
        pcm=any(s.stream == AUDIO_CHUNK for s in subscriptions),
        transcription=any(s.is_speech for s in subscriptions),
        unfiltered=unfiltered,
    )


def location_tier(sets: Iterable[SubscriptionSet]) -> str:
    """The finest tier that any of ``sets`` asks for; the coarsest of all if none does."""
    wished = [each.location_tier for each in sets]
    return finest_tier(tier for tier in wished if tier) or COARSEST_TIER
