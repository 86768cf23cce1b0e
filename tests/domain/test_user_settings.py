"""The MentraOS settings of a user."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.user_settings import (
    DEFAULTS,
    complete_settings,
    from_phone,
    setting_name,
)


def test_the_defaults() -> None:
    assert complete_settings({}) == {
        "useOnboardMic": False,
        "contextualDashboard": True,
        "headUpAngle": 20,
        "brightness": 50,
        "autoBrightness": False,
        "sensingEnabled": True,
        "alwaysOnStatusBar": False,
        "bypassVad": False,
        "bypassAudioEncoding": False,
        "metricSystemEnabled": False,
    }


@given(st.dictionaries(st.sampled_from([*DEFAULTS, "timezone"]), st.integers()))
def test_nothing_is_ever_missing_and_what_is_stored_wins(stored: dict[str, int]) -> None:
    complete = complete_settings(stored)

    assert set(complete) >= set(DEFAULTS)
    assert {name: complete[name] for name in stored} == stored
    assert all(complete[name] == DEFAULTS[name] for name in DEFAULTS if name not in stored)


@pytest.mark.parametrize(
    ("phone", "ours"),
    [
        ("metric_system_enabled", "metricSystemEnabled"),
        ("head_up_angle", "headUpAngle"),
        ("default_wearable", "defaultWearable"),
        ("brightness", "brightness"),
        ("bypass_vad_for_debugging", "bypassVad"),
        ("bypass_audio_encoding_for_debugging", "bypassAudioEncoding"),
        ("force_core_onboard_mic", "useOnboardMic"),
        ("contextual_dashboard_enabled", "contextualDashboard"),
        ("always_on_status_bar_enabled", "alwaysOnStatusBar"),
        ("screen_off_2_s", "screenOff2S"),
        ("_private", "_private"),
        ("", ""),
    ],
)
def test_the_phone_s_names(phone: str, ours: str) -> None:
    assert setting_name(phone) == ours
    assert from_phone({phone: 7}) == {ours: 7}


@pytest.mark.parametrize("name", DEFAULTS)
def test_our_own_names_stay(name: str) -> None:
    assert setting_name(name) == name
