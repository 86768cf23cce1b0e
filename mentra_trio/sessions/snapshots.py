"""Frozen views of sessions, for the API and for people. Taking one changes nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final

import attrs
import trio

from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import OVER, AppState, legacy_name
from ..domain.records import AppRecord
from .wall_time import wall

if TYPE_CHECKING:
    from .app_session import AppSession

_AT_REST: Final = frozenset(state.value for state in OVER)


@attrs.frozen(kw_only=True)
class AppSnapshot:
    """An app session at one moment.

    Attributes:
        state: the state's public name, such as ``grace_period``.
        app_state: the same in seed 004's words, such as ``DISCONNECTED``.
        since: when this state began, wall time.
        cause: why it is in this state, in words.
        subscriptions: the streams in force, as the app wrote them.
        epoch: which life of the app this is for the user, from 1.
        attempt: calls of the app server since the start, or since the app was lost.
        next_attempt_at: when the next one is due; ``None`` if none is planned.
        outbox: messages kept for the app until it is back.
        give_up_at: when it is given up, while it is being brought back.
        last_seen: when its link last gave a sign of life; ``None`` while there is none.
        quarantined: whether only the user brings it back, because its session kept crashing.
    """

    package: PackageName
    state: str
    app_state: str
    since: datetime
    cause: str
    subscriptions: tuple[str, ...]
    epoch: int
    attempt: int
    next_attempt_at: datetime | None
    outbox: int
    give_up_at: datetime | None = None
    last_seen: datetime | None = None
    quarantined: bool = False

    @property
    def active(self) -> bool:
        """Whether the app runs, or is being started or brought back, at that moment."""
        return self.state not in _AT_REST


@attrs.frozen(kw_only=True)
class UserSnapshot:
    """A user session at one moment.

    ``last_seen`` is the glasses' latest sign of life; ``model_name`` is which they are.
    """

    user: UserId
    state: str
    since: datetime
    connected: bool
    last_seen: datetime | None = None
    apps: tuple[AppSnapshot, ...]
    model_name: str | None = None


def page_of(users: Iterable[UserId], after: str, limit: int | None) -> list[UserId]:
    """``users`` in order: all, or the first ``limit`` of those behind ``after``.

    Looking at ten thousand sessions takes long enough to be felt by everybody.
    """
    ordered = sorted(users)
    start = bisect_right(ordered, after)
    return ordered[start : None if limit is None else start + limit]


def app_snapshot(app: AppSession, since: datetime) -> AppSnapshot:
    """How a live session looks now."""
    environment = app.surroundings.environment
    delivered = app.attempt is not None and app.attempt.delivered.is_set()
    return AppSnapshot(
        package=app.package,
        state=app.state.value,
        app_state=legacy_name(app.state, webhook_delivered=delivered),
        since=since,
        cause=app.cause,
        subscriptions=app.subscriptions.texts,
        epoch=app.epoch,
        attempt=app.attempts,
        next_attempt_at=wall(environment, next_attempt_at(app)),
        outbox=len(app.backlog),
        give_up_at=wall(environment, app.give_up_at) if app.state is AppState.BACKOFF else None,
        last_seen=wall(environment, app.link.last_heard) if app.link is not None else None,
    )


def record_snapshot(package: PackageName, record: AppRecord, outbox: int) -> AppSnapshot:
    """How an app at rest looks."""
    return AppSnapshot(
        package=package,
        state=record.state.value,
        app_state=legacy_name(record.state, webhook_delivered=False),
        since=record.since,
        cause=record.cause,
        subscriptions=record.subscriptions.texts,
        epoch=record.epoch,
        attempt=0,
        next_attempt_at=None,
        outbox=outbox,
        quarantined=record.quarantined,
    )


def next_attempt_at(app: AppSession) -> float | None:
    """When an app that waits for it is tried next, as far as that is known; Trio time."""
    match app.state:
        case AppState.DISCONNECTED:
            return app.retry_at
        case AppState.BACKOFF:
            chance = app.endpoint.next_chance() if app.registration is not None else None
            known = [moment for moment in (app.retry_at, chance) if moment is not None]
            return max([trio.current_time(), *known])
        case _:
            return None
