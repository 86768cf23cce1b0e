"""The MentraOS settings of a user."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.errors import SettingRefused
from mentra_trio.domain.user_settings import (
    CHANGES_MAX,
    DEFAULTS,
    checked_settings,
    complete_settings,
    differing,
    from_phone,
    setting_name,
    settings_in_status,
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("metricSystemEnabled", 1),
        ("metricSystemEnabled", "true"),
        ("metricSystemEnabled", None),
        ("brightness", True),
        ("brightness", "50"),
        ("brightness", 10**400),
        ("headUpAngle", None),
        ("defaultWearable", 7),
        ("defaultWearable", "x" * 257),
        ("timezone", "x" * 16_384),
    ],
)
def test_a_value_that_a_setting_cannot_have(name: str, value: object) -> None:
    with pytest.raises(SettingRefused) as caught:
        checked_settings({"useOnboardMic": True, name: value})
    assert caught.value.path == f"$.{name}"


def test_values_that_settings_can_have() -> None:
    changes = {"brightness": 12.5, "bypassVad": True, "defaultWearable": None, "timezone": ["x"]}
    assert checked_settings(changes) == changes


@pytest.mark.parametrize("changes", [{"": 1}, {"x" * 129: 1}])
def test_names_have_a_length(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingRefused):
        checked_settings(changes)


def test_there_may_not_be_too_many() -> None:
    changes = {f"k{number}": number for number in range(CHANGES_MAX)}
    assert checked_settings(changes) == changes
    with pytest.raises(SettingRefused):
        checked_settings(changes | {"one more": 1})


def test_what_differs() -> None:
    known = {"a": 1, "b": True, "c": [1, {"x": None}]}
    assert differing(known, {"a": 1, "b": True, "c": [1, {"x": None}]}) == {}
    assert differing(known, {"a": 2, "b": 1, "d": None}) == {"a": 2, "b": 1, "d": None}


STATUS = {
    "core_info": {
        "metric_system_enabled": True,
        "contextual_dashboard_enabled": False,
        "default_wearable": "Mentra Live",
        "augmentos_core_version": "1.2",
        "force_core_onboard_mic": "yes",
    },
    "glasses_settings": {"brightness": 70, "auto_brightness": True, "button_mode": "photo"},
    "connected_glasses": {"brightness": 1},
}


@pytest.mark.parametrize("status", [STATUS, {"status": STATUS}])
def test_the_settings_in_a_phone_s_status(status: object) -> None:
    assert settings_in_status(status) == {
        "metricSystemEnabled": True,
        "contextualDashboard": False,
        "defaultWearable": "Mentra Live",
        "brightness": 70,
        "autoBrightness": True,
    }


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.dictionaries(
            st.sampled_from(["status", "core_info", "glasses_settings", "brightness", "x"]), inner
        ),
        max_leaves=8,
    )
)
def test_whatever_a_status_is_only_good_settings_come_of_it(status: object) -> None:
    found = settings_in_status(status)
    assert set(found) <= {*DEFAULTS, "defaultWearable"}
    assert checked_settings(found) == found
    json.dumps(found)
