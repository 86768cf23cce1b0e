"""Store in dicts: the default for tests and for embedding without a data folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import trio

from ..domain.apps import AppRegistration
from ..domain.ids import PackageName, UserId
from .json_text import from_json, to_json


@attrs.define(eq=False)
class MemoryStore:
    """Implements ``ports.Store``; everything is gone with the object.

    Values are kept as JSON, so that callers cannot reach into the store and see the same
    conversions as with a store on disk.
    """

    _apps: dict[PackageName, AppRegistration] = attrs.field(factory=dict, init=False)
    _schemas: dict[PackageName, str] = attrs.field(factory=dict, init=False)
    _wanted: dict[UserId, dict[PackageName, None]] = attrs.field(factory=dict, init=False)
    _app_settings: dict[tuple[UserId, PackageName], dict[str, str]] = attrs.field(
        factory=dict, init=False
    )
    _user_settings: dict[UserId, dict[str, str]] = attrs.field(factory=dict, init=False)

    async def app(self, package: PackageName) -> AppRegistration | None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return self._registration(package) if package in self._apps else None

    async def apps(self) -> Sequence[AppRegistration]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return [self._registration(package) for package in sorted(self._apps)]

    async def put_app(self, registration: AppRegistration) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        self._schemas[registration.package] = to_json(list(registration.settings))
        self._apps[registration.package] = registration

    async def remove_app(self, package: PackageName) -> bool:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        for wanted in self._wanted.values():
            wanted.pop(package, None)
        for key in [key for key in self._app_settings if key[1] == package]:
            del self._app_settings[key]
        self._schemas.pop(package, None)
        return self._apps.pop(package, None) is not None

    async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return list(self._wanted.get(user, ()))

    async def set_wanted(self, user: UserId, package: PackageName, *, wanted: bool) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        if wanted:
            self._wanted.setdefault(user, {}).setdefault(package)
        else:
            self._wanted.get(user, {}).pop(package, None)

    async def app_settings(self, user: UserId, package: PackageName) -> Mapping[str, Any]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return _values(self._app_settings.get((user, package), {}))

    async def put_app_settings(
        self, user: UserId, package: PackageName, changes: Mapping[str, Any]
    ) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        self._app_settings.setdefault((user, package), {}).update(_texts(changes))

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return _values(self._user_settings.get(user, {}))

    async def put_user_settings(self, user: UserId, changes: Mapping[str, Any]) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        self._user_settings.setdefault(user, {}).update(_texts(changes))

    def _registration(self, package: PackageName) -> AppRegistration:
        schema = tuple(from_json(self._schemas[package]))
        return attrs.evolve(self._apps[package], settings=schema)


def _texts(changes: Mapping[str, Any]) -> dict[str, str]:
    return {key: to_json(value) for key, value in changes.items()}


def _values(stored: Mapping[str, str]) -> dict[str, Any]:
    return {key: from_json(text) for key, text in stored.items()}
