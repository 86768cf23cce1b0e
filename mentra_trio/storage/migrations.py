"""The schema of the database as numbered steps; a step that was released never changes.

``PRAGMA user_version`` holds the number of the last step that was applied.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from ..domain.errors import StoreFailed

APPLICATION_ID: Final = 0x6D747269
"""Marks the file as ours ("mtri"), so that no foreign database is ever changed."""

STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE apps (
            package TEXT PRIMARY KEY,
            url TEXT NOT NULL,
            key_hash TEXT NOT NULL,
            name TEXT NOT NULL,
            kind TEXT NOT NULL,
            permissions TEXT NOT NULL,
            settings TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE wanted_apps (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            user TEXT NOT NULL,
            package TEXT NOT NULL,
            UNIQUE (user, package)
        ) STRICT
        """,
        """
        CREATE TABLE app_settings (
            user TEXT NOT NULL,
            package TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (user, package, key)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE user_settings (
            user TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (user, key)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX wanted_apps_by_package ON wanted_apps (package)",
        "CREATE INDEX app_settings_by_package ON app_settings (package)",
    ),
    (
        "ALTER TABLE apps ADD COLUMN registration_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE apps ADD COLUMN server_urls TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE apps ADD COLUMN allowed_networks TEXT NOT NULL DEFAULT '[]'",
        "UPDATE apps SET registration_id = 'reg_' || lower(hex(randomblob(12)))",
        "CREATE INDEX apps_by_registration ON apps (registration_id)",
        # Rows may be long here, and who looks for users must not read them: so with row ids.
        """
        CREATE TABLE user_sessions (
            user TEXT PRIMARY KEY NOT NULL,
            record TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE app_sessions (
            user TEXT NOT NULL,
            package TEXT NOT NULL,
            record TEXT NOT NULL,
            PRIMARY KEY (user, package)
        ) STRICT
        """,
        """
        CREATE TABLE kept_messages (
            user TEXT NOT NULL,
            package TEXT NOT NULL,
            position INTEGER NOT NULL,
            message TEXT NOT NULL,
            PRIMARY KEY (user, package, position)
        ) STRICT
        """,
        "CREATE INDEX app_sessions_by_package ON app_sessions (package)",
    ),
    (
        "ALTER TABLE apps ADD COLUMN hardware TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE apps ADD COLUMN tools TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE apps ADD COLUMN description TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE apps ADD COLUMN version TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE apps ADD COLUMN permission_texts TEXT NOT NULL DEFAULT '{}'",
        # Values may be long, and what they come to is asked for at every write: so with row ids.
        """
        CREATE TABLE simple_storage (
            user TEXT NOT NULL,
            package TEXT NOT NULL,
            key TEXT NOT NULL,
            units INTEGER NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (user, package, key)
        ) STRICT
        """,
        """
        CREATE TABLE uninstalled_apps (
            user TEXT NOT NULL,
            package TEXT NOT NULL,
            PRIMARY KEY (user, package)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE feedback (
            position INTEGER PRIMARY KEY AUTOINCREMENT,
            user TEXT NOT NULL,
            at TEXT NOT NULL,
            text TEXT NOT NULL
        ) STRICT
        """,
        "CREATE INDEX feedback_by_user ON feedback (user, position)",
        "CREATE INDEX simple_storage_by_package ON simple_storage (package)",
        "CREATE INDEX uninstalled_apps_by_package ON uninstalled_apps (package)",
    ),
)


def migrate(database: sqlite3.Connection) -> None:
    """Bring the schema up to date, in one transaction; nothing happens if it already is.

    Raises:
        StoreFailed: the file belongs to another program, or to a newer version of this one.
        sqlite3.Error: the file is damaged or cannot be written.
    """
    if _version(database) == len(STEPS) and _application(database) == APPLICATION_ID:
        return
    database.execute("BEGIN IMMEDIATE")  # another process may be doing the same just now
    try:
        _check_owner(database)
        for step in STEPS[_version(database) :]:
            for statement in step:
                database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(STEPS)}")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _check_owner(database: sqlite3.Connection) -> None:
    version, application = _version(database), _application(database)
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise StoreFailed("it is the database of another program")
    if version > len(STEPS):
        raise StoreFailed(
            f"it was written by a newer version of mentra-trio (schema {version}, this version"
            f" knows {len(STEPS)}): update mentra-trio, or use another data folder"
        )


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _application(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA application_id").fetchone()[0])
