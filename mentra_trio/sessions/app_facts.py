"""What is told of an app session's life as facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..domain.facts import AppStateChanged, UpdateFailed
from ..domain.lifecycle import AppEvent, AppState

if TYPE_CHECKING:
    from .app_session import AppSession


def tell_state(
    app: AppSession, old: AppState | None, event: AppEvent | None, seconds: float
) -> None:
    """Tell in which state ``app`` is now; ``seconds`` is how long it was in the ``old`` one."""
    app.surroundings.telemetry.emit(
        AppStateChanged(
            user=app.user,
            package=app.package,
            old=old,
            new=app.state,
            event=event,
            cause=app.cause,
            seconds=seconds,
        )
    )


def tell_failed_update(app: AppSession, error: BaseException) -> None:
    """Tell that an update of the subscriptions of ``app`` has failed; nothing of its text."""
    app.surroundings.telemetry.emit(
        UpdateFailed(user=app.user, package=app.package, problem=type(error).__name__)
    )
