"""Store in one SQLite file: write-ahead log, a thread that writes and one that reads, one commit
for many writers; a few rows by their key are read in place.

Nothing is cached: what another process writes, such as ``mentra-trio apps add``, is seen at the
next look.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs

from ..domain.apps import AppKind, AppRegistration
from ..domain.errors import ConfigError, StoreFailed
from ..domain.hardware import requirement_of
from ..domain.ids import PackageName, UserId
from ..ports import Feedback, SavedUser, SessionChange
from .database import Job
from .entries import put_entries, put_feedback, read_feedback
from .json_text import from_json, list_from_json, object_from_json, to_json
from .saved_sessions import (
    forget_app,
    read_texts,
    read_users,
    saved_user,
    write_changes,
)
from .writer import Runner, inline_runner, thread_runner

DATABASE_NAME: Final = "mentra.sqlite3"
"""The file's name in the data folder."""

_OF_APPS: Final = ("wanted_apps", "app_settings", "simple_storage", "uninstalled_apps")
"""Tables of what users have of apps, all with a column ``package``."""

_APP_COLUMNS: Final = (
    "package, url, key_hash, name, kind, permissions, settings,"
    " registration_id, server_urls, allowed_networks,"
    " hardware, tools, description, version, permission_texts"
)


@asynccontextmanager
async def open_sqlite_store(path: Path, *, inline: bool = False) -> AsyncGenerator[SqliteStore]:
    """The store in the file at ``path``, which is made if absent.

    Args:
        inline: without a thread, in the event loop: for virtual time, which does not wait for
            threads, and for commands that do one thing.

    Raises:
        StoreFailed: one line that names the file and what is wrong with it.
    """
    async with inline_runner(path) if inline else thread_runner(path) as runner:
        yield SqliteStore(runner)


