"""What is remembered of sessions: as texts, and as rows of SQLite.

A record is one row and each kept message another, so that a change of a record rewrites no
message. Messages are kept only for apps that have a record.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import attrs

from ..domain.ids import PackageName, UserId
from ..ports import SavedApp, SavedUser, SessionChange
from .json_text import object_from_json, to_json

NO_RECORD: Final = "{}"
"""The record of a user session that was not saved itself, but an app session of it was."""

Kept: TypeAlias = Iterable[tuple[int, str]]


@attrs.frozen(kw_only=True)
class ChangeText:
    """A ``SessionChange`` whose values are JSON, without what it forgets itself."""

    user: UserId
    package: PackageName | None
    record: str | None
    kept_from: int
    kept: Sequence[tuple[int, str]]


def change_texts(changes: Iterable[SessionChange]) -> list[ChangeText]:
    """``changes`` as they are stored.

    Raises:
        StoreFailed: as ``to_json``.
    """
    return [
        ChangeText(
            user=change.user,
            package=change.package,
            record=None if change.record is None else to_json(dict(change.record)),
            kept_from=change.kept_from,
            kept=[
                (position, to_json(dict(message)))
                for position, message in change.kept
                if position >= change.kept_from
            ],
        )
        for change in changes
    ]


def saved_app(record: str, kept: Kept) -> SavedApp:
    """An app session, of its texts.

    Raises:
        StoreFailed: one of them is damaged.
    """
    return SavedApp(
        record=object_from_json(record),
        kept=tuple((position, object_from_json(text)) for position, text in kept),
    )


def saved_user(
    record: str | None, apps: Mapping[PackageName, tuple[str, Kept]]
) -> SavedUser | None:
    """A user session, of its texts; ``None`` if nothing is saved of it.

    Raises:
        StoreFailed: one of them is damaged.
    """
    if record is None and not apps:
        return None
    return SavedUser(
        record=object_from_json(NO_RECORD if record is None else record),
        apps={package: saved_app(*texts) for package, texts in apps.items()},
    )


# -- as rows ---------------------------------------------------------------------------

_SAVE_USER: Final = "INSERT OR REPLACE INTO user_sessions (user, record) VALUES (?, ?)"
_SAVE_APP: Final = """
    INSERT INTO app_sessions (user, package, record) VALUES (?, ?, ?)
    ON CONFLICT (user, package) DO UPDATE SET record = excluded.record
"""
_DROP_KEPT: Final = "DELETE FROM kept_messages WHERE user = ? AND package = ? AND position < ?"
_KEEP: Final = """
    INSERT OR REPLACE INTO kept_messages (user, package, position, message) VALUES (?, ?, ?, ?)
"""
_TABLES: Final = ("kept_messages", "app_sessions", "user_sessions")


def write_changes(changes: Iterable[SessionChange], database: sqlite3.Connection) -> None:
    """Make all ``changes``, in order.

    They become JSON here, on the database's thread: of some thousand, that takes long enough to
    be felt on the event loop.

    Raises:
        StoreFailed: as ``change_texts``; nothing was changed.
    """
    for change in change_texts(changes):
        if change.package is None:
            _change_user(change.user, change.record, database)
        elif change.record is None:
            for table in _TABLES[:2]:
                statement = f"DELETE FROM {table} WHERE user = ? AND package = ?"
                database.execute(statement, (change.user, change.package))
        else:
            _save_app(change.user, change.package, change, database)


def _change_user(user: UserId, record: str | None, database: sqlite3.Connection) -> None:
    if record is not None:
        database.execute(_SAVE_USER, (user, record))
        return
    for table in _TABLES:
        database.execute(f"DELETE FROM {table} WHERE user = ?", (user,))


def _save_app(
    user: UserId, package: PackageName, change: ChangeText, database: sqlite3.Connection
) -> None:
    database.execute(_SAVE_APP, (user, package, change.record))
    database.execute(_DROP_KEPT, (user, package, change.kept_from))
    if change.kept:
        rows = [(user, package, position, text) for position, text in change.kept]
        database.executemany(_KEEP, rows)


def forget_app(package: PackageName, database: sqlite3.Connection) -> None:
    """Forget the sessions of an app of all users."""
    users = "SELECT user FROM app_sessions WHERE package = ?1"
    database.execute(
        f"DELETE FROM kept_messages WHERE package = ?1 AND user IN ({users})", (package,)
    )
    database.execute("DELETE FROM app_sessions WHERE package = ?", (package,))


def read_users(database: sqlite3.Connection) -> list[UserId]:
    """Everybody of whom anything is saved, by user id."""
    query = "SELECT user FROM user_sessions UNION SELECT user FROM app_sessions ORDER BY user"
    return [UserId(user) for (user,) in database.execute(query)]


def read_texts(
    user: UserId, database: sqlite3.Connection
) -> tuple[str | None, dict[PackageName, tuple[str, list[tuple[int, str]]]]]:
    """What is saved of ``user``, as ``saved_user`` takes it."""
    [record] = database.execute(
        "SELECT (SELECT record FROM user_sessions WHERE user = ?)", (user,)
    ).fetchone()
    apps: dict[PackageName, tuple[str, list[tuple[int, str]]]] = {}
    query = "SELECT package, record FROM app_sessions WHERE user = ? ORDER BY package"
    for package, text in database.execute(query, (user,)):
        apps[PackageName(package)] = (text, [])
    query = "SELECT package, position, message FROM kept_messages WHERE user = ? ORDER BY 1, 2"
    for package, position, text in database.execute(query, (user,)):
        apps[PackageName(package)][1].append((position, text))
    return record, apps
