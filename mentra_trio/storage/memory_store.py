"""Store in dicts: the default for tests and for embedding without a data folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import trio

from ..domain.apps import AppRegistration
from ..domain.errors import StorageFull
from ..domain.ids import PackageName, UserId
from ..domain.simple_storage import entry_units, excess
from ..ports import FEEDBACK_MAX, FEEDBACK_OF_ONE_MAX, Feedback, SavedUser, SessionChange
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
    _simple_storage: dict[tuple[UserId, PackageName], dict[str, str]] = attrs.field(
        factory=dict, init=False
    )
    _uninstalled: set[tuple[UserId, PackageName]] = attrs.field(factory=set, init=False)
    _feedback: list[Feedback] = attrs.field(factory=list, init=False)
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
        for key in [key for key in self._simple_storage if key[1] == package]:
            del self._simple_storage[key]
        self._uninstalled = {one for one in self._uninstalled if one[1] != package}
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

    async def simple_storage(self, user: UserId, package: PackageName) -> Mapping[str, str]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return dict(sorted(self._simple_storage.get((user, package), {}).items()))

    async def put_simple_storage(
        self, user: UserId, package: PackageName, entries: Mapping[str, str]
    ) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        after = {**self._simple_storage.get((user, package), {}), **entries}
        units = sum(entry_units(key, value) for key, value in after.items())
        if problem := excess(len(after), units):
            raise StorageFull(problem)
        self._simple_storage[user, package] = after

    async def drop_simple_storage(
        self, user: UserId, package: PackageName, key: str | None = None
    ) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        kept = self._simple_storage.get((user, package), {})
        if key is not None:
            kept.pop(key, None)
        if key is None or not kept:
            self._simple_storage.pop((user, package), None)

    async def uninstalled_apps(self, user: UserId) -> frozenset[PackageName]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return frozenset(package for who, package in self._uninstalled if who == user)

    async def set_installed(self, user: UserId, package: PackageName, *, installed: bool) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        if installed:
            self._uninstalled.discard((user, package))
        else:
            self._uninstalled.add((user, package))

    async def add_feedback(self, feedback: Feedback) -> None:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        self._feedback.append(feedback)
        own = [one for one in self._feedback if one.user == feedback.user]
        if len(own) > FEEDBACK_OF_ONE_MAX:
            self._feedback.remove(own[0])
        del self._feedback[:-FEEDBACK_MAX]

    async def feedback(self, limit: int) -> Sequence[Feedback]:
        """See ``ports.Store``."""
        await trio.lowlevel.checkpoint()
        return self._feedback[max(0, len(self._feedback) - limit) :]

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
