"""What every store must do with what apps keep and what users say."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from mentra_trio import ports
from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.errors import StorageFull
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.domain.simple_storage import KEYS_MAX, TOTAL_UNITS_MAX
from mentra_trio.ports import Feedback
from mentra_trio.storage import entries, memory_store
from mentra_trio.storage.sqlite_store import open_sqlite_store

from .conftest import OpenStore

ANN, BOB = user_id("ann@example.com"), user_id("bob@example.com")
CAPTIONS, NOTES = package_name("com.example.captions"), package_name("com.example.notes")
BLOCK = "x" * 100_000


async def test_entries_are_merged_and_ordered_by_key(open_store: OpenStore) -> None:
    odd = {"ä": "", "z\0": "\0 and more", "😀": "字", "": "no name"}
    async with open_store() as store:
        assert await store.simple_storage(ANN, CAPTIONS) == {}
        await store.put_simple_storage(ANN, CAPTIONS, {"b": "1", "a": "2"})
        await store.put_simple_storage(ANN, CAPTIONS, {})
        for _ in range(2):
            await store.put_simple_storage(ANN, CAPTIONS, {"b": "3", **odd})
        found = await store.simple_storage(ANN, CAPTIONS)
        assert found == {"a": "2", "b": "3", **odd}
        assert list(found) == sorted(found)
        assert await store.simple_storage(BOB, CAPTIONS) == {}
        assert await store.simple_storage(ANN, NOTES) == {}


async def test_entries_are_dropped_one_by_one_or_all(open_store: OpenStore) -> None:
    async with open_store() as store:
        for user, package in ((ANN, CAPTIONS), (BOB, CAPTIONS), (ANN, NOTES)):
            await store.put_simple_storage(user, package, {"a": "1", "b": "2", "z\0": "3"})
        for _ in range(2):
            await store.drop_simple_storage(ANN, CAPTIONS, "a")
        await store.drop_simple_storage(ANN, CAPTIONS, "z")
        assert await store.simple_storage(ANN, CAPTIONS) == {"b": "2", "z\0": "3"}
        for _ in range(2):
            await store.drop_simple_storage(ANN, CAPTIONS)
        assert await store.simple_storage(ANN, CAPTIONS) == {}
        assert len(await store.simple_storage(BOB, CAPTIONS)) == 3
        assert len(await store.simple_storage(ANN, NOTES)) == 3


async def test_too_much_is_refused_whole(open_store: OpenStore) -> None:
    full = {f"{number:02}": BLOCK for number in range(10)}
    rest = TOTAL_UNITS_MAX - 10 * (len(BLOCK) + 2)
    async with open_store() as store:
        await store.put_simple_storage(ANN, CAPTIONS, full)
        await store.put_simple_storage(ANN, CAPTIONS, {"k": "x" * (rest - 1)})
        for more in ({"k": "x" * rest}, {"y": ""}, {"00": "", "y": "😀" * 50_001}):
            with pytest.raises(StorageFull):
                await store.put_simple_storage(ANN, CAPTIONS, more)
        found = await store.simple_storage(ANN, CAPTIONS)
        assert found == full | {"k": "x" * (rest - 1)}
        await store.put_simple_storage(ANN, CAPTIONS, {"00": "", "y": BLOCK[:-1]})
        await store.put_simple_storage(ANN, NOTES, full)
        await store.put_simple_storage(BOB, CAPTIONS, full)


async def test_too_many_keys_are_refused(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.put_simple_storage(ANN, CAPTIONS, {str(n): "" for n in range(KEYS_MAX)})
        await store.put_simple_storage(ANN, CAPTIONS, {"0": "again"})
        with pytest.raises(StorageFull, match="keys"):
            await store.put_simple_storage(ANN, CAPTIONS, {"one more": ""})


async def test_two_who_write_at_once_cannot_go_beyond_the_bound(open_store: OpenStore) -> None:
    refused: list[int] = []

    async def write(number: int) -> None:
        try:
            await store.put_simple_storage(ANN, CAPTIONS, {str(number): BLOCK})
        except StorageFull:
            refused.append(number)

    async with open_store() as store:
        async with trio.open_nursery() as nursery:
            for number in range(15):
                nursery.start_soon(write, number)
        assert len(refused) == 5
        assert len(await store.simple_storage(ANN, CAPTIONS)) == 10


async def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    async with open_sqlite_store(path, inline=True) as store:
        await store.put_simple_storage(ANN, CAPTIONS, {"a": "1"})
        await store.set_installed(ANN, NOTES, installed=False)
        await store.add_feedback(Feedback(user=ANN, at="now", text="nice"))
        async with open_sqlite_store(path, inline=True) as other:  # as if this one was killed
            assert await other.simple_storage(ANN, CAPTIONS) == {"a": "1"}
            assert await other.uninstalled_apps(ANN) == {NOTES}
            assert len(await other.feedback(9)) == 1


async def test_what_is_not_installed(open_store: OpenStore) -> None:
    async with open_store() as store:
        assert await store.uninstalled_apps(ANN) == frozenset()
        for _ in range(2):
            await store.set_installed(ANN, NOTES, installed=False)
        await store.set_installed(ANN, CAPTIONS, installed=False)
        assert await store.uninstalled_apps(ANN) == {NOTES, CAPTIONS}
        for _ in range(2):
            await store.set_installed(ANN, NOTES, installed=True)
        assert await store.uninstalled_apps(ANN) == {CAPTIONS}
        assert await store.uninstalled_apps(BOB) == frozenset()


async def test_a_removed_app_leaves_nothing(open_store: OpenStore) -> None:
    async with open_store() as store:
        app = AppRegistration(package=CAPTIONS, url="http://127.0.0.1:1", key_hash="ab" * 32)
        await store.put_app(app)
        for package in (CAPTIONS, NOTES):
            await store.put_simple_storage(ANN, package, {"a": "1"})
            await store.set_installed(ANN, package, installed=False)
        await store.remove_app(CAPTIONS)
        assert await store.simple_storage(ANN, CAPTIONS) == {}
        assert await store.simple_storage(ANN, NOTES) == {"a": "1"}
        assert await store.uninstalled_apps(ANN) == {NOTES}


async def test_feedback_is_kept_within_bounds(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (ports.FEEDBACK_OF_ONE_MAX, ports.FEEDBACK_MAX) == (20, 10_000)
    for module in (entries, memory_store):
        monkeypatch.setattr(module, "FEEDBACK_OF_ONE_MAX", 3)
        monkeypatch.setattr(module, "FEEDBACK_MAX", 4)
    async with open_store() as store:
        assert await store.feedback(10) == []
        await store.add_feedback(Feedback(user=BOB, at="t", text="b"))
        for number in range(5):
            await store.add_feedback(Feedback(user=ANN, at="t", text=str(number)))
        assert [one.text for one in await store.feedback(10)] == ["b", "2", "3", "4"]
        await store.add_feedback(Feedback(user=user_id("c"), at="later", text="c"))
        found = await store.feedback(2)
        assert [(one.user, one.at, one.text) for one in found] == [
            (ANN, "t", "4"),
            ("c", "later", "c"),
        ]
        assert [one.text for one in await store.feedback(10)] == ["2", "3", "4", "c"]
        assert await store.feedback(0) == []
