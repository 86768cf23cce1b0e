"""What apps keep for users, and what users say, in the database: within their bounds."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from ..domain.errors import StorageFull
from ..domain.ids import PackageName, UserId
from ..domain.simple_storage import entry_units, excess
from ..ports import FEEDBACK_MAX, FEEDBACK_OF_ONE_MAX, Feedback

_PUT: Final = """
    INSERT OR REPLACE INTO simple_storage (user, package, key, units, value) VALUES (?, ?, ?, ?, ?)
"""
_TOTAL: Final = """
    SELECT count(*), coalesce(sum(units), 0) FROM simple_storage WHERE user = ? AND package = ?
"""


def put_entries(
    user: UserId,
    package: PackageName,
    entries: Mapping[str, str],
    database: sqlite3.Connection,
) -> None:
    """Merge ``entries``; runs in a transaction, which must be undone if this raises.

    Raises:
        StorageFull: all of it together would be too much.
    """
    rows = [(user, package, key, entry_units(key, text), text) for key, text in entries.items()]
    database.executemany(_PUT, rows)
    keys, units = database.execute(_TOTAL, (user, package)).fetchone()
    if problem := excess(keys, units):
        raise StorageFull(problem)


_DROP_OLD_OF_ONE: Final = """
    DELETE FROM feedback WHERE user = ?1 AND position <= (
        SELECT position FROM feedback WHERE user = ?1 ORDER BY position DESC LIMIT 1 OFFSET ?2
    )
"""
_DROP_OLD: Final = """
    DELETE FROM feedback WHERE position <= (
        SELECT position FROM feedback ORDER BY position DESC LIMIT 1 OFFSET ?1
    )
"""


def put_feedback(feedback: Feedback, database: sqlite3.Connection) -> None:
    """Keep ``feedback``, and forget what there is too much of."""
    row = (feedback.user, feedback.at, feedback.text)
    database.execute("INSERT INTO feedback (user, at, text) VALUES (?, ?, ?)", row)
    database.execute(_DROP_OLD_OF_ONE, (feedback.user, FEEDBACK_OF_ONE_MAX))
    database.execute(_DROP_OLD, (FEEDBACK_MAX,))


def read_feedback(limit: int, database: sqlite3.Connection) -> list[Feedback]:
    """The latest ``limit``, newest last."""
    query = "SELECT user, at, text FROM feedback ORDER BY position DESC LIMIT ?"
    rows = database.execute(query, (limit,)).fetchall()
    return [Feedback(user=UserId(user), at=at, text=text) for user, at, text in reversed(rows)]
