"""Every kind of store, for the tests that hold for all of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from mentra_trio.ports import Store
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.storage.sqlite_store import open_sqlite_store

OpenStore: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]


@asynccontextmanager
async def _memory() -> AsyncGenerator[Store, None]:
    yield MemoryStore()


@pytest.fixture(params=["memory", "sqlite inline", "sqlite threaded"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens an empty store of one kind."""
    if request.param == "memory":
        return _memory
    path = tmp_path / "data" / "store.sqlite3"
    return lambda: open_sqlite_store(path, inline=request.param == "sqlite inline")
