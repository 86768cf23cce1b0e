"""The system dashboard app: every user has it, without ever having asked for it (seed 004)."""

from __future__ import annotations

from collections.abc import Sequence

from ..domain.apps import AppKind
from ..domain.ids import PackageName
from .surroundings import Surroundings


async def with_dashboard(
    surroundings: Surroundings, wanted: Sequence[PackageName]
) -> list[PackageName]:
    """``wanted`` and, before all others, the system dashboard app, if one is registered.

    It is one only under the package that the settings name, and as an app of that kind.

    Raises:
        StoreFailed: it is not known whether one is registered.
    """
    package = PackageName(surroundings.dashboard_package)
    found = await surroundings.store.app(package)
    if found is None or found.kind is not AppKind.SYSTEM_DASHBOARD:
        return list(wanted)
    return [package, *(one for one in wanted if one != package)]
