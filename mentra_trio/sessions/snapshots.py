"""Frozen views of sessions, for the API and for people. Taking one changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import attrs

from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import ENDED, AppState

_AT_REST: Final = frozenset(state.value for state in (*ENDED, AppState.DORMANT, AppState.EVICTED))


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
        attempt: how many webhooks this life has sent for its start.
        next_attempt_at: when the next one is due; ``None`` if none is planned.
        outbox: messages kept for the app until it is back.
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

    @property
    def active(self) -> bool:
        """Whether the app runs, or is being started or brought back, at that moment."""
        return self.state not in _AT_REST


@attrs.frozen(kw_only=True)
class UserSnapshot:
    """A user session at one moment."""

    user: UserId
    state: str
    since: datetime
    connected: bool
    apps: tuple[AppSnapshot, ...]
