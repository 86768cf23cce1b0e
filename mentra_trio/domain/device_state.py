"""The state of glasses, GlassesInfo on the wire, and what follows from news (protocol.md 6.10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from .app_settings import is_number
from .errors import SettingRefused

CONNECTED: Final = "connected"
MODEL_NAME: Final = "modelName"
TIMESTAMP: Final = "timestamp"
DISCONNECTED: Final = "DISCONNECTED"
"""What the phone says of glasses that went, in letters of any case."""

URGENT: Final = frozenset({CONNECTED, MODEL_NAME})
"""What apps are told of at once; the rest may wait for more of its kind."""

TEXT_CHARACTERS_MAX: Final = 256
URL_CHARACTERS_MAX: Final = 2_048
LEVEL_MIN: Final = -1
"""What glasses say that do not know how full their battery is."""
LEVEL_MAX: Final = 100


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _level(value: object) -> str | None:
    if is_number(value) and LEVEL_MIN <= value <= LEVEL_MAX:  # type: ignore[operator]
        return None
    return f"must be a number from {LEVEL_MIN} to {LEVEL_MAX}"


def _text(value: object, most: int = TEXT_CHARACTERS_MAX) -> str | None:
    fits = isinstance(value, str) and len(value) <= most
    return None if fits else f"must be text of at most {most} characters"


def _url(value: object) -> str | None:
    return _text(value, URL_CHARACTERS_MAX)


def _moment(value: object) -> str | None:
    return None if is_number(value) else _text(value)


_OF_EACH_KIND: Final[Mapping[Callable[[object], str | None], str]] = MappingProxyType(
    {
        _flag: "connected wifiConnected charging caseCharging caseOpen caseRemoved hotspotEnabled",
        _level: "batteryLevel caseBatteryLevel",
        _text: "modelName androidVersion fwVersion buildNumber appVersion bluetoothName"
        " serialNumber style color wifiSsid wifiLocalIp hotspotSsid hotspotPassword"
        " hotspotGatewayIp",
        _url: "otaVersionUrl",
        _moment: TIMESTAMP,
    }
)
CHECKS: Final[Mapping[str, Callable[[object], str | None]]] = MappingProxyType(
    {key: check for check, keys in _OF_EACH_KIND.items() for key in keys.split()}
)
"""Every key of GlassesInfo, and what says why a value is none for it."""


def checked_state(news: Mapping[str, Any]) -> dict[str, Any]:
    """What ``news`` says of the glasses, with what it implies.

    Unknown keys are ignored, for newer phones. ``null`` says that something is not known; a model
    without a name is none. A model, with nothing said of a connection, is connected.

    Raises:
        SettingRefused: a value of a known key is of the wrong kind, or too long.
    """
    known: dict[str, Any] = {}
    for key, check in CHECKS.items():
        if key not in news:
            continue
        value = news[key]
        problem = None if value is None and key != CONNECTED else check(value)
        if problem is not None:
            raise SettingRefused(f"$.{key}", problem)
        known[key] = value
    if MODEL_NAME in known:
        known[MODEL_NAME] = known[MODEL_NAME] or None
    if known.get(MODEL_NAME) is not None:
        known.setdefault(CONNECTED, True)
    return known


def changes_in(state: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
    """What of ``news`` differs from ``state``.

    The time at which it was said is no change by itself: it only goes along with others.
    """
    changed = {
        key: value for key, value in news.items() if key != TIMESTAMP and state.get(key) != value
    }
    if changed and TIMESTAMP in news:
        changed[TIMESTAMP] = news[TIMESTAMP]
    return changed
