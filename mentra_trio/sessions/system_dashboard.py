"""The system dashboard app: every user has it, without ever having asked for it (seed 004)."""

from __future__ import annotations

from ..domain.apps import AppKind
from ..domain.ids import PackageName
from .surroundings import Surroundings


async def system_dashboard(surroundings: Surroundings) -> tuple[PackageName, ...]:
    """The system dashboard app, if one is registered.

    It is one only under the package that the settings name, and as an app of that kind.

    Raises:
        StoreFailed: it is not known whether one is registered.
    """
    package = PackageName(surroundings.dashboard_package)
    found = await surroundings.store.app(package)
    is_one = found is not None and found.kind is AppKind.SYSTEM_DASHBOARD
    return (package,) if is_one else ()
