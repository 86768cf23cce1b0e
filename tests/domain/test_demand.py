"""What all apps of a user together need."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.demand import MicrophoneDemand, location_tier, microphone_demand
from mentra_trio.domain.streams import LOCATION_TIERS
from mentra_trio.domain.subscriptions import SubscriptionSet

OFF = MicrophoneDemand()
PCM = MicrophoneDemand(pcm=True)
SPEECH = MicrophoneDemand(transcription=True)
BOTH = MicrophoneDemand(pcm=True, transcription=True)

tier_requests = st.sampled_from(LOCATION_TIERS).map(
    lambda rate: {"stream": "location_stream", "rate": rate}
)


def sets(*lists: list[object]) -> list[SubscriptionSet]:
    return [SubscriptionSet.from_wire(entries) for entries in lists]


@pytest.mark.parametrize(
    ("lists", "demand"),
    [
        ([], OFF),
        ([[], []], OFF),
        ([["button_press", "VAD", "*", "all"]], OFF),
        ([["transcription:no such language"]], OFF),
        ([["audio_chunk"]], PCM),
        ([["transcription:auto"]], SPEECH),
        ([["transcription"]], SPEECH),
        ([["translation:all-to-en-US"]], SPEECH),
        ([["translation"]], SPEECH),
        ([["button_press"], ["audio_chunk"], ["transcription:en-US"]], BOTH),
    ],
)
def test_the_microphone(lists: list[list[object]], demand: MicrophoneDemand) -> None:
    assert microphone_demand(sets(*lists)) == demand


@pytest.mark.parametrize(
    ("demand", "enabled", "data", "bypass"),
    [
        (OFF, False, [], False),
        (PCM, True, ["pcm"], True),
        (SPEECH, True, ["pcm"], False),
        (BOTH, True, ["pcm"], True),
        (MicrophoneDemand(transcription=True, unfiltered=True), True, ["pcm"], True),
        (MicrophoneDemand(unfiltered=True), False, [], False),
    ],
)
def test_what_the_glasses_are_told(
    demand: MicrophoneDemand, enabled: bool, data: list[str], bypass: bool
) -> None:
    state = demand.state
    assert (state.enabled, state.required_data, state.bypass_vad) == (enabled, data, bypass)


@given(st.lists(st.lists(tier_requests, min_size=1)))
def test_the_finest_tier_of_any_app_wins(lists: list[list[dict[str, str]]]) -> None:
    asked = [request["rate"] for entries in lists for request in entries]

    tier = location_tier(SubscriptionSet.from_wire(entries) for entries in lists)

    assert tier == max(asked, key=LOCATION_TIERS.index, default="reduced")


@pytest.mark.parametrize(
    ("lists", "tier"),
    [
        ([], "reduced"),
        ([["button_press"], ["*"]], "reduced"),
        ([["location_update"]], "standard"),
        ([[{"stream": "location_stream", "rate": "kilometer"}], ["location_update"]], "standard"),
        ([[{"stream": "location_stream", "rate": "high"}], ["location_update"]], "high"),
    ],
)
def test_locations(lists: list[list[object]], tier: str) -> None:
    assert location_tier(sets(*lists)) == tier
