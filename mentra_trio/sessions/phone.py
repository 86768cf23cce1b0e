"""What the phone says over HTTP: the same as over its WebSocket, and with the same effect."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.ids import UserId
from ..wire.codec import decode_from_glasses, encode
from ..wire.from_glasses import FromGlasses
from .directory import Directory
from .glasses_handlers import hear
from .photos import Photos


def phone_says(directory: Directory, user: UserId, message: FromGlasses) -> None:
    """Act on ``message``, and hand it on to the apps that subscribed to it.

    Raises:
        SessionEnded: the user has no session: there is nobody who could be interested.
    """
    hear(directory.live(user), message, encode(message))


def phone_writes(directory: Directory, user: UserId, frames: Sequence[str]) -> None:
    """Act on all of ``frames``, and hand them on as they are written; or on none of them.

    Raises:
        DecodeError: one of them is no message.
        SessionEnded: as ``phone_says``.
    """
    messages = [decode_from_glasses(frame) for frame in frames]
    session = directory.live(user)
    for message, frame in zip(messages, frames, strict=True):
        hear(session, message, frame)


def button_pressed(directory: Directory, user: UserId) -> str | None:
    """A button was pressed: the id of a photo that the phone shall take, if no app wants it.

    Raises:
        SessionEnded: as ``phone_says``.
    """
    return directory.live(user).desk.part(Photos).button_pressed()
