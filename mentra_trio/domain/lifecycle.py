"""App lifecycle: every state an app session can be in, and every event that moves it.

Two rules: everything that decides about a state is in this file, and this file knows nothing
of links, timers or webhooks. A state is shown to the outside by its value; the older names of
seed 004 are in ``legacy_name``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from .errors import IllegalTransition


class AppState(enum.Enum):
    """Where an app session is in its life. The value is what the outside sees."""

    CONNECTING = "connecting"
    """Started, no valid init yet."""
    RUNNING = "running"
    """A link is attached."""
    GRACE_PERIOD = "grace_period"
    """The link is lost; everything is kept and no webhook is sent."""
    DISCONNECTED = "disconnected"
    """Grace is over; the jitter before a resurrection runs."""
    RESURRECTING = "resurrecting"
    """The webhook of a resurrection is out."""
    BACKOFF = "backoff"
    """An attempt failed, or others are before it in line; waiting for its turn at the server."""
    EVICTED = "evicted"
    """Given up for now: budget spent, or quarantined. No session, only a record."""
    DORMANT = "dormant"
    """Ownership was released, or the user is away. No session, only a record."""
    STOPPING = "stopping"
    """Being wound down."""
    STOPPED = "stopped"
    """Over. A later start makes a new session."""


class AppEvent(enum.Enum):
    """What moves an app session; always something that has happened."""

    LINK_ATTACHED = "link_attached"
    LINK_REPLACED = "link_replaced"
    LINK_LOST = "link_lost"
    LINK_RELEASED = "link_released"
    START_FAILED = "start_failed"
    GRACE_EXPIRED = "grace_expired"
    JITTER_ELAPSED = "jitter_elapsed"
    TURN_AWAITED = "turn_awaited"
    ATTEMPT_FAILED = "attempt_failed"
    RETRY_DUE = "retry_due"
    BUDGET_SPENT = "budget_spent"
    USER_LEFT = "user_left"
    USER_RETURNED = "user_returned"
    START_REQUESTED = "start_requested"
    ENDPOINT_HEALED = "endpoint_healed"
    STOP_REQUESTED = "stop_requested"
    WOUND_DOWN = "wound_down"


S, E = AppState, AppEvent

TRANSITIONS: Final[Mapping[AppState, Mapping[AppEvent, AppState]]] = MappingProxyType(
    # Read a row as: "while <state>, on <event>, become <state>". A pair that is not written
    # here cannot happen; `next_state` raises on it.
    {
        S.CONNECTING: {E.LINK_ATTACHED: S.RUNNING, E.START_FAILED: S.STOPPING},
        S.RUNNING: {
            E.LINK_REPLACED: S.RUNNING,
            E.LINK_LOST: S.GRACE_PERIOD,
            E.LINK_RELEASED: S.DORMANT,
        },
        S.GRACE_PERIOD: {
            E.LINK_ATTACHED: S.RUNNING,
            E.GRACE_EXPIRED: S.DISCONNECTED,
            E.USER_LEFT: S.DORMANT,
        },
        S.DISCONNECTED: {
            E.LINK_ATTACHED: S.RUNNING,
            E.JITTER_ELAPSED: S.RESURRECTING,
            E.START_REQUESTED: S.RESURRECTING,
            E.TURN_AWAITED: S.BACKOFF,
            E.USER_LEFT: S.DORMANT,
        },
        S.RESURRECTING: {E.LINK_ATTACHED: S.RUNNING, E.ATTEMPT_FAILED: S.BACKOFF},
        S.BACKOFF: {
            E.LINK_ATTACHED: S.RUNNING,
            E.RETRY_DUE: S.RESURRECTING,
            E.START_REQUESTED: S.RESURRECTING,
            E.BUDGET_SPENT: S.EVICTED,
            E.USER_LEFT: S.DORMANT,
        },
        S.EVICTED: {
            E.LINK_ATTACHED: S.RUNNING,
            E.START_REQUESTED: S.RESURRECTING,
            E.ENDPOINT_HEALED: S.RESURRECTING,
            E.TURN_AWAITED: S.BACKOFF,
        },
        S.DORMANT: {
            E.LINK_ATTACHED: S.RUNNING,
            E.START_REQUESTED: S.RESURRECTING,
            E.USER_RETURNED: S.DISCONNECTED,
        },
        S.STOPPING: {E.WOUND_DOWN: S.STOPPED},
        S.STOPPED: {},
    }
)

PEER_EVENTS: Final = frozenset({E.LINK_REPLACED, E.LINK_LOST, E.LINK_RELEASED})
"""What a peer can cause while its link is attached: the row of RUNNING must have them all."""

ENDED: Final = frozenset({S.STOPPING, S.STOPPED})
"""States that a session never leaves alive: it takes no link and no start any more."""

RESTING: Final = frozenset({S.DORMANT, S.EVICTED})
"""States in which an app has no session, only a record of what the next one begins with."""

OVER: Final = ENDED | RESTING
"""States that end a session's life; what comes after is another session."""

AWAY: Final = frozenset({S.GRACE_PERIOD, S.DISCONNECTED, S.RESURRECTING, S.BACKOFF})
"""States in which the app is gone and expected back: messages are kept for it."""


def next_state(state: AppState, event: AppEvent) -> AppState:
    """The state after ``event``; the only function that computes a new state.

    Raises:
        IllegalTransition: the table has no such pair, which is a bug in our own code.
    """
    if event is E.STOP_REQUESTED and state not in ENDED:
        return S.STOPPING  # the one rule that holds in every live state
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"{event.name} while {state.name}") from None


def legacy_name(state: AppState, *, webhook_delivered: bool) -> str:
    """The app state in seed 004's words: LOADING, CONNECTING, CONNECTED, DISCONNECTED, ERROR."""
    match state:
        case S.CONNECTING:
            return "CONNECTING" if webhook_delivered else "LOADING"
        case S.RUNNING:
            return "CONNECTED"
        case S.RESURRECTING:
            return "CONNECTING"
        case S.EVICTED:
            return "ERROR"
        case _:
            return "DISCONNECTED"


class StopCause(enum.Enum):
    """Why an app session ended. The value is for logs, snapshots and the glasses."""

    USER = "stopped by the user"
    FOREGROUND = "stopped"
    """Another standard app was started; which one is told with it."""
    HARDWARE = "stopped for want of hardware"
    """They lack something that the app requires; what it is is told with it."""
    REMOVED = "the app was removed"
    START_FAILED = "the start failed"
    USER_SESSION_ENDED = "the user session ended"
    SERVER_CLOSING = "the server is closing"
    CRASHED = "an error inside the server"


def in_words(what: str, because: str) -> str:
    """What has happened to an app, with more about it where there is more to say."""
    return f"{what}: {because}" if because else what


def wire_reason(cause: StopCause) -> str:
    """``reason`` of ``app_stopped`` and of the stop webhook (protocol.md 1.5, 3.2)."""
    match cause:
        case StopCause.USER | StopCause.FOREGROUND:
            return "user_disabled"
        case StopCause.CRASHED | StopCause.START_FAILED:
            return "error"
        case _:
            return "system_stop"
