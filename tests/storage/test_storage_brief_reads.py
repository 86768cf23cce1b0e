"""A few rows by their key are read in the event loop; all else, and what fails there, elsewhere."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.ids import UserId
from mentra_trio.storage.database import BUSY_S, Job
from mentra_trio.storage.sqlite_store import DATABASE_NAME, open_sqlite_store
from mentra_trio.storage.writer import ThreadRunner, thread_runner

USER = UserId("u-1@x.org")


def where(_: sqlite3.Connection) -> str:
    return threading.current_thread().name


@pytest.mark.parametrize(
    ("job", "thread"),
    [
        (Job(where, writes=True), "storage writer"),
        (Job(where, writes=False), "storage reader"),
        (Job(where, writes=False, brief=True), threading.current_thread().name),
    ],
)
async def test_where_a_job_is_done(job: Job, thread: str, tmp_path: Path) -> None:
    async with thread_runner(tmp_path / DATABASE_NAME) as runner:
        assert await runner.run(job) == thread


async def test_brief_reads_wait_for_no_other(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path / DATABASE_NAME) as store:
        await store.put_user_settings(USER, {"brightness": 3})
        go_on, begun = threading.Event(), trio.Event()
        token = trio.lowlevel.current_trio_token()

        def long(_: sqlite3.Connection) -> None:
            token.run_sync_soon(begun.set)
            assert go_on.wait(20)

        async with trio.open_nursery() as nursery:
            for writes in (True, False):
                begun = trio.Event()
                nursery.start_soon(store._runner.run, Job(long, writes=writes))
                await begun.wait()
            assert await store.user_settings(USER) == {"brightness": 3}
            assert await store.wanted_apps(USER) == []
            go_on.set()


async def test_a_brief_read_that_fails_is_done_by_a_thread(tmp_path: Path) -> None:
    names: list[str] = []

    def busy_at_first(_: sqlite3.Connection) -> str:
        names.append(threading.current_thread().name)
        if len(names) == 1:
            raise sqlite3.OperationalError("database is locked")
        return "read"

    async with thread_runner(tmp_path / DATABASE_NAME) as runner:
        assert await runner.run(Job(busy_at_first, writes=False, brief=True)) == "read"
    assert names == [threading.current_thread().name, "storage reader"]


async def test_what_fails_everywhere_says_why(tmp_path: Path) -> None:
    def fail(_: sqlite3.Connection) -> Any:
        raise sqlite3.DatabaseError("database disk image is malformed")

    async with thread_runner(tmp_path / DATABASE_NAME) as runner:
        with pytest.raises(StoreFailed, match="damaged"):
            await runner.run(Job(fail, writes=False, brief=True))


async def test_a_brief_read_sees_what_was_written_before_it(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path / DATABASE_NAME) as store:
        assert isinstance(store._runner, ThreadRunner)
        for number in range(20):
            await store.put_user_settings(USER, {"brightness": number})
            assert await store.user_settings(USER) == {"brightness": number}


async def test_a_brief_read_is_a_checkpoint(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path / DATABASE_NAME) as store:
        with trio.testing.assert_checkpoints():
            await store.user_settings(USER)


async def test_the_event_loop_waits_for_no_lock(tmp_path: Path) -> None:
    def patience_ms(database: sqlite3.Connection) -> int:
        milliseconds: int = database.execute("PRAGMA busy_timeout").fetchone()[0]
        return milliseconds

    async with thread_runner(tmp_path / DATABASE_NAME) as runner:
        assert await runner.run(Job(patience_ms, writes=False, brief=True)) == 0
        assert await runner.run(Job(patience_ms, writes=False)) == 1_000 * BUSY_S
