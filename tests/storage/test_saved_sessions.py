"""What every store must remember of sessions (the contract of ``Store.save_sessions``)."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.ids import PackageName, UserId, package_name, user_id
from mentra_trio.ports import SavedApp, SavedUser, SessionChange, Store
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.storage.sqlite_store import DATABASE_NAME, open_sqlite_store

OpenStore: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
Kept: TypeAlias = tuple[tuple[int, Mapping[str, Any]], ...]

ANN, BOB = user_id("ann@example.com"), user_id("bob-o'neil@example.com")
CAPTIONS, NOTES = package_name("com.example.captions"), package_name("com.example.notes")


def of_user(user: UserId = ANN, **record: Any) -> SessionChange:
    return SessionChange(user=user, record=record)


def of_app(
    package: PackageName = CAPTIONS,
    user: UserId = ANN,
    *,
    kept_from: int = 0,
    kept: Kept = (),
    **record: Any,
) -> SessionChange:
    return SessionChange(user=user, package=package, record=record, kept_from=kept_from, kept=kept)


def forget(user: UserId = ANN, package: PackageName | None = None) -> SessionChange:
    return SessionChange(user=user, package=package, record=None)


async def the_app(store: Store, user: UserId = ANN, package: PackageName = CAPTIONS) -> SavedApp:
    saved = await store.saved_session(user)
    assert saved is not None
    return saved.apps[package]


async def test_a_session_is_returned_as_it_was_saved(open_store: OpenStore) -> None:
    record: dict[str, Any] = {
        "state": "grace_period",
        "tokens": ["a", None, 1.5],
        "字": {"x": {"y": []}},
    }
    message = {"type": "data_stream", "data": {"text": "„hm“\u2028"}}
    async with open_store() as store:
        assert list(await store.saved_users()) == []
        assert await store.saved_session(ANN) is None
        await store.save_sessions([])
        await store.save_sessions(
            [of_user(a=1), of_app(**record, kept=((0, message), (7, {}))), of_app(NOTES)]
        )
        assert list(await store.saved_users()) == [ANN]
        assert await store.saved_session(ANN) == SavedUser(
            record={"a": 1},
            apps={
                CAPTIONS: SavedApp(record=record, kept=((0, message), (7, {}))),
                NOTES: SavedApp(record={}),
            },
        )
        assert await store.saved_session(BOB) is None


async def test_a_record_replaces_the_one_before_and_leaves_what_is_kept(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        await store.save_sessions([of_user(a=1), of_app(epoch=1, kept=((0, {"n": 0}),))])
        await store.save_sessions([of_app(state="x"), of_user(b=2)])
        saved = await store.saved_session(ANN)
        assert saved is not None
        assert saved.record == {"b": 2}
        assert saved.apps == {CAPTIONS: SavedApp(record={"state": "x"}, kept=((0, {"n": 0}),))}


async def test_kept_messages_are_added_and_forgotten_by_position(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.save_sessions([of_app(kept=((8, {"n": 8}), (10, {"n": 10}), (9, {"n": 9})))])
        await store.save_sessions(
            [of_app(NOTES, kept=((0, {}),)), of_app(user=BOB, kept=((0, {}),))]
        )
        assert [position for position, _ in (await the_app(store)).kept] == [8, 9, 10]
        await store.save_sessions([of_app(kept_from=10, kept=((11, {"n": 11}),))])
        assert (await the_app(store)).kept == ((10, {"n": 10}), (11, {"n": 11}))
        await store.save_sessions([of_app(kept_from=12, kept=((11, {"n": 0}),))])
        assert (await the_app(store)).kept == (), "it was forgotten in the same change"
        assert len((await the_app(store, package=NOTES)).kept) == 1
        assert len((await the_app(store, user=BOB)).kept) == 1


async def test_to_forget_an_app_is_to_forget_its_messages(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.save_sessions([of_app(kept=((3, {}),)), of_app(NOTES, kept=((4, {}),))])
        await store.save_sessions([forget(package=CAPTIONS)])
        saved = await store.saved_session(ANN)
        assert saved is not None
        assert saved.apps == {NOTES: SavedApp(record={}, kept=((4, {}),))}
        await store.save_sessions([of_app(a=1)])
        assert await the_app(store) == SavedApp(record={"a": 1})


async def test_to_forget_a_user_is_to_forget_everything_of_them(open_store: OpenStore) -> None:
    async with open_store() as store:
        for user in (ANN, BOB):
            await store.save_sessions([of_user(user), of_app(user=user, kept=((0, {}),))])
        await store.save_sessions([forget(), forget()])
        assert await store.saved_session(ANN) is None
        assert list(await store.saved_users()) == [BOB]
        await store.save_sessions([of_app()])
        assert await the_app(store) == SavedApp(record={})
        assert (await the_app(store, user=BOB)).kept == ((0, {}),)


async def test_an_app_session_may_be_saved_without_its_user(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.save_sessions([of_app(a=1)])
        assert list(await store.saved_users()) == [ANN]
        saved = await store.saved_session(ANN)
        assert saved == SavedUser(record={}, apps={CAPTIONS: SavedApp(record={"a": 1})})
        await store.save_sessions([forget(package=CAPTIONS)])
        assert await store.saved_session(ANN) is None
        assert list(await store.saved_users()) == []


async def test_changes_are_made_in_order(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.save_sessions(
            [of_app(n=1, kept=((0, {}),)), forget(), of_app(n=2, kept=((1, {}),)), of_app(n=3)]
        )
        assert await store.saved_session(ANN) == SavedUser(
            record={}, apps={CAPTIONS: SavedApp(record={"n": 3}, kept=((1, {}),))}
        )


async def test_users_are_ordered_by_id(open_store: OpenStore) -> None:
    users = [user_id(name) for name in ("b", "ä", "a", "a-b", "z", "\U00010400", "\uffee")]
    async with open_store() as store:
        await store.save_sessions([of_user(user) for user in users[::2]])
        await store.save_sessions([of_app(user=user) for user in users])
        assert list(await store.saved_users()) == sorted(users)


async def test_removing_an_app_forgets_its_sessions(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.put_app(AppRegistration(package=CAPTIONS, url="http://a", key_hash="0"))
        await store.save_sessions([of_user(BOB), of_app(user=BOB, kept=((0, {}),))])
        await store.save_sessions([of_app(kept=((0, {}),)), of_app(NOTES, kept=((0, {}),))])
        assert await store.remove_app(CAPTIONS) is True
        assert await store.saved_session(BOB) == SavedUser(record={}, apps={})
        saved = await store.saved_session(ANN)
        assert saved is not None
        assert saved.apps == {NOTES: SavedApp(record={}, kept=((0, {}),))}
        await store.save_sessions([of_app(user=BOB)])
        assert (await the_app(store, user=BOB)).kept == ()
        assert await store.remove_app(CAPTIONS) is False, "it is not registered"
        assert await store.saved_session(BOB) == SavedUser(record={}, apps={})


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, b"bytes"])
async def test_one_change_that_cannot_be_made_undoes_all(
    open_store: OpenStore, value: object
) -> None:
    before = [of_user(a=1), of_app(a=1, kept=((0, {"a": 1}),))]
    async with open_store() as store:
        await store.save_sessions(before)
        was = await store.saved_session(ANN)
        for wrong in (of_app(x=value), of_app(kept=((1, {"x": value}),)), of_user(BOB, x=value)):
            for changes in ([of_user(BOB), forget(), wrong], [wrong, of_user(b=2)]):
                with pytest.raises(StoreFailed):
                    await store.save_sessions(changes)
        assert await store.saved_session(ANN) == was
        assert list(await store.saved_users()) == [ANN]


async def test_callers_cannot_reach_into_what_is_saved(open_store: OpenStore) -> None:
    inner: list[int] = [1]
    async with open_store() as store:
        await store.save_sessions([of_app(a=inner, kept=((0, {"a": inner}),))])
        inner.append(2)
        app = await the_app(store)
        app.record["a"].append(3)
        app.kept[0][1]["a"].append(3)
        assert await the_app(store) == SavedApp(record={"a": [1]}, kept=((0, {"a": [1]}),))


async def test_many_batches_at_once(open_store: OpenStore) -> None:
    users = [user_id(f"user{number}") for number in range(30)]

    async def work(store: Store, user: UserId) -> None:
        for number in range(5):
            await store.save_sessions(
                [of_user(user, n=number), of_app(user=user, kept=((number, {}),))]
            )
            saved = await store.saved_session(user)
            assert saved is not None
            assert saved.record == {"n": number}
            assert len(saved.apps[CAPTIONS].kept) == number + 1

    async with open_store() as store:
        async with trio.open_nursery() as nursery:
            for user in users:
                nursery.start_soon(work, store, user)
        assert list(await store.saved_users()) == sorted(users)


# -- any changes in any order ------------------------------------------------------------

users = st.sampled_from([ANN, BOB])
records = st.none() | st.dictionaries(st.sampled_from("ab"), st.integers() | st.text(max_size=3))
positions = st.integers(0, 6)
changes = st.builds(
    SessionChange,
    user=users,
    package=st.none() | st.sampled_from([CAPTIONS, NOTES]),
    record=records,
    kept_from=positions,
    kept=st.lists(
        st.tuples(positions, st.dictionaries(st.just("n"), st.integers())),
        max_size=4,
        unique_by=lambda pair: pair[0],
    ).map(tuple),
)


@attrs.define
class Oracle:
    """What must be saved, in plain dicts."""

    users: dict[UserId, Mapping[str, Any]] = attrs.field(factory=dict)
    apps: dict[tuple[UserId, PackageName], Mapping[str, Any]] = attrs.field(factory=dict)
    kept: dict[tuple[UserId, PackageName, int], Mapping[str, Any]] = attrs.field(factory=dict)

    def change(self, change: SessionChange) -> None:
        if change.package is None:
            if change.record is not None:
                self.users[change.user] = change.record
                return
            self.users.pop(change.user, None)
            self.apps = {key: app for key, app in self.apps.items() if key[0] != change.user}
            self.kept = {key: kept for key, kept in self.kept.items() if key[0] != change.user}
            return
        key = (change.user, change.package)
        lowest = change.kept_from
        if change.record is not None:
            self.apps[key] = change.record
            self.kept.update({(*key, position): message for position, message in change.kept})
        else:
            self.apps.pop(key, None)
            lowest = 1_000
        self.kept = {
            place: message
            for place, message in self.kept.items()
            if place[:2] != key or place[2] >= lowest
        }

    def saved(self, user: UserId) -> SavedUser | None:
        apps = {
            package: SavedApp(
                record=record,
                kept=tuple(
                    (position, self.kept[user, package, position])
                    for position in range(10)
                    if (user, package, position) in self.kept
                ),
            )
            for (owner, package), record in self.apps.items()
            if owner == user
        }
        if user not in self.users and not apps:
            return None
        return SavedUser(record=self.users.get(user, {}), apps=apps)


@given(batches=st.lists(st.lists(changes, max_size=6), max_size=5))
@settings(max_examples=60, deadline=None)
async def test_whatever_is_changed_the_stores_remember_the_same(
    batches: Sequence[Sequence[SessionChange]],
) -> None:
    oracle, memory = Oracle(), MemoryStore()
    with tempfile.TemporaryDirectory() as folder:
        async with open_sqlite_store(Path(folder) / DATABASE_NAME, inline=True) as sqlite:
            for batch in batches:
                for change in batch:
                    oracle.change(change)
                for store in (memory, sqlite):
                    await store.save_sessions(batch)
                    for user in (ANN, BOB):
                        assert await store.saved_session(user) == oracle.saved(user)
                    there = [user for user in (ANN, BOB) if oracle.saved(user) is not None]
                    assert list(await store.saved_users()) == sorted(there)


# -- SQLite ------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["not JSON", "[1]", '"text"', "7", "null", ""])
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE user_sessions SET record = ?",
        "UPDATE app_sessions SET record = ?",
        "UPDATE kept_messages SET message = ?",
    ],
)
async def test_a_damaged_session_cannot_be_read_but_replaced(
    tmp_path: Path, damage: str, text: str
) -> None:
    path = tmp_path / DATABASE_NAME
    async with open_sqlite_store(path, inline=True) as store:
        await store.save_sessions([of_user(), of_app(kept=((0, {}),)), of_user(BOB)])
        with sqlite3.connect(path) as database:
            database.execute(damage + " WHERE user = ?", (text, ANN))
        database.close()
        with pytest.raises(StoreFailed, match="damaged") as caught:
            await store.saved_session(ANN)
        assert len(str(caught.value).splitlines()) == 1
        assert await store.saved_session(BOB) is not None
        assert list(await store.saved_users()) == [ANN, BOB]
        await store.save_sessions([forget(), of_user()])
        assert await store.saved_session(ANN) == SavedUser(record={}, apps={})


async def test_a_changed_record_rewrites_no_kept_message(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME

    def rows() -> list[tuple[Any, ...]]:
        with sqlite3.connect(path) as database:
            found = database.execute("SELECT rowid, * FROM kept_messages").fetchall()
        database.close()
        return found

    async with open_sqlite_store(path, inline=True) as store:
        await store.save_sessions([of_app(kept=tuple((n, {"n": n}) for n in range(9)))])
        before = rows()
        await store.save_sessions([of_app(a=1, kept_from=2, kept=((9, {}),))])
        assert rows()[:-1] == before[2:]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT record FROM user_sessions WHERE user = ?",
        "SELECT package, record FROM app_sessions WHERE user = ? ORDER BY package",
        "SELECT package, position, message FROM kept_messages WHERE user = ? ORDER BY 1, 2",
        "DELETE FROM app_sessions WHERE package = ?",
    ],
)
async def test_what_is_looked_for_has_an_index(tmp_path: Path, query: str) -> None:
    path = tmp_path / DATABASE_NAME
    async with open_sqlite_store(path, inline=True):
        pass
    with sqlite3.connect(path) as database:
        plan = str(database.execute("EXPLAIN QUERY PLAN " + query, ("x",)).fetchall())
    database.close()
    assert "USING INDEX" in plan or "USING COVERING INDEX" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan
