"""What each model of glasses can do, as the SDK's types spell it (protocol.md Appendix B)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from types import MappingProxyType
from typing import Any, Final


def _profile(model_name: str, *, wifi: bool = False, **parts: Any) -> dict[str, Any]:
    """A profile in wire form. A part is a detail object, or ``True`` if it gives no details."""
    profile: dict[str, Any] = {"modelName": model_name}
    for part in ("camera", "display", "microphone", "speaker", "imu", "button", "light"):
        detail = parts.get(part)
        title = "IMU" if part == "imu" else part.capitalize()
        profile[f"has{title}"] = bool(detail)
        profile[part] = None if detail is True else detail
    return {**profile, "power": {"hasExternalBattery": False}, "hasWifi": wifi}


def _size(width: int, height: int) -> dict[str, int]:
    return {"width": width, "height": height}


def _green_display(
    width: int, height: int, *, panels: int, lines: int, degrees: int, bitmap: bool
) -> dict[str, Any]:
    return {
        "count": panels,
        "isColor": False,
        "color": "green",
        "canDisplayBitmap": bitmap,
        "resolution": _size(width, height),
        "fieldOfView": {"horizontal": degrees},
        "maxTextLines": lines,
        "adjustBrightness": True,
    }


def _one_button(*events: str) -> dict[str, Any]:
    return {
        "count": 1,
        "buttons": [{"type": "press", "events": list(events), "isCapacitive": False}],
    }


_PHONE_SIZED: Final = _green_display(640, 480, panels=1, lines=7, degrees=30, bitmap=False)

_SIMULATED_GLASSES: Final = _profile(
    "Simulated Glasses",
    display=_PHONE_SIZED,
    microphone={"count": 1, "hasVAD": False},
    speaker={"count": 1, "isPrivate": False},
    button=_one_button("press"),
)

_EVEN_REALITIES_G1: Final = _profile(
    "Even Realities G1",
    display=_green_display(640, 200, panels=2, lines=5, degrees=25, bitmap=True),
    microphone={"count": 1, "hasVAD": False},
    imu=True,  # it knows when the head is up, but gives apps no raw data
)

_VUZIX_Z100: Final = _profile("Vuzix Z100", display=_PHONE_SIZED)

_MENTRA_LIVE: Final = _profile(
    "Mentra Live",
    wifi=True,
    camera={
        "resolution": _size(1920, 1080),
        "hasHDR": False,
        "hasFocus": True,
        "video": {
            "canRecord": True,
            "canStream": True,
            "supportedStreamTypes": ["rtmp"],
            "supportedResolutions": [_size(1920, 1080), _size(1280, 720), _size(640, 480)],
        },
    },
    microphone={"count": 1, "hasVAD": True},
    speaker={"count": 1, "isPrivate": False},
    imu={
        "axisCount": 6,
        "hasAccelerometer": True,
        "hasCompass": False,
        "hasGyroscope": True,
    },
    button=_one_button("press", "double_press", "long_press"),
    light={
        "count": 2,
        "lights": [
            {
                "id": "privacy",
                "purpose": "privacy",
                "isFullColor": False,
                "color": "white",
                "position": "front_facing",
            },
            {
                "id": "user_feedback",
                "purpose": "user_feedback",
                "isFullColor": True,
                "color": "rgb",
                "position": "user_facing",
            },
        ],
    },
)

_PROFILES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        profile["modelName"]: profile
        for profile in (_SIMULATED_GLASSES, _EVEN_REALITIES_G1, _MENTRA_LIVE, _VUZIX_Z100)
    }
)

MODELS: Final = tuple(_PROFILES)
"""The models with a profile."""


def capabilities_of(model_name: str | None) -> Mapping[str, Any] | None:
    """The profile of a model as a JSON object of the caller's own; ``None`` if unknown."""
    profile = _PROFILES.get(model_name) if model_name is not None else None
    return deepcopy(profile)
