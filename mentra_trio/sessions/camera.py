"""The user's camera, as far as the server knows of the way to it."""

from __future__ import annotations

from ..domain.camera import Camera
from .subsystem import Workplace


def camera_of(place: Workplace) -> Camera:
    """What is known at this moment."""
    device = place.device
    wifi = device.snapshot.get("wifiConnected")
    return Camera(
        phone=place.eyepiece.attached,
        glasses=device.at_phone,
        model=device.model_name,
        capabilities=device.capabilities,
        wifi=wifi if isinstance(wifi, bool) else None,
    )
