"""News of the glasses: what they may say, what they imply, and what of them is new."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.device_state import CHECKS, changes_in, checked_state
from mentra_trio.domain.errors import SettingRefused

EVERYTHING: dict[str, Any] = {
    "connected": True,
    "modelName": "Mentra Live",
    "androidVersion": "11",
    "fwVersion": "1",
    "buildNumber": "2",
    "otaVersionUrl": "https://x.example/ota",
    "appVersion": "3",
    "bluetoothName": "b",
    "serialNumber": "s",
    "style": "round",
    "color": "black",
    "wifiConnected": True,
    "wifiSsid": "home",
    "wifiLocalIp": "192.0.2.1",
    "batteryLevel": 55,
    "charging": False,
    "caseBatteryLevel": 70.5,
    "caseCharging": True,
    "caseOpen": False,
    "caseRemoved": False,
    "hotspotEnabled": False,
    "hotspotSsid": "spot",
    "hotspotPassword": "secret",
    "hotspotGatewayIp": "192.0.2.2",
    "timestamp": "2026-01-01T00:00:00.000Z",
}
any_value: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-5, 200) | st.text(max_size=6) | st.just([1])
)
news = st.dictionaries(st.sampled_from([*EVERYTHING, "unknown"]), any_value, max_size=6)
good_news = st.fixed_dictionaries(
    {},
    optional={
        "connected": st.booleans(),
        "modelName": st.sampled_from(["G1", "Live", "", None]),
        "batteryLevel": st.integers(-1, 100) | st.none(),
        "caseOpen": st.booleans(),
        "timestamp": st.integers(0, 10**13),
    },
)


def test_every_key_of_glasses_info() -> None:
    assert set(CHECKS) == set(EVERYTHING)
    assert checked_state(EVERYTHING) == EVERYTHING


def test_a_model_implies_a_connection_and_only_it() -> None:
    assert checked_state({"modelName": "G1"}) == {"modelName": "G1", "connected": True}
    given_both = {"modelName": "G1", "connected": False}
    assert checked_state(given_both) == given_both
    assert checked_state({"modelName": ""}) == {"modelName": None}
    assert checked_state({"batteryLevel": 5}) == {"batteryLevel": 5}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("connected", 1),
        ("connected", None),
        ("connected", "true"),
        ("modelName", 7),
        ("modelName", "x" * 257),
        ("batteryLevel", "55"),
        ("batteryLevel", True),
        ("batteryLevel", 101),
        ("batteryLevel", -2),
        ("caseBatteryLevel", 1e300),
        ("charging", 0),
        ("wifiSsid", ["home"]),
        ("otaVersionUrl", "x" * 2_049),
        ("timestamp", {}),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_by_its_path(key: str, value: object) -> None:
    with pytest.raises(SettingRefused) as caught:
        checked_state({**EVERYTHING, key: value})
    assert caught.value.path == f"$.{key}"


@given(news)
def test_what_is_taken_is_of_its_kind_and_unknown_keys_never_are(said: dict[str, Any]) -> None:
    try:
        taken = checked_state(said)
    except SettingRefused:
        return
    assert set(taken) <= set(CHECKS)
    assert checked_state(taken) == taken
    assert all(value is None or CHECKS[key](value) is None for key, value in taken.items())
    assert isinstance(taken.get("connected", True), bool)


@given(st.lists(good_news, max_size=8))
def test_changes_lead_to_the_latest_of_everything_and_nothing_is_told_twice(
    said: list[dict[str, Any]],
) -> None:
    state: dict[str, Any] = {"connected": False}
    latest: dict[str, Any] = {}
    for one in said:
        known = checked_state(one)
        changed = changes_in(state, known)
        assert changed.keys() != {"timestamp"}
        assert all(state.get(key) != value for key, value in changed.items() if key != "timestamp")
        state.update(changed)
        latest.update(known)
        assert changes_in(state, known) == {}
    told = {key: value for key, value in latest.items() if key != "timestamp"}
    assert {key: state.get(key) for key in told} == told
