"""What each model of glasses can do."""

from __future__ import annotations

import json

import pytest

from mentra_trio.domain.capabilities import MODELS, capabilities_of

PARTS = {
    "hasCamera": "camera",
    "hasDisplay": "display",
    "hasMicrophone": "microphone",
    "hasSpeaker": "speaker",
    "hasIMU": "imu",
    "hasButton": "button",
    "hasLight": "light",
}


@pytest.mark.parametrize(
    ("model", "parts", "wifi"),
    [
        ("Simulated Glasses", {"hasDisplay", "hasMicrophone", "hasSpeaker", "hasButton"}, False),
        ("Even Realities G1", {"hasDisplay", "hasMicrophone", "hasIMU"}, False),
        ("Mentra Live", set(PARTS) - {"hasDisplay"}, True),
        ("Vuzix Z100", {"hasDisplay"}, False),
    ],
)
def test_the_parts_of_a_model(model: str, parts: set[str], wifi: bool) -> None:
    profile = capabilities_of(model)

    assert profile is not None
    assert {flag for flag in PARTS if profile[flag]} == parts
    assert profile["hasWifi"] is wifi
    assert profile["power"] == {"hasExternalBattery": False}
    assert profile["modelName"] == model


@pytest.mark.parametrize("model", MODELS)
def test_a_profile_has_every_field_of_the_sdk_s_type(model: str) -> None:
    profile = capabilities_of(model)

    assert profile is not None
    assert set(profile) == {"modelName", "power", "hasWifi", *PARTS, *PARTS.values()}
    assert json.loads(json.dumps(profile)) == profile
    for flag, part in PARTS.items():
        assert isinstance(profile[flag], bool)
        assert profile[part] is None or profile[flag]


def test_details_that_apps_rely_on() -> None:
    live, g1 = capabilities_of("Mentra Live"), capabilities_of("Even Realities G1")
    assert live is not None and g1 is not None

    assert live["camera"]["resolution"] == {"width": 1920, "height": 1080}
    assert live["camera"]["video"]["supportedStreamTypes"] == ["rtmp"]
    assert live["microphone"] == {"count": 1, "hasVAD": True}
    assert live["button"]["buttons"][0]["events"] == ["press", "double_press", "long_press"]
    assert [light["id"] for light in live["light"]["lights"]] == ["privacy", "user_feedback"]
    assert live["imu"]["axisCount"] == 6
    assert g1["hasIMU"] is True and g1["imu"] is None
    assert g1["display"]["canDisplayBitmap"] is True and g1["display"]["count"] == 2
    assert g1["display"]["resolution"] == {"width": 640, "height": 200}


@pytest.mark.parametrize("model", [None, "", "Mentra Mach1", "Brilliant Frame", "mentra live"])
def test_an_unknown_model_has_no_profile(model: str | None) -> None:
    assert capabilities_of(model) is None


def test_a_profile_is_the_caller_s_own() -> None:
    mine = capabilities_of("Mentra Live")
    assert mine is not None
    mine["camera"]["resolution"]["width"] = 1

    again = capabilities_of("Mentra Live")

    assert again is not None and again["camera"]["resolution"]["width"] == 1920
