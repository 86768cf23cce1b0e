"""Requests of apps that are under way to the phone: whose each one is, and until when it counts.

Pure data: the caller passes the time. Apps name their requests as they like, so two of them may
choose the same name: then the phone is told another one for the second.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from .ids import PackageName


@attrs.frozen(kw_only=True)
class Request:
    """One request. ``name`` is how the phone knows it, ``own_name`` how the app does.

    ``until`` is Trio time.
    """

    name: str
    package: PackageName
    own_name: str
    until: float


@attrs.define(eq=False, kw_only=True)
class Requests:
    """The requests of one kind of all apps of a user, oldest first.

    Attributes:
        seconds: how long each counts.
        per_app: how many an app may have under way.
    """

    seconds: float
    per_app: int
    _open: dict[str, Request] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._open)

    def enter(
        self, package: PackageName, own_name: str, now: float, *, new_name: Callable[[], str]
    ) -> Request | None:
        """Take note of a request; ``None`` if the app has as many as it may have.

        One that the app makes again under the same name takes the place of the one before.
        ``new_name`` makes a name that nobody else chooses.
        """
        mine = [one for one in self._open.values() if one.package == package]
        name = next((one.name for one in mine if one.own_name == own_name), None)
        if name is None and len(mine) >= self.per_app:
            return None
        if name is not None:
            del self._open[name]
        else:
            name = own_name if own_name not in self._open else new_name()
        request = Request(name=name, package=package, own_name=own_name, until=now + self.seconds)
        self._open[name] = request
        return request

    def take(self, name: str) -> Request | None:
        """The request that the phone answers by ``name``; it is not under way any more."""
        return self._open.pop(name, None)

    @property
    def next_until(self) -> float | None:
        """When the oldest request stops to count; ``None`` while there is none."""
        return next((one.until for one in self._open.values()), None)

    def take_expired(self, now: float) -> list[Request]:
        """Those that do not count any more, oldest first; they are not under way any more."""
        expired = [one for one in self._open.values() if one.until <= now]
        for one in expired:
            del self._open[one.name]
        return expired

    def forget(self, package: PackageName) -> None:
        """Nobody waits for the answers to an app's requests any more."""
        for name in [one.name for one in self._open.values() if one.package == package]:
            del self._open[name]
