"""What is said when the store fails a user."""

from __future__ import annotations

from ..domain.facts import StoreTrouble
from ..domain.ids import UserId
from .surroundings import Surroundings


def report_store_trouble(surroundings: Surroundings, user: UserId, error: BaseException) -> None:
    """Say that the store failed ``user``; what depended on it was left undone."""
    surroundings.telemetry.emit(StoreTrouble(user=user, problem=str(error)))
