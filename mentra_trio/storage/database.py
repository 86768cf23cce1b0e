"""One SQLite file on one thread: opening it, and running work in transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs
import outcome

from ..domain.errors import StoreFailed
from .migrations import migrate

BUSY_S: Final = 5.0
"""How long to wait for another process that is writing, such as ``mentra-trio apps add``."""

Work: TypeAlias = Callable[[sqlite3.Connection], Any]
"""Reads or changes the database; runs inside a transaction and must not end it.

It must not return a cursor: the result goes to another thread, and a cursor that is freed there
disturbs the statement that the database's own thread is running (SQLITE_MISUSE was seen).
"""


_FORESEEN: Final = (sqlite3.Error, UnicodeError, OverflowError)
"""What SQLite raises for values and files that it cannot use; anything else is a bug of ours."""


@attrs.frozen
class Job:
    """``work`` to be done; ``writes`` tells whether it may change anything.

    One that is ``brief`` reads a few rows by their key: they are in memory, as a rule, and then it
    is quicker to read them than to have another thread do so.
    """

    work: Work
    writes: bool
    brief: bool = False


@attrs.define(eq=False)
class Database:
    """An open database. Every method must be called on the thread that opened it."""

    path: Path
    _connection: sqlite3.Connection

    def run(self, jobs: Sequence[Job]) -> list[outcome.Maybe[Any]]:
        """Do all ``jobs`` in one transaction; results in order, when it is on disk.

        A job that raises is undone alone. If the transaction fails, every job has failed.
        """
        writes = any(job.writes for job in jobs)
        try:
            self._connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            results = [self._one(job) for job in jobs]
            self._connection.execute("COMMIT")
        except (sqlite3.Error, _Undone) as error:
            self._roll_back()
            return [outcome.Error(self._failed(error)) for _ in jobs]
        return results

    def _one(self, job: Job) -> outcome.Maybe[Any]:
        self._connection.execute("SAVEPOINT job")
        result = outcome.capture(job.work, self._connection)
        if isinstance(result, outcome.Error) and isinstance(result.error, _FORESEEN):
            result = outcome.Error(self._failed(result.error))
        if not self._connection.in_transaction:
            raise _Undone("the transaction was rolled back")  # a full disk, for instance
        if isinstance(result, outcome.Error):
            self._connection.execute("ROLLBACK TO job")
        self._connection.execute("RELEASE job")
        return result

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _failed(self, error: Exception) -> StoreFailed:
        return StoreFailed(f"{self.path}: {describe(error)}")

    def close(self) -> None:
        """Close the file. What was written is safe in any case."""
        self._connection.close()


class _Undone(Exception):
    """SQLite undid the whole transaction because of one statement."""


def open_database(path: Path) -> Database:
    """Open the file at ``path``, made if absent, with an up-to-date schema.

    Raises:
        StoreFailed: one line that names the file: not a database, damaged, of another program,
            of a newer version, or not accessible.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)  # SQLite gives its other files the same mode
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise StoreFailed(f"cannot open {path}: {describe(error)}") from None
    try:
        _prepare(connection)
    except (sqlite3.Error, StoreFailed) as error:
        connection.close()
        raise StoreFailed(f"cannot use {path}: {describe(error)}") from None
    return Database(path, connection)


def open_for_reading(path: Path, *, busy_s: float = BUSY_S) -> Database:
    """A second look at a file that ``open_database`` has open; it cannot change anything.

    Thanks to the write-ahead log it never waits for whoever is writing; for other reasons at
    most ``busy_s`` seconds.

    Raises:
        StoreFailed: as ``open_database``.
    """
    try:
        connection = sqlite3.connect(path, timeout=busy_s, isolation_level=None)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise StoreFailed(f"cannot open {path}: {describe(error)}") from None
    return Database(path, connection)


def _prepare(connection: sqlite3.Connection) -> None:
    # Owner and version first: a foreign or newer file must not be changed in any way.
    migrate(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError("it is damaged")


def describe(error: Exception) -> str:
    """What went wrong, in one line for a person."""
    if isinstance(error, OSError):
        return error.strerror or "the operating system refused"
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, sqlite3.DatabaseError):
        if "not a database" in text:
            return "it is not a database"
        if "malformed" in text:
            return "it is damaged; restore a copy, or move it away to begin anew"
    return text
