"""What is said, and done, when the store fails a user."""

from __future__ import annotations

import trio

from ..domain.apps import AppRegistration
from ..domain.errors import StoreFailed
from ..domain.facts import StoreTrouble
from ..domain.ids import PackageName, UserId
from ..domain.timings import SAVE_AGAIN_S
from .surroundings import Surroundings


def report_store_trouble(surroundings: Surroundings, user: UserId, error: BaseException) -> None:
    """Say that the store failed ``user``; what depended on it was left undone."""
    surroundings.telemetry.emit(StoreTrouble(user=user, problem=str(error)))


async def registration_of(
    surroundings: Surroundings, user: UserId, package: PackageName
) -> AppRegistration | None:
    """The registration of ``package``, if there is one; a store that fails is asked again."""
    while True:
        try:
            return await surroundings.store.app(package)
        except StoreFailed as error:
            report_store_trouble(surroundings, user, error)
        await trio.sleep(SAVE_AGAIN_S)
