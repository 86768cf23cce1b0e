"""SQLite: other processes, broken files, newer files, lost power."""

from __future__ import annotations

import random
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from mentra_trio.domain.apps import AppKind, AppRegistration
from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.ports import Store
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
        assert database.execute("PRAGMA user_version").fetchone() == (len(steps),)
        assert database.execute("SELECT count(*) FROM extra").fetchone() == (0,)
    database.close()


OF_STEP_1 = (
    "INSERT INTO apps VALUES"
    " ('com.a', 'http://a', 'aa', 'A', 'background', '[\"CAMERA\"]', '[{}]')",
    "INSERT INTO apps VALUES ('com.b', 'http://b', 'bb', '', 'standard', '[]', '[]')",
    "INSERT INTO wanted_apps (user, package) VALUES ('ann@example.com', 'com.b')",
    "INSERT INTO wanted_apps (user, package) VALUES ('ann@example.com', 'com.a')",
    "INSERT INTO app_settings VALUES ('ann@example.com', 'com.a', 'size', '3')",
    "INSERT INTO user_settings VALUES ('ann@example.com', 'brightness', '7')",
)


@both_modes
async def test_a_database_of_step_1_keeps_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, inline: bool
) -> None:
    path = tmp_path / DATABASE_NAME
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", migrations.STEPS[:1])
        open_database(path).close()
    with sqlite3.connect(path) as database:
        for statement in OF_STEP_1:
            database.execute(statement)
    database.close()
    a, b = package_name("com.a"), package_name("com.b")
    identities: set[str] = set()
    for _ in range(2):
        async with open_sqlite_store(path, inline=inline) as store:
            first, second = await store.apps()
            assert (first.package, first.url, first.key_hash) == (a, "http://a", "aa")
            assert (first.name, first.kind, first.settings) == ("A", AppKind.BACKGROUND, ({},))
            assert first.permissions == {"CAMERA"}
            assert first.server_urls == first.allowed_networks == ()
            assert (first.hardware, first.tools) == ((), ())
            assert (first.description, first.version, first.permission_texts) == ("", "", {})
            assert list(await store.wanted_apps(ANN)) == [b, a]
            assert await store.app_settings(ANN, a) == {"size": 3}
            assert await store.user_settings(ANN) == {"brightness": 7}
            assert await store.registration(second.registration_id) == second
            assert list(await store.saved_users()) == []
            identities |= {first.registration_id, second.registration_id}
    assert len(identities) == 2
    for identity in identities:
        assert re.fullmatch(r"reg_[0-9a-f]{24}", identity)


@pytest.mark.parametrize(
    "column",
    ["permissions", "settings", "server_urls", "allowed_networks", "kind", "hardware", "tools"],
)
async def test_a_damaged_registration_cannot_be_read(tmp_path: Path, column: str) -> None:
    path = tmp_path / DATABASE_NAME
    async with open_sqlite_store(path, inline=True) as store:
        await store.put_app(app("com.a"))
        for text in ("7", "{}", "null", "not JSON", ""):
            with sqlite3.connect(path) as database:
                database.execute(f"UPDATE apps SET {column} = ?", (text,))
            database.close()
            with pytest.raises(StoreFailed, match="damaged"):
                await store.app(package_name("com.a"))


def _boom(_: sqlite3.Connection) -> None:
    raise LookupError("a bug")


@pytest.mark.parametrize(
    ("column", "text"),
    [("permission_texts", "[]"), ("permission_texts", "x"), ("hardware", '[{"type": "LASER"}]')],
)
async def test_a_damaged_detail_cannot_be_read(tmp_path: Path, column: str, text: str) -> None:
    path = tmp_path / DATABASE_NAME
    async with open_sqlite_store(path, inline=True) as store:
        await store.put_app(app("com.a"))
        with sqlite3.connect(path) as database:
            database.execute(f"UPDATE apps SET {column} = ?", (text,))
        database.close()
        with pytest.raises(StoreFailed, match="damaged"):
            await store.app(package_name("com.a"))


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
from mentra_trio.ports import SessionChange
from mentra_trio.storage.sqlite_store import open_sqlite_store

async def write(store, user):
    number = 0
    while True:
        number += 1
        record = {"n": number, "text": "v" * 200}
        await store.put_user_settings(user, {f"k{number}": "v" * 50})
        await store.save_sessions([
            SessionChange(user=user, record=record),
            SessionChange(
                user=user, package="a", record=record,
                kept_from=number - 3, kept=((number, record),),
            ),
        ])
        os.write(1, f"{user} {number}\\n".encode())

async def main(path, life):
    async with open_sqlite_store(path) as store, trio.open_nursery() as nursery:
        for writer in range(20):
            nursery.start_soon(write, store, f"user{writer}-life{life}")

trio.run(main, Path(sys.argv[1]), sys.argv[2])
"""


def write_until_killed(path: Path, life: int, *, lines: int) -> dict[str, int]:
    """The last acknowledged number of each user of a process that was killed."""
    command = [sys.executable, "-c", CHILD, str(path), str(life)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    acknowledged: dict[str, int] = {}
    with process.stdout as output:
        for count, line in enumerate(output, 1):
            user, number = line.decode().split()
            acknowledged[user] = int(number)
            if count == lines:
                process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return acknowledged


async def check_what_was_acknowledged(store: Store, acknowledged: dict[str, int]) -> None:
    for name, last in acknowledged.items():
        user = user_id(name)
        assert set(await store.user_settings(user)) >= {f"k{n}" for n in range(1, last + 1)}
        saved = await store.saved_session(user)
        assert saved is not None
        [app] = saved.apps.values()
        written = saved.record["n"]
        assert written >= last
        assert app.record == saved.record, "half of a batch is there"
        assert [at for at, _ in app.kept] == list(range(max(1, written - 3), written + 1))


async def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    path, moments = tmp_path / DATABASE_NAME, random.Random()
    acknowledged: dict[str, int] = {}
    for life in range(12):
        acknowledged |= write_until_killed(path, life, lines=moments.randint(1, 150))
        async with open_sqlite_store(path, inline=True) as store:
            await check_what_was_acknowledged(store, acknowledged)
