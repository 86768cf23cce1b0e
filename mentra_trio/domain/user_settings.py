"""A user's MentraOS settings: their defaults, their bounds, and the names that phones use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from .app_settings import KEY_CHARACTERS_MAX, as_json, is_number, problem_of_length
from .errors import SettingRefused

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

DEFAULT_WEARABLE: Final = "defaultWearable"
"""The model of the glasses that the user has; no default (6.10)."""

CHANGES_MAX: Final = 256
"""Settings that one request may change."""
STORED_BYTES_MAX: Final = 524_288
"""Of the JSON text of all that is stored of one user; every ack has it twice."""
VALUE_CHARACTERS_MAX: Final = 16_384
"""Of the JSON text of a value; phones store settings of their own, too."""
WEARABLE_CHARACTERS_MAX: Final = 256

_STATUS_SECTIONS: Final = ("core_info", "glasses_settings")
"""Where settings stand in a ``core_status_update``."""

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


def checked_settings(changes: Mapping[str, Any]) -> dict[str, Any]:
    """``changes`` (camelCase keys), if every value is one that its setting can have.

    Raises:
        SettingRefused: one is not, or there are too many.
    """
    if len(changes) > CHANGES_MAX:
        raise SettingRefused("$", f"has more than {CHANGES_MAX} settings")
    for name, value in changes.items():
        if not 0 < len(name) <= KEY_CHARACTERS_MAX:
            raise SettingRefused("$", f"has a name that is not of 1 to {KEY_CHARACTERS_MAX}")
        problem = problem_of_setting(name, value)
        if problem is not None:
            raise SettingRefused(f"$.{name}", problem)
    return dict(changes)


def problem_of_setting(name: str, value: object) -> str | None:
    """Why a setting cannot have ``value``; ``None`` if it can."""
    if name == DEFAULT_WEARABLE:
        fits = value is None or (isinstance(value, str) and len(value) <= WEARABLE_CHARACTERS_MAX)
        return None if fits else "must be the name of a model"
    default = DEFAULTS.get(name)
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "must be true or false"
    if default is not None:
        return None if is_number(value) else "must be a number"
    return problem_of_length(value, VALUE_CHARACTERS_MAX)


def differing(known: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``news`` is not in ``known``, or there with another value; ``1`` is not ``true``."""
    return {
        name: value
        for name, value in news.items()
        if name not in known or as_json(known[name]) != as_json(value)
    }


def settings_in_status(status: object) -> dict[str, Any]:
    """The settings that a phone states in its status (6.9), under the names that apps know.

    What is of the wrong kind there is left out: it is a report, and nobody waits for an answer.
    """
    if isinstance(status, Mapping) and isinstance(status.get("status"), Mapping):
        status = status["status"]
    if not isinstance(status, Mapping):
        return {}
    found: dict[str, Any] = {}
    for section in _STATUS_SECTIONS:
        stated = status.get(section)
        found |= from_phone(stated) if isinstance(stated, Mapping) else {}
    known = DEFAULTS.keys() | {DEFAULT_WEARABLE}
    return {
        name: value
        for name, value in found.items()
        if name in known and problem_of_setting(name, value) is None
    }
