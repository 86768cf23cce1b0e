"""The users of each app who have it running now, over all user sessions of the server.

Only ``messaging`` changes this: an app is entered when it is attached, and taken out when its
session is over or at rest. One that is away for a moment is still there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from ..domain.ids import PackageName, UserId
from ..domain.rooms import Rooms

if TYPE_CHECKING:
    from .app_session import AppSession

NOBODY: Final[Mapping[UserId, Neighbour]] = MappingProxyType({})


@attrs.define(eq=False, repr=False)
class Neighbour:
    """An app of one user, as those of others find it; ``came`` is wall time."""

    app: AppSession
    came: datetime


@attrs.define(eq=False, repr=False)
class Neighbours:
    """Who is there, and the rooms that they are in; one object per server."""

    rooms: Rooms = attrs.field(factory=Rooms, init=False)
    _by_package: dict[PackageName, dict[UserId, Neighbour]] = attrs.field(factory=dict, init=False)

    def enter(self, app: AppSession, now: datetime) -> None:
        """``app`` is there; where it was already, it came when it came first."""
        users = self._by_package.setdefault(app.package, {})
        known = users.get(app.user)
        users[app.user] = Neighbour(app, known.came if known is not None else now)

    def remove(self, package: PackageName, user: UserId) -> None:
        """The app of ``user`` is there no more."""
        users = self._by_package.get(package, {})
        users.pop(user, None)
        if not users:
            self._by_package.pop(package, None)

    def of(self, package: PackageName) -> Mapping[UserId, Neighbour]:
        """Everybody who has that app, in the order in which they came."""
        return self._by_package.get(package, NOBODY)
