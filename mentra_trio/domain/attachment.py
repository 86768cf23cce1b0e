"""A user session's life as a table: its glasses come, go, and come back or not."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .errors import IllegalTransition


class UserState(enum.Enum):
    """Where a user session is in its life. The value is what the outside sees."""

    INITIALIZING = "INITIALIZING"
    """Being made for glasses that came: what is known of their user is read."""
    CONNECTING = "CONNECTING"
    """Made for glasses that are about to be attached."""
    CONNECTED = "CONNECTED"
    """Glasses are attached."""
    DISCONNECTED = "DISCONNECTED"
    """The glasses are gone; the user's grace period runs and every app goes on."""
    DISCONNECTING = "DISCONNECTING"
    """Being wound down; never left alive."""
    ERROR = "ERROR"
    """Being wound down because of an error inside the server; never left alive."""


class UserEvent(enum.Enum):
    """What moves a user session."""

    RECALLED = "recalled"
    GLASSES_ATTACHED = "glasses_attached"
    GLASSES_REPLACED = "glasses_replaced"
    GLASSES_LOST = "glasses_lost"
    GRACE_EXPIRED = "grace_expired"
    ENDED = "ended"
    CRASHED = "crashed"


S, E = UserState, UserEvent

TRANSITIONS: Final[Mapping[UserState, Mapping[UserEvent, UserState]]] = MappingProxyType(
    {
        S.INITIALIZING: {E.RECALLED: S.CONNECTING},
        S.CONNECTING: {E.GLASSES_ATTACHED: S.CONNECTED, E.GRACE_EXPIRED: S.DISCONNECTING},
        S.CONNECTED: {E.GLASSES_REPLACED: S.CONNECTED, E.GLASSES_LOST: S.DISCONNECTED},
        S.DISCONNECTED: {
            E.GLASSES_ATTACHED: S.CONNECTED,
            E.GRACE_EXPIRED: S.DISCONNECTING,
        },
        S.DISCONNECTING: {},
        S.ERROR: {},
    }
)


OVER: Final = frozenset({S.DISCONNECTING, S.ERROR})
"""States that a session never leaves alive: it takes no glasses and no app any more."""


def next_state(state: UserState, event: UserEvent) -> UserState:
    """The state after ``event``; the only function that computes a new state.

    Raises:
        IllegalTransition: the table has no such pair, which is a bug in our own code.
    """
    if event is E.ENDED:
        return S.DISCONNECTING  # logout and server end hold in every state
    if event is E.CRASHED:
        return S.ERROR
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"{event.name} while {state.name}") from None
