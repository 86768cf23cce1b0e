"""A store whose caller gives up has done what was asked, or has not; never a part of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from every_moment import cancel_at_every_moment, cancels

from mentra_trio.domain.apps import AppRegistration, hash_api_key
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.ports import Feedback, SessionChange, Store
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.storage.sqlite_store import SqliteStore, open_sqlite_store
from mentra_trio.storage.writer import InlineRunner, ThreadRunner, thread_runner
from mentra_trio.testing.mortal import MortalStore, Pulse

USER = user_id("u-1@x.org")
APP = package_name("com.t.a")
REGISTRATION = AppRegistration(
    package=APP, url="http://a.test", key_hash=hash_api_key("key"), registration_id="reg_a"
)

CALLS: dict[str, tuple[Any, ...]] = {
    "app": (APP,),
    "apps": (),
    "registration": ("reg_a",),
    "put_app": (REGISTRATION,),
    "remove_app": (APP,),
    "wanted_apps": (USER,),
    "set_wanted": (USER, APP),
    "app_settings": (USER, APP),
    "put_app_settings": (USER, APP, {"size": 1, "colour": "red"}),
    "user_settings": (USER,),
    "put_user_settings": (USER, {"brightness": 1, "volume": 2}),
    "save_sessions": (
        [
            SessionChange(user=USER, record={"device": {}}),
            SessionChange(user=USER, package=APP, record={"a": 1}, kept=((1, {"b": 2}),)),
        ],
    ),
    "simple_storage": (USER, APP),
    "put_simple_storage": (USER, APP, {"a": "1", "b": "2"}),
    "drop_simple_storage": (USER, APP),
    "uninstalled_apps": (USER,),
    "set_installed": (USER, APP),
    "add_feedback": (Feedback(user=USER, at="now", text="nice"),),
    "feedback": (9,),
    "saved_users": (),
    "saved_session": (USER,),
}
KINDS = (MemoryStore, SqliteStore, MortalStore)
METHODS = [
    vars(kind)[name] for kind in KINDS for name in CALLS if name in vars(kind)
]  # what a kind only inherits is looked at in the kind that it comes from


@asynccontextmanager
async def opened(kind: type, folder: Path) -> AsyncGenerator[Store]:
    if kind is SqliteStore:
        async with open_sqlite_store(folder / "test.sqlite3") as store:
            yield store
    elif kind is MortalStore:
        yield MortalStore(MemoryStore(), Pulse())
    else:
        yield kind()


async def state_of(store: Store) -> tuple[object, ...]:
    saved = await store.saved_session(USER)
    return (
        list(await store.apps()),
        list(await store.wanted_apps(USER)),
        await store.app_settings(USER, APP),
        await store.user_settings(USER),
        await store.simple_storage(USER, APP),
        await store.uninstalled_apps(USER),
        len(await store.feedback(9)) > 0,
        None if saved is None else (saved.record, dict(saved.apps)),
    )


@pytest.mark.parametrize("function", METHODS, ids=lambda function: function.__qualname__)
@cancels(*METHODS)
async def test_all_or_nothing(function: Callable[..., Awaitable[object]], tmp_path: Path) -> None:
    name = function.__name__
    arguments = CALLS[name]
    wanted = {"set_wanted": {"wanted": True}, "set_installed": {"installed": False}}.get(name, {})
    [kind] = [one for one in KINDS if vars(one).get(name) is function]

    @asynccontextmanager
    async def world() -> AsyncGenerator[Store]:
        async with opened(kind, tmp_path) as store:
            await store.remove_app(APP)
            if name != "put_app":
                await store.put_app(REGISTRATION)
            if name == "drop_simple_storage":
                await store.put_simple_storage(USER, APP, {"a": "1", "b": "2"})
            yield store

    async def call(store: Store) -> None:
        await function(store, *arguments, **wanted)

    async def check(store: Store) -> None:
        found = await state_of(store)
        await call(store)
        assert found in (await before(), await state_of(store)), "a part of it was done"

    async def before() -> tuple[object, ...]:
        if kind is SqliteStore:
            return first[0]
        async with world() as fresh:
            return await state_of(fresh)

    async with world() as fresh:
        first = [await state_of(fresh)]
    assert await cancel_at_every_moment(world, call, check) > 0


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "thread"])
@cancels(open_sqlite_store, thread_runner, ThreadRunner.run)
async def test_a_store_whose_opening_is_cancelled_can_be_opened(
    inline: bool, tmp_path: Path
) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[Path]:
        yield tmp_path / "test.sqlite3"

    async def call(path: Path) -> None:
        async with open_sqlite_store(path, inline=False) as store:
            await store.put_app(REGISTRATION)

    async def check(path: Path) -> None:
        async with open_sqlite_store(path, inline=inline) as store:
            assert list(await store.apps()) in ([], [REGISTRATION])
            await store.put_app(REGISTRATION)
            assert list(await store.apps()) == [REGISTRATION]
            await store.remove_app(APP)

    assert await cancel_at_every_moment(world, call, check) > 2


@cancels(InlineRunner.run)
async def test_a_store_without_threads(tmp_path: Path) -> None:
    @asynccontextmanager
    async def world() -> AsyncGenerator[Store]:
        async with open_sqlite_store(tmp_path / "test.sqlite3", inline=True) as store:
            yield store

    async def check(store: Store) -> None:
        with trio.fail_after(5):
            await store.put_app(REGISTRATION)
        assert list(await store.apps()) == [REGISTRATION]

    assert await cancel_at_every_moment(world, lambda store: store.put_app(REGISTRATION), check) > 0
