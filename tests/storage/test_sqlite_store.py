"""SQLite: other processes, broken files, newer files, lost power."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.storage import migrations
from mentra_trio.storage.database import Job, open_database
from mentra_trio.storage.sqlite_store import DATABASE_NAME, open_sqlite_store
from mentra_trio.storage.writer import thread_runner

ANN = user_id("ann@example.com")
both_modes = pytest.mark.parametrize("inline", [True, False], ids=["inline", "threaded"])


def app(package: str) -> AppRegistration:
    return AppRegistration(package=package_name(package), url="http://h", key_hash="0" * 64)


async def refusal(path: Path, *, inline: bool) -> str:
    with pytest.raises(StoreFailed) as caught:
        async with open_sqlite_store(path, inline=inline):
            raise AssertionError("opened")
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


@both_modes
async def test_what_was_written_is_there_after_reopening(tmp_path: Path, *, inline: bool) -> None:
    path = tmp_path / "new" / "folder" / DATABASE_NAME
    async with open_sqlite_store(path, inline=inline) as store:
        await store.put_app(app("com.example.a"))
        await store.set_wanted(ANN, package_name("com.example.a"), wanted=True)
    async with open_sqlite_store(path, inline=inline) as store:
        assert [one.package for one in await store.apps()] == ["com.example.a"]
        assert list(await store.wanted_apps(ANN)) == ["com.example.a"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@both_modes
async def test_what_another_process_writes_is_seen_at_once(tmp_path: Path, *, inline: bool) -> None:
    path = tmp_path / DATABASE_NAME
    package = package_name("com.example.a")
    async with open_sqlite_store(path, inline=inline) as server:
        assert await server.app(package) is None
        async with open_sqlite_store(path, inline=True) as command:
            await command.put_app(app(package))
        assert await server.app(package) is not None
        async with open_sqlite_store(path, inline=True) as command:
            await command.remove_app(package)
        assert await server.app(package) is None


async def test_a_write_waits_for_another_process_that_is_writing(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    async with open_sqlite_store(path) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.put_app, app("com.example.a"))
            with trio.move_on_after(0.05):
                await trio.sleep_forever()
            other.execute("COMMIT")
        assert len(await store.apps()) == 1
        other.close()


async def test_reads_do_not_wait_for_another_process_that_is_writing(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    async with open_sqlite_store(path) as store:
        await store.put_app(app("com.example.a"))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.put_app, app("com.example.b"))
            with trio.fail_after(2):
                for _ in range(20):
                    assert [one.package for one in await store.apps()] == ["com.example.a"]
            other.execute("COMMIT")
        assert len(await store.apps()) == 2
        other.close()


async def test_what_was_written_is_read_at_once(tmp_path: Path) -> None:
    async with open_sqlite_store(tmp_path / DATABASE_NAME) as store:
        for number in range(100):
            await store.put_user_settings(ANN, {"n": number})
            assert await store.user_settings(ANN) == {"n": number}


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    async with thread_runner(tmp_path / DATABASE_NAME) as runner:
        statement = "INSERT INTO user_settings VALUES ('ann', 'a', '1')"
        with pytest.raises(StoreFailed, match="readonly"):
            await runner.run(Job(lambda d: d.execute(statement).rowcount, writes=False))


async def test_closing_needs_none_of_the_shared_threads(tmp_path: Path) -> None:
    limiter = trio.to_thread.current_default_thread_limiter()
    before, limiter.total_tokens = limiter.total_tokens, 1
    async with limiter:
        with trio.fail_after(5):
            async with open_sqlite_store(tmp_path / DATABASE_NAME) as store:
                await store.apps()
    limiter.total_tokens = before


@both_modes
async def test_a_file_that_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, *, inline: bool
) -> None:
    path = tmp_path / DATABASE_NAME
    path.write_bytes(b"these are my holiday notes" * 100)
    before = path.read_bytes()
    assert "not a database" in await refusal(path, inline=inline)
    assert path.read_bytes() == before


@both_modes
async def test_a_damaged_database_is_refused(tmp_path: Path, *, inline: bool) -> None:
    path = tmp_path / DATABASE_NAME
    async with open_sqlite_store(path, inline=True) as store:
        for number in range(200):
            await store.put_app(app(f"com.example.a{number}"))
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 8192))
    assert "damaged" in await refusal(path, inline=inline)


@both_modes
async def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path, *, inline: bool) -> None:
    path = tmp_path / DATABASE_NAME
    async with open_sqlite_store(path, inline=True):
        pass
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    text = await refusal(path, inline=inline)
    assert "newer version" in text
    assert "99" in text
    assert path.read_bytes() == before


async def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE notes (text)")
    database.close()
    assert "another program" in await refusal(path, inline=True)


@both_modes
async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, *, inline: bool) -> None:
    (tmp_path / "file").write_text("x")
    await refusal(tmp_path / "file" / DATABASE_NAME, inline=inline)
    folder = tmp_path / "folder"
    folder.mkdir()
    await refusal(folder, inline=inline)


def test_a_failed_migration_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / DATABASE_NAME
    open_database(path).close()
    steps = (*migrations.STEPS, ("CREATE TABLE extra (x)", "not SQL"))
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", steps)
        with pytest.raises(StoreFailed):
            open_database(path)
    with sqlite3.connect(path) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema")}
    database.close()
    assert "extra" not in tables
    open_database(path).close()


def test_a_later_step_is_applied_to_an_older_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / DATABASE_NAME
    open_database(path).close()
    steps = (*migrations.STEPS, ("CREATE TABLE extra (x)",))
    monkeypatch.setattr(migrations, "STEPS", steps)
    open_database(path).close()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        assert database.execute("SELECT count(*) FROM extra").fetchone() == (0,)
    database.close()


def _boom(_: sqlite3.Connection) -> None:
    raise LookupError("a bug")


async def test_one_failing_job_does_not_fail_those_beside_it(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    database = open_database(path)
    insert = "INSERT INTO user_settings VALUES ('ann', ?, '1')"
    results = database.run(
        [
            Job(lambda d: d.execute(insert, ("a",)).rowcount, writes=True),
            Job(lambda d: d.execute(insert, ("half",)) and d.execute("bad SQL"), writes=True),
            Job(_boom, writes=True),
            Job(lambda d: d.execute(insert, ("b",)).rowcount, writes=True),
        ]
    )
    assert results[0].unwrap() == results[3].unwrap() == 1
    with pytest.raises(StoreFailed, match="syntax error"):
        results[1].unwrap()
    with pytest.raises(LookupError):
        results[2].unwrap()
    [rows] = database.run(
        [Job(lambda d: d.execute("SELECT key FROM user_settings").fetchall(), writes=False)]
    )
    assert rows.unwrap() == [("a",), ("b",)]
    database.close()


def test_when_sqlite_undoes_the_transaction_every_job_has_failed(tmp_path: Path) -> None:
    database = open_database(tmp_path / DATABASE_NAME)
    insert = "INSERT INTO user_settings VALUES ('ann', 'a', '1')"
    results = database.run(
        [
            Job(lambda d: d.execute(insert), writes=True),
            Job(lambda d: d.execute("ROLLBACK"), writes=True),  # as a full disk does
            Job(lambda d: d.execute(insert), writes=True),
        ]
    )
    for result in results:
        with pytest.raises(StoreFailed):
            result.unwrap()
    [count] = database.run(
        [Job(lambda d: d.execute("SELECT count(*) FROM user_settings").fetchone(), writes=False)]
    )
    assert count.unwrap() == (0,)
    database.close()


async def test_writers_that_wait_share_one_commit(tmp_path: Path) -> None:
    commits: list[int] = []
    async with thread_runner(tmp_path / DATABASE_NAME) as runner:

        def trace(database: sqlite3.Connection) -> None:
            database.set_trace_callback(
                lambda statement: commits.append(1) if statement == "COMMIT" else None
            )

        await runner.run(Job(trace, writes=True))
        commits.clear()
        async with trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(
                    runner.run, Job(lambda d: d.execute("SELECT 1").fetchone(), writes=True)
                )
        await runner.run(Job(lambda d: d.set_trace_callback(None), writes=True))
    assert len(commits) <= 20


CHILD = """
import os, sys, trio
from pathlib import Path
from mentra_trio.storage.sqlite_store import open_sqlite_store

async def write(store, writer):
    number = 0
    while True:
        number += 1
        await store.put_user_settings(f"user{writer}", {f"k{number}": "v" * 50})
        os.write(1, f"{writer} {number}\\n".encode())

async def main():
    async with open_sqlite_store(Path(sys.argv[1])) as store, trio.open_nursery() as nursery:
        for writer in range(20):
            nursery.start_soon(write, store, writer)

trio.run(main)
"""


def write_until_killed(path: Path) -> dict[str, int]:
    """The last acknowledged number of each writer of a process that was killed."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    acknowledged: dict[str, int] = {}
    with process.stdout as output:
        for count, line in enumerate(output):
            writer, number = line.decode().split()
            acknowledged[writer] = int(number)
            if count == 500:
                process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return acknowledged


async def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    acknowledged = write_until_killed(path)
    assert len(acknowledged) == 20
    async with open_sqlite_store(path, inline=True) as store:
        for writer, last in acknowledged.items():
            stored = await store.user_settings(user_id(f"user{writer}"))
            assert set(stored) >= {f"k{number}" for number in range(1, last + 1)}
