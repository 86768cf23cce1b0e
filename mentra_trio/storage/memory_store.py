"""Store in dicts: the default for tests and for embedding without a data folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import trio

from ..domain.apps import AppRegistration
from ..domain.ids import PackageName, UserId
from ..ports import SavedUser, SessionChange
from .json_text import from_json, to_json
from .saved_sessions import NO_RECORD, ChangeText, change_texts, saved_user


@attrs.define(eq=False)
class _AppTexts:
    """A saved app session: its record, and the messages kept for it by position."""

    record: str = NO_RECORD
    kept: dict[int, str] = attrs.field(factory=dict)

    def save(self, record: str, change: ChangeText) -> None:
        self.record = record
        for position in [position for position in self.kept if position < change.kept_from]:
            del self.kept[position]
        self.kept.update(change.kept)


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
    _user_sessions: dict[UserId, str] = attrs.field(factory=dict, init=False)
    _app_sessions: dict[UserId, dict[PackageName, _AppTexts]] = attrs.field(
        factory=dict, init=False
    )

    async def app(self, package: PackageName) -> AppRegistration | None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return self._registration(package) if package in self._apps else None

    async def apps(self) -> Sequence[AppRegistration]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return [self._registration(package) for package in sorted(self._apps)]

    async def registration(self, registration_id: str) -> AppRegistration | None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        for package in sorted(self._apps):
            if registration_id and self._apps[package].registration_id == registration_id:
                return self._registration(package)
        return None

    async def put_app(self, registration: AppRegistration) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        self._schemas[registration.package] = to_json(
            [registration.settings, registration.tools, dict(registration.permission_texts)]
        )
        self._apps[registration.package] = registration

    async def remove_app(self, package: PackageName) -> bool:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        for wanted in self._wanted.values():
            wanted.pop(package, None)
        for key in [key for key in self._app_settings if key[1] == package]:
            del self._app_settings[key]
        for user in list(self._app_sessions):
            self._forget_app(user, package)
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

    async def save_sessions(self, changes: Sequence[SessionChange]) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        for change in change_texts(changes):
            if change.package is None:
                self._change_user(change.user, change.record)
            elif change.record is None:
                self._forget_app(change.user, change.package)
            else:
                apps = self._app_sessions.setdefault(change.user, {})
                apps.setdefault(change.package, _AppTexts()).save(change.record, change)

    async def saved_users(self) -> Sequence[UserId]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return sorted(self._user_sessions.keys() | self._app_sessions.keys())

    async def saved_session(self, user: UserId) -> SavedUser | None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        apps = sorted(self._app_sessions.get(user, {}).items())
        return saved_user(
            self._user_sessions.get(user),
            {package: (app.record, sorted(app.kept.items())) for package, app in apps},
        )

    def _change_user(self, user: UserId, record: str | None) -> None:
        if record is not None:
            self._user_sessions[user] = record
            return
        self._user_sessions.pop(user, None)
        self._app_sessions.pop(user, None)

    def _forget_app(self, user: UserId, package: PackageName) -> None:
        apps = self._app_sessions.get(user, {})
        apps.pop(package, None)
        if not apps:
            self._app_sessions.pop(user, None)

    def _registration(self, package: PackageName) -> AppRegistration:
        settings, tools, texts = from_json(self._schemas[package])
        return attrs.evolve(
            self._apps[package],
            settings=tuple(settings),
            tools=tuple(tools),
            permission_texts=texts,
        )


def _texts(changes: Mapping[str, Any]) -> dict[str, str]:
    return {key: to_json(value) for key, value in changes.items()}


def _values(stored: Mapping[str, str]) -> dict[str, Any]:
    return {key: from_json(text) for key, text in stored.items()}
