"""What the phone says over HTTP: the same as over its WebSocket, and with the same effect."""

from __future__ import annotations

from ..domain.ids import UserId
from ..wire.codec import encode
from ..wire.from_glasses import FromGlasses
from .directory import Directory
from .glasses_handlers import hear


def phone_says(directory: Directory, user: UserId, message: FromGlasses) -> None:
    """Act on ``message``, and hand it on to the apps that subscribed to it.

    Raises:
        SessionEnded: the user has no session: there is nobody who could be interested.
    """
    hear(directory.live(user), message, encode(message))
