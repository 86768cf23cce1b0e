"""What is going on in a running server: ``why``, ``tail`` and ``top``."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, Final

import msgspec
import trio

from ..domain.wording import counted, printable
from .admin_api import AdminApi, user_path

PAGE: Final = 250
"""Users asked for at once: of more, a server makes a page in a time that others feel."""
USERS_MAX: Final = 20_000
"""So many users are looked at, at most, for one table."""
REDRAW_S: Final = 0.5
PAUSE_PER_LOOK: Final = 4.0
"""A server that takes long to tell about all its users is left alone so many times as long."""
CLEAR: Final = "\x1b[H\x1b[2J"
COLUMNS: Final = (
    "user",
    "app",
    "state",
    "since",
    "subscriptions",
    "attempt",
    "next attempt",
    "outbox",
    "cause",
)
WIDTHS_MAX: Final = (28, 32, 14, 8, 30, 7, 12, 6, 60)
_NAMED: Final = frozenset({"at", "fact", "userId", "packageName"})

Write = Callable[[str], None]


async def why(api: AdminApi, write: Write, user: str, package: str) -> None:
    """Print why an app of a user is as it is."""
    answer = await api.get(user_path(user, "apps", package, "why"))
    for line in answer["lines"]:
        write(line)


async def tail(api: AdminApi, write: Write, user: str | None, lines: int, *, raw: bool) -> None:
    """Print the latest facts of ``user``, and then those that come, for ever."""
    show = partial(_show_fact, write, raw=raw)
    async with api.journal(user) as facts:
        shown: list[Mapping[str, Any]] = []
        if user is not None and lines:
            answer = await api.get(user_path(user, "journal"), limit=str(lines))
            shown = answer["facts"]
            for fact in shown:
                show(fact)
        while True:
            fact = await facts.next()
            if fact not in shown:  # what came while we asked is told both ways
                shown = []
                show(fact)


def _show_fact(write: Write, fact: Mapping[str, Any], *, raw: bool) -> None:
    write(msgspec.json.encode(fact).decode() if raw else fact_line(fact))


def fact_line(fact: Mapping[str, Any]) -> str:
    """A fact on one line: when, who, what, and the rest of it."""
    if "missed" in fact:
        return f"... {counted(fact['missed'], 'fact')} came too fast to be shown"
    who = [str(fact[name]) for name in ("userId", "packageName") if fact.get(name)]
    rest = [f"{name}={_word(fact[name])}" for name in fact if name not in _NAMED]
    parts = [str(fact.get("at", "")), *who, str(fact.get("fact", "")), *rest]
    return printable(" ".join(part for part in parts if part))


def _word(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return f'"{text}"' if " " in text or not text else text


async def top(api: AdminApi, write: Write, *, once: bool) -> None:
    """Print a table of users and apps; again whenever something has changed, unless ``once``."""
    if once:
        write("\n".join(table(await _users(api), rows_max=None)))
        return
    async with api.journal(None) as facts, trio.open_nursery() as nursery:
        changed = trio.Event()

        async def watch() -> None:
            nonlocal changed
            while True:
                await facts.next()
                changed.set()

        nursery.start_soon(watch)
        while True:
            asked_at = trio.current_time()
            users = await _users(api)
            took = trio.current_time() - asked_at
            rows = table(users, rows_max=shutil.get_terminal_size().lines - 2)
            write((CLEAR if sys.stdout.isatty() else "") + "\n".join(rows))
            await trio.sleep(max(REDRAW_S, PAUSE_PER_LOOK * took))
            await changed.wait()
            changed = trio.Event()


async def _users(api: AdminApi) -> list[Mapping[str, Any]]:
    users: list[Mapping[str, Any]] = []
    query = {"limit": str(PAGE)}
    while len(users) < USERS_MAX:
        page = await api.get("/api/admin/users", **query)
        users += page["users"]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    return users


def table(users: Sequence[Mapping[str, Any]], *, rows_max: int | None) -> list[str]:
    """Lines of a table, a row for each app, those that do not run first; then a summary."""
    rows = [_row(user, app) for user in users for app in user["apps"]]
    rows.sort(key=lambda row: (row[2] == "running", row[0], row[1]))
    rows += [(u["userId"], "-", "", _clock(u["since"])) for u in users if not u["apps"]]
    shown = rows if rows_max is None else rows[: max(1, rows_max - 2)]
    connected = sum(user["connected"] for user in users)
    apps = sum(len(user["apps"]) for user in users)
    running = sum(app["state"] == "running" for user in users for app in user["apps"])
    people, programs = counted(len(users), "user"), counted(apps, "app")
    summary = f"{people}, {connected} connected; {programs}, {running} running"
    more = [f"... and {len(rows) - len(shown)} more"] if len(shown) < len(rows) else []
    return [summary, *_aligned([COLUMNS, *shown]), *more]


def _row(user: Mapping[str, Any], app: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        user["userId"],
        app["packageName"],
        app["state"],
        _clock(app["since"]),
        ",".join(app["subscriptions"]) or "-",
        str(app["attempt"]),
        _clock(app["nextAttemptAt"]) if app["nextAttemptAt"] else "-",
        str(app["outbox"]),
        app["cause"],
    )


def _clock(moment: str) -> str:
    """The time of day of an ISO 8601 text."""
    return moment[11:19]


def _aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    cut = [
        [printable(cell)[:limit] for cell, limit in zip(row, WIDTHS_MAX, strict=False)]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip_longest(*cut, fillvalue="")]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
        for row in cut
    ]
