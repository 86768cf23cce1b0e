"""On which hop a request of an app fails: cloud, phone, glasses or app.

A failure that can be known is told at once and names the hop, so that an author need not guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs


@attrs.frozen
class Obstacle:
    """Why a request cannot work; the text begins with the hop."""

    code: str
    text: str


HOPS: Final = frozenset({"cloud", "phone", "glasses", "app"})

PHONE_AWAY: Final = Obstacle("PHONE_GLASSES_NOT_CONNECTED", "phone: not connected")
TOO_MANY: Final = Obstacle("TOO_MANY_REQUESTS", "cloud: too many requests of this app under way")

_PARTS: Final[Mapping[str, str]] = MappingProxyType({"light": "hasLight", "wifi": "hasWifi"})
"""Under which key the capabilities of a model say whether it has that part."""


def said_by_phone(text: str) -> str:
    """What a phone says of a failure, with the hop in front; the phone may name one itself."""
    hop, colon, _ = text.partition(": ")
    return text if colon and hop in HOPS else f"phone: {text}"


def obstacle(
    part: str, *, attached: bool, capabilities: Mapping[str, Any] | None
) -> Obstacle | None:
    """What keeps a request for ``part`` from working; ``None``: nothing that is known.

    Args:
        part: ``light`` or ``wifi``.
        attached: whether the phone is linked.
        capabilities: of the glasses; of an unknown model nothing is ruled out.
    """
    if not attached:
        return PHONE_AWAY
    if capabilities is None or capabilities[_PARTS[part]]:
        return None
    return Obstacle("HARDWARE_NOT_AVAILABLE", f"glasses: {capabilities['modelName']} has no {part}")
