"""What the apps of one user share: the glasses, the display, the microphone, the device."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from ..concurrency.watched import Watched
from .device import Device
from .eyepiece import Eyepiece
from .screen import Screen


@attrs.define(eq=False, repr=False)
class Desk:
    """Given to every app session of a user; it knows no app by itself.

    ``here`` is whether the user is: with glasses that are attached. ``apps_changed`` is to be
    called when an app's state or subscriptions have changed; what follows from it (microphone,
    ``app_state_change``) is coalesced behind it.
    """

    eyepiece: Eyepiece
    screen: Screen
    device: Device
    apps_changed: Callable[[], None]
    here: Watched[bool] = attrs.field(factory=lambda: Watched(False), init=False)
