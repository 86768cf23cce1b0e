"""A pytest plugin: the fixture ``world``, and the checks at the end of every test.

Name it in the top ``conftest.py``::

    pytest_plugins = ["mentra_trio.testing.plugin"]

It wants pytest-trio, with ``trio_mode = true``. A test that uses ``world`` runs in virtual time.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

from .checks import assert_balanced, run_checked, run_virtual
from .ledger import Ledger, keep_ledger

if TYPE_CHECKING:
    from .world import World

_LEDGER: Final = pytest.StashKey[Ledger]()


@pytest.fixture
async def world() -> AsyncGenerator[World]:
    """A whole server with its surroundings on an in-memory network, in virtual time."""
    from .world import open_world  # only who uses it pays for importing a whole server

    async with open_world() as opened:
        yield opened


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have every async test run so that a task it leaves behind is noticed."""
    for item in items:
        function = getattr(item, "obj", None)
        marked = item.get_closest_marker("trio") is not None or config.getini("trio_mode")
        if marked and inspect.iscoroutinefunction(function):
            fixtures = getattr(item, "fixturenames", ())
            run = run_virtual if "world" in fixtures else run_checked
            item.add_marker(pytest.mark.trio(run=run), append=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Begin a ledger before the first fixture."""
    item.stash[_LEDGER] = keep_ledger()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Balance the ledger after a test that has passed so far, its async fixtures included."""
    result = yield
    assert_balanced(item.stash[_LEDGER])
    return result