@attrs.define(eq=False)
class SqliteStore:
    """Implements ``ports.Store``. A write is on disk when its method returns."""

    _runner: Runner

    async def app(self, package: PackageName) -> AppRegistration | None:
        """See ``ports.Store``."""
        query = f"SELECT {_APP_COLUMNS} FROM apps WHERE package = ?"
        rows = await self._read(query, package)
        return _registration(rows[0]) if rows else None

    async def apps(self) -> Sequence[AppRegistration]:
        """See ``ports.Store``."""
        rows = await self._read(f"SELECT {_APP_COLUMNS} FROM apps ORDER BY package", brief=False)
        return [_registration(row) for row in rows]

    async def registration(self, registration_id: str) -> AppRegistration | None:
        """See ``ports.Store``."""
        condition = "registration_id = ? AND registration_id <> ''"
        query = f"SELECT {_APP_COLUMNS} FROM apps WHERE {condition} ORDER BY package LIMIT 1"
        rows = await self._read(query, registration_id)
        return _registration(rows[0]) if rows else None

    async def put_app(self, registration: AppRegistration) -> None:
        """See ``ports.Store``."""
        row = _row(registration)
        places = ", ".join("?" * len(row))
        statement = f"INSERT OR REPLACE INTO apps ({_APP_COLUMNS}) VALUES ({places})"
        await self._write(statement, [row])

    async def remove_app(self, package: PackageName) -> bool:
        """See ``ports.Store``."""

        def remove(database: sqlite3.Connection) -> bool:
            forget_app(package, database)
            for table in _OF_APPS:
                database.execute(f"DELETE FROM {table} WHERE package = ?", (package,))
            return database.execute("DELETE FROM apps WHERE package = ?", (package,)).rowcount > 0

        return bool(await self._runner.run(Job(remove, writes=True)))

    async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
        """See ``ports.Store``."""
        query = "SELECT package FROM wanted_apps WHERE user = ? ORDER BY position"
        return [PackageName(package) for (package,) in await self._read(query, user)]

    async def set_wanted(self, user: UserId, package: PackageName, *, wanted: bool) -> None:
        """See ``ports.Store``."""
        statement = (
            "INSERT INTO wanted_apps (user, package) VALUES (?, ?) ON CONFLICT DO NOTHING"
            if wanted
            else "DELETE FROM wanted_apps WHERE user = ? AND package = ?"
        )
        await self._write(statement, [(user, package)])

    async def app_settings(self, user: UserId, package: PackageName) -> Mapping[str, Any]:
        """See ``ports.Store``."""
        query = "SELECT key, value FROM app_settings WHERE user = ? AND package = ?"
        return _values(await self._read(query, user, package))

    async def put_app_settings(
        self, user: UserId, package: PackageName, changes: Mapping[str, Any]
    ) -> None:
        """See ``ports.Store``."""
        columns = "user, package, key, value"
        statement = f"INSERT OR REPLACE INTO app_settings ({columns}) VALUES (?, ?, ?, ?)"
        rows = [(user, package, key, to_json(value)) for key, value in changes.items()]
        await self._write(statement, rows)

    async def user_settings(self, user: UserId) -> Mapping[str, Any]:
        """See ``ports.Store``."""
        return _values(
            await self._read("SELECT key, value FROM user_settings WHERE user = ?", user)
        )

    async def put_user_settings(self, user: UserId, changes: Mapping[str, Any]) -> None:
        """See ``ports.Store``."""
        statement = "INSERT OR REPLACE INTO user_settings (user, key, value) VALUES (?, ?, ?)"
        rows = [(user, key, to_json(value)) for key, value in changes.items()]
        await self._write(statement, rows)

    async def simple_storage(self, user: UserId, package: PackageName) -> Mapping[str, str]:
        """See ``ports.Store``."""
        query = "SELECT key, value FROM simple_storage WHERE user = ? AND package = ? ORDER BY key"
        return dict(await self._read(query, user, package))

    async def put_simple_storage(
        self, user: UserId, package: PackageName, entries: Mapping[str, str]
    ) -> None:
        """See ``ports.Store``."""
        await self._runner.run(Job(partial(put_entries, user, package, entries), writes=True))

    async def drop_simple_storage(
        self, user: UserId, package: PackageName, key: str | None = None
    ) -> None:
        """See ``ports.Store``."""
        statement = "DELETE FROM simple_storage WHERE user = ? AND package = ?"
        if key is None:
            await self._write(statement, [(user, package)])
        else:
            await self._write(statement + " AND key = ?", [(user, package, key)])

    async def uninstalled_apps(self, user: UserId) -> frozenset[PackageName]:
        """See ``ports.Store``."""
        rows = await self._read("SELECT package FROM uninstalled_apps WHERE user = ?", user)
        return frozenset(PackageName(package) for (package,) in rows)

    async def set_installed(self, user: UserId, package: PackageName, *, installed: bool) -> None:
        """See ``ports.Store``."""
        statement = (
            "DELETE FROM uninstalled_apps WHERE user = ? AND package = ?"
            if installed
            else "INSERT INTO uninstalled_apps (user, package) VALUES (?, ?) ON CONFLICT DO NOTHING"
        )
        await self._write(statement, [(user, package)])

    async def add_feedback(self, feedback: Feedback) -> None:
        """See ``ports.Store``."""
        await self._runner.run(Job(partial(put_feedback, feedback), writes=True))

    async def feedback(self, limit: int) -> Sequence[Feedback]:
        """See ``ports.Store``."""
        found: list[Feedback] = await self._runner.run(
            Job(partial(read_feedback, limit), writes=False)
        )
        return found

    async def save_sessions(self, changes: Sequence[SessionChange]) -> None:
        """See ``ports.Store``."""
        await self._runner.run(Job(partial(write_changes, changes), writes=True))

    async def saved_users(self) -> Sequence[UserId]:
        """See ``ports.Store``."""
        users: list[UserId] = await self._runner.run(Job(read_users, writes=False))
        return users

    async def saved_session(self, user: UserId) -> SavedUser | None:
        """See ``ports.Store``."""
        texts = await self._runner.run(Job(partial(read_texts, user), writes=False))
        return saved_user(*texts)

    async def _read(
        self, query: str, *parameters: str, brief: bool = True
    ) -> list[tuple[Any, ...]]:
        def fetch(database: sqlite3.Connection) -> list[tuple[Any, ...]]:
            return database.execute(query, parameters).fetchall()

        rows: list[tuple[Any, ...]] = await self._runner.run(Job(fetch, writes=False, brief=brief))
        return rows

    async def _write(self, statement: str, rows: Sequence[tuple[str, ...]]) -> None:
        def change(database: sqlite3.Connection) -> None:
            database.executemany(statement, rows)

        await self._runner.run(Job(change, writes=True))


def _row(app: AppRegistration) -> tuple[str, ...]:
    return (
        app.package,
        app.url,
        app.key_hash,
        app.name,
        app.kind.value,
        to_json(sorted(app.permissions)),
        to_json(list(app.settings)),
        app.registration_id,
        to_json(list(app.server_urls)),
        to_json(list(app.allowed_networks)),
        to_json([one.to_plain() for one in app.hardware]),
        to_json(list(app.tools)),
        app.description,
        app.version,
        to_json(dict(app.permission_texts)),
    )


def _registration(row: tuple[Any, ...]) -> AppRegistration:
    package, url, key_hash, name, kind, permissions, settings, identity, servers, networks = row[
        :10
    ]
    hardware, tools, description, version, permission_texts = row[10:]
    try:
        known_kind = AppKind(kind)
        required = tuple(map(requirement_of, list_from_json(hardware)))
    except (ValueError, ConfigError):
        raise StoreFailed(f"the registration of {package} is damaged") from None
    return AppRegistration(
        package=PackageName(package),
        url=url,
        key_hash=key_hash,
        name=name,
        kind=known_kind,
        permissions=frozenset(list_from_json(permissions)),
        settings=tuple(list_from_json(settings)),
        registration_id=identity,
        server_urls=tuple(list_from_json(servers)),
        allowed_networks=tuple(list_from_json(networks)),
        hardware=required,
        tools=tuple(list_from_json(tools)),
        description=description,
        version=version,
        permission_texts=object_from_json(permission_texts),
    )


def _values(rows: list[tuple[str, str]]) -> dict[str, Any]:
    return {key: from_json(text) for key, text in rows}
