"""A user's MentraOS settings: their defaults, and the names under which phones store them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

DEFAULTS: Final[Mapping[str, Any]] = MappingProxyType(
    {
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
)
"""Every setting that apps are told, with the value of a user who changed nothing (6.9)."""

_PHONE_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "force_core_onboard_mic": "useOnboardMic",
        "contextual_dashboard_enabled": "contextualDashboard",
        "always_on_status_bar_enabled": "alwaysOnStatusBar",
        "bypass_vad_for_debugging": "bypassVad",
        "bypass_audio_encoding_for_debugging": "bypassAudioEncoding",
    }
)
"""Names of the phone's that are more than another spelling of ours."""


def complete_settings(stored: Mapping[str, Any]) -> dict[str, Any]:
    """All settings: the ``stored`` ones over the defaults.

    Apps must always get all of them: a key that is missing from an update is a key that the
    SDK reports as gone (protocol.md 3.2).
    """
    return {**DEFAULTS, **stored}


def setting_name(phone_name: str) -> str:
    """The camelCase name of a setting: ``metric_system_enabled`` -> ``metricSystemEnabled``.

    A name that is camelCase already is returned as it is.
    """
    if phone_name in _PHONE_NAMES:
        return _PHONE_NAMES[phone_name]
    return re.sub(r"(?<=[A-Za-z0-9])_+([a-z0-9])", lambda match: match[1].upper(), phone_name)


def from_phone(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A phone's settings under the names that apps know."""
    return {setting_name(name): value for name, value in settings.items()}
