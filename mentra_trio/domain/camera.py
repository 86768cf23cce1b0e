"""What may keep a user's camera from being used, and how that is told.

Every text begins with the hop that is to blame: ``app``, ``phone``, ``glasses`` or ``cloud``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

import attrs

from .hops import PHONE_AWAY
from .permissions import holds

CAMERA: Final = "CAMERA"
SIMULATED: Final = "Simulated Glasses"
"""A phone that plays glasses: it needs none, and uses a camera of its own."""


class Obstacle(enum.Enum):
    """Why the camera cannot be used. The value is an error code of protocol.md 6.3 and 3.6."""

    NO_PERMISSION = "PERMISSION_DENIED"
    NO_PHONE = "PHONE_GLASSES_NOT_CONNECTED"
    NO_GLASSES = "GLASSES_NOT_CONNECTED"
    NO_CAMERA = "CAMERA_INIT_FAILED"
    NO_WIFI = "WIFI_NOT_CONNECTED"


@attrs.frozen(kw_only=True)
class Camera:
    """What is known of the way to the user's camera.

    Attributes:
        phone: whether the phone is linked.
        glasses: whether the glasses are at the phone; ``None``: it has not said so yet.
        model: of the glasses, where it is known.
        capabilities: what that model can do, where it is known.
        wifi: whether the glasses have a network; ``None`` where that is not known.
    """

    phone: bool
    glasses: bool | None = None
    model: str | None = None
    capabilities: Mapping[str, Any] | None = None
    wifi: bool | None = None

    @property
    def missing(self) -> bool:
        """Whether the glasses are known to have no camera."""
        if self.capabilities is None or self.model == SIMULATED:
            return False
        return not self.capabilities.get("hasCamera")

    @property
    def offline(self) -> bool:
        """Whether the glasses use a network of their own, and are known to have none."""
        return self.wifi is False and bool(self.capabilities and self.capabilities.get("hasWifi"))


def obstacle(
    granted: frozenset[str], camera: Camera, *, streaming: bool = False
) -> Obstacle | None:
    """What is in the way of an app with ``granted``; ``None`` where nothing is known to be.

    What is not known is left to the phone: it knows its glasses, and answers. Only ``streaming``
    needs the glasses' own network (protocol.md 6.3, 6.6).
    """
    if not holds(CAMERA, granted):
        return Obstacle.NO_PERMISSION
    if not camera.phone:
        return Obstacle.NO_PHONE
    if camera.glasses is False and camera.model != SIMULATED:
        return Obstacle.NO_GLASSES
    if camera.missing:
        return Obstacle.NO_CAMERA
    if streaming and camera.offline:
        return Obstacle.NO_WIFI
    return None


def in_words(found: Obstacle, camera: Camera, purpose: str) -> str:
    """``found`` for the app's author; ``purpose`` is such as ``to take photos``."""
    match found:
        case Obstacle.NO_PERMISSION:
            return f"app: Camera permission required {purpose}"
        case Obstacle.NO_PHONE:
            return PHONE_AWAY.text
        case Obstacle.NO_GLASSES:
            return "glasses: not connected to the phone"
        case Obstacle.NO_CAMERA:
            return f"glasses: {camera.model} has no camera"
        case Obstacle.NO_WIFI:
            return "glasses: no_wifi_connection; connect them to a network first"
