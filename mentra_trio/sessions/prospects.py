"""Why an app is as it is, what would change that, and when it is tried: the lines of ``why``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ..domain.breaker import BreakerState
from ..domain.lifecycle import AppState
from ..domain.timings import Lifecycle
from ..domain.wording import counted
from ..environment import wire_time
from .endpoint import EndpointSnapshot
from .snapshots import AppSnapshot

BY_THE_USER: Final = "a start by the user is tried at once"
LINES_MAX: Final = 5


def explanation(
    app: AppSnapshot | None,
    server: EndpointSnapshot | None,
    story: Sequence[str],
    lifecycle: Lifecycle,
    now: datetime,
) -> list[str]:
    """The state, as much of ``story`` (newest last) as there is room for, and what comes next."""
    last = prospect(app, server, lifecycle, now)
    if app is None:
        return [*story[1 - LINES_MAX :], last]
    before = story[:-1]  # its end is the state itself
    return [headline(app, now), *before[2 - LINES_MAX :], last]


def headline(app: AppSnapshot, now: datetime) -> str:
    """The state of an app, since when, and because of what."""
    seconds = max(0.0, (now - app.since).total_seconds())
    since = wire_time(app.since)
    return f"{app.package} is {app.state} since {since} ({seconds:.0f} s): {app.cause}"


def prospect(
    app: AppSnapshot | None, server: EndpointSnapshot | None, lifecycle: Lifecycle, now: datetime
) -> str:
    """What comes next for an app, in one line; ``app`` is ``None`` where it has no session."""
    if app is None:
        return f"next: nothing; {BY_THE_USER}"
    match AppState(app.state):
        case AppState.RUNNING:
            return f"next: nothing; it was last heard of at {_moment(app.last_seen, now)}"
        case AppState.CONNECTING | AppState.RESURRECTING:
            return "next: its server was called; the app is to connect, or the attempt fails"
        case AppState.GRACE_PERIOD:
            until = app.since + timedelta(seconds=lifecycle.grace_s)
            return (
                f"next: it may come back by itself until {_moment(until, now)}, then it is called"
            )
        case AppState.DISCONNECTED:
            return f"next: its server is called at {_moment(app.next_attempt_at, now)}"
        case AppState.BACKOFF:
            return _backoff(app, server, now)
        case AppState.EVICTED if app.quarantined:
            return f"next: nothing by itself; {BY_THE_USER}"
        case AppState.EVICTED:
            return f"next: its server is tried {_trial(server, now)}; {BY_THE_USER}"
        case AppState.DORMANT:
            return f"next: it comes back with the glasses, or by itself; {BY_THE_USER}"
        case _:
            return f"next: it is over in a moment; then {BY_THE_USER}"


def _backoff(app: AppSnapshot, server: EndpointSnapshot | None, now: datetime) -> str:
    others = max(0, server.waiting - 1) if server is not None else 0
    shared = f" for it and {counted(others, 'other')}" if others else ""
    attempt, given_up = _moment(app.next_attempt_at, now), _moment(app.give_up_at, now)
    return f"next: tried{shared} at {attempt}, given up at {given_up}; {BY_THE_USER}"


def _trial(server: EndpointSnapshot | None, now: datetime) -> str:
    if server is None or server.state is BreakerState.CLOSED:
        return "now and then"
    return f"at {_moment(server.next_trial_at, now)}"


def _moment(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "an unknown time"
    seconds = (moment - now).total_seconds()
    away = f"in {seconds:.0f} s" if seconds >= 0 else f"{-seconds:.0f} s ago"
    return f"{wire_time(moment)} ({away})"
