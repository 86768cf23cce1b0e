"""Messages of the glasses: each changes something now, or is handed on to the apps.

All are synchronous: the link's reader never waits for them. Nothing the glasses say closes
their link.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from ..domain.errors import DecodeError, SessionEnded, UpdatesOverflow
from ..domain.ids import PackageName, package_name
from ..domain.streams import StreamEvent
from ..wire import from_glasses as said
from ..wire.codec import decode_from_glasses
from ..wire.from_glasses import FromGlasses
from ..wire.message import Message, Unrecognized
from ..wire.to_glasses import Pong
from .fan_out import fan_out
from .ignored import ignore_glasses

if TYPE_CHECKING:
    from .user_session import UserSession


def handle_glasses_frame(user: UserSession, frame: str | bytes) -> None:
    """Act on one frame of the glasses."""
    if isinstance(frame, bytes):
        user.desk.audio(frame)
        return
    try:
        message = decode_from_glasses(frame)
    except DecodeError as error:
        ignore_glasses(user.desk.place, error.problem)
        return
    hear(user, message, frame)


def hear(user: UserSession, message: FromGlasses | Unrecognized, frame: str) -> None:
    """Act on what the phone says, over whichever way; ``frame`` is how it wrote it."""
    act(user, message)
    if isinstance(message, Unrecognized) or not user.desk.glasses_say(message, frame):
        relay(user, message, frame)


def act(user: UserSession, message: FromGlasses | Unrecognized) -> None:
    """What a message means for the server itself, if anything."""
    match message:
        case said.ConnectionInit():
            user.acknowledge()
        case said.StartApp(package_name=name):
            command(user, user.roster.begin_start, name)
        case said.StopApp(package_name=name):
            command(user, user.roster.begin_stop, name)
        case said.Ping():
            user.desk.eyepiece.send(Pong(timestamp=_now(user)))
        case _:
            pass  # of interest to subsystems and apps only


def relay(user: UserSession, message: FromGlasses | Unrecognized, frame: str) -> None:
    """Give the message to the apps that subscribed to it, as the glasses wrote it."""
    apps = user.roster.apps.values()
    match message:
        case said.Translation(transcribe_language=spoken, translate_language=target):
            event = StreamEvent(stream="translation", language=spoken, target_language=target)
            fan_out(apps, event, msgspec.Raw(frame.encode()), _now(user))
        case said.TouchEvent(gesture_name=gesture):
            event = StreamEvent(stream="touch_event", gesture=gesture)
            fan_out(apps, event, msgspec.Raw(frame.encode()), _now(user))
        case Unrecognized(type=name):
            fan_out(apps, StreamEvent(stream=name), msgspec.Raw(frame.encode()), _now(user))
        case _:
            fan_out(apps, _event_of(type(message)), msgspec.Raw(frame.encode()), _now(user))


@cache
def _event_of(kind: type[Message]) -> StreamEvent:
    """The stream of messages that have nothing in them by which apps choose: their type."""
    return StreamEvent(stream=str(kind.__struct_config__.tag))


def command(user: UserSession, give: Callable[[PackageName], None], name: str) -> None:
    """A command about the app ``name``; the outcome shows in ``app_state_change``."""
    try:
        give(package_name(name))
    except ValueError:
        ignore_glasses(
            user.desk.place, "not a package name at $.packageName"
        )  # which one is their own text
    except (UpdatesOverflow, SessionEnded) as error:
        ignore_glasses(user.desk.place, str(error))


def _now(user: UserSession) -> str:
    return user.surroundings.environment.timestamp()
