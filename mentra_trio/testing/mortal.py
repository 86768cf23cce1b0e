"""What of a server that was killed no longer has any effect: what it writes, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import trio

from ..domain.apps import AppRegistration
from ..domain.facts import Fact
from ..domain.ids import PackageName, UserId
from ..ports import Feedback, SavedUser, SessionChange, Store, Telemetry
from ..webhooks.connecting import Dial


@attrs.define(eq=False)
class Pulse:
    """Whether a server still lives. Its tasks may take a moment to end after it has died."""

    beats: bool = True


@attrs.define(eq=False)
class MortalTelemetry:
    """``telemetry`` of a server, for as long as it lives."""

    _telemetry: Telemetry
    _pulse: Pulse

    def emit(self, fact: Fact) -> None:
        """See ``ports.Telemetry``."""
        if self._pulse.beats:
            self._telemetry.emit(fact)


@attrs.define(eq=False)
class MortalStore:
    """``store`` as a server uses it: what the server writes once it is dead is not written.

    The store itself is the disk, which survives.
    """

    _store: Store
    _pulse: Pulse

    async def app(self, package: PackageName) -> AppRegistration | None:
        """See ``ports.Store``."""
        return await self._store.app(package)

    async def apps(self) -> Sequence[AppRegistration]:
        """See ``ports.Store``."""
        return await self._store.apps()

    async def registration(self, registration_id: str) -> AppRegistration | None:
        """See ``ports.Store``."""
        return await self._store.registration(registration_id)

    async def put_app(self, registration: AppRegistration) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.put_app(registration)

    async def remove_app(self, package: PackageName) -> bool:
        """See ``ports.Store``."""
        return self._pulse.beats and await self._store.remove_app(package)

    async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
        """See ``ports.Store``."""
        return await self._store.wanted_apps(user)

    async def set_wanted(self, user: UserId, package: PackageName, *, wanted: bool) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.set_wanted(user, package, wanted=wanted)

    async def app_settings(self, user: UserId, package: PackageName) -> Mapping[str, Any]:
        """See ``ports.Store``."""
        return await self._store.app_settings(user, package)

    async def put_app_settings(
        self, user: UserId, package: PackageName, changes: Mapping[str, Any]
    ) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.put_app_settings(user, package, changes)

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        """See ``ports.Store``."""
        return await self._store.user_settings(user)

    async def put_user_settings(self, user: UserId, changes: Mapping[str, Any]) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.put_user_settings(user, changes)

    async def simple_storage(self, user: UserId, package: PackageName) -> Mapping[str, str]:
        """See ``ports.Store``."""
        return await self._store.simple_storage(user, package)

    async def put_simple_storage(
        self, user: UserId, package: PackageName, entries: Mapping[str, str]
    ) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.put_simple_storage(user, package, entries)

    async def drop_simple_storage(
        self, user: UserId, package: PackageName, key: str | None = None
    ) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.drop_simple_storage(user, package, key)

    async def uninstalled_apps(self, user: UserId) -> frozenset[PackageName]:
        """See ``ports.Store``."""
        return await self._store.uninstalled_apps(user)

    async def set_installed(self, user: UserId, package: PackageName, *, installed: bool) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.set_installed(user, package, installed=installed)

    async def add_feedback(self, feedback: Feedback) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.add_feedback(feedback)

    async def feedback(self, limit: int) -> Sequence[Feedback]:
        """See ``ports.Store``."""
        return await self._store.feedback(limit)

    async def save_sessions(self, changes: Sequence[SessionChange]) -> None:
        """See ``ports.Store``."""
        if self._pulse.beats:
            await self._store.save_sessions(changes)

    async def saved_users(self) -> Sequence[UserId]:
        """See ``ports.Store``."""
        return await self._store.saved_users()

    async def saved_session(self, user: UserId) -> SavedUser | None:
        """See ``ports.Store``."""
        return await self._store.saved_session(user)


def mortal_dial(dial: Dial, pulse: Pulse) -> Dial:
    """``dial`` of a server, for as long as it lives."""

    async def dialled(host: str, port: int) -> trio.abc.Stream:
        if not pulse.beats:
            raise ConnectionAbortedError(f"{host}:{port} is dialled by a server that is dead")
        return await dial(host, port)

    return dialled
