"""Messages of the glasses: each changes something now, or is handed on to the apps.

All are synchronous: the link's reader never waits for them. Nothing the glasses say closes
their link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, get_args

from ..domain.errors import DecodeError, SessionEnded, UpdatesOverflow
from ..domain.ids import PackageName, package_name
from ..domain.streams import GESTURES, TOUCH_EVENT, TRANSLATION, StreamEvent
from ..wire import from_glasses as said
from ..wire.codec import decode_from_glasses
from ..wire.from_glasses import FromGlasses
from ..wire.message import Unrecognized
from ..wire.to_glasses import Pong
from .desk import is_taken
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
    """Act on what the phone says, over whichever way; ``frame`` is how it wrote it.

    What only apps want to know is found by its type, and handed on at once.
    """
    event = _ONLY_RELAYED.get(type(message))
    if event is None:
        act = _ACTS.get(type(message))
        if act is not None:
            act(user, message)
        if not isinstance(message, Unrecognized) and user.desk.glasses_say(message, frame):
            return
        event = event_of(message)
    fan_out(user.roster.apps.values(), event, frame, user.surroundings.environment)


def event_of(message: FromGlasses | Unrecognized) -> StreamEvent:
    """As what the apps that subscribed to it hear ``message``."""
    match message:
        case said.Translation(transcribe_language=spoken, translate_language=target):
            return StreamEvent(stream=TRANSLATION, language=spoken, target_language=target)
        case said.TouchEvent(gesture_name=gesture):
            return _TOUCHES.get(gesture) or StreamEvent(stream=TOUCH_EVENT, gesture=gesture)
        case Unrecognized(type=name):
            return StreamEvent(stream=name)
        case _:
            return _EVENTS[type(message)]


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


def _greet_again(user: UserSession, message: said.ConnectionInit) -> None:
    user.acknowledge()


def _start(user: UserSession, message: said.StartApp) -> None:
    command(user, user.roster.begin_start, message.package_name)


def _stop(user: UserSession, message: said.StopApp) -> None:
    command(user, user.roster.begin_stop, message.package_name)


def _answer(user: UserSession, message: said.Ping) -> None:
    user.desk.eyepiece.send(Pong(timestamp=user.surroundings.environment.timestamp()))


_ACTS: Final[Mapping[type, Callable[[UserSession, Any], None]]] = MappingProxyType(
    {
        said.ConnectionInit: _greet_again,
        said.StartApp: _start,
        said.StopApp: _stop,
        said.Ping: _answer,
    }
)
"""What a message means for the server itself."""
_EVENTS: Final[Mapping[type, StreamEvent]] = MappingProxyType(
    {kind: StreamEvent(stream=kind.__struct_config__.tag) for kind in get_args(FromGlasses)}
)
"""The stream of messages that have nothing in them by which apps choose: their type."""
_TOUCHES: Final = MappingProxyType(
    {gesture: StreamEvent(stream=TOUCH_EVENT, gesture=gesture) for gesture in GESTURES}
)
_ONLY_RELAYED: Final = MappingProxyType(
    {
        kind: event
        for kind, event in _EVENTS.items()
        if kind not in {*_ACTS, said.Translation, said.TouchEvent} and not is_taken(kind)
    }
)
"""Of those of them that nobody in the server wants to know."""
