"""A pytest plugin: the checks at the end of every test, whatever fixtures it uses.

Name it in the top ``conftest.py``::

    pytest_plugins = ["mentra_trio.testing.plugin", "mentra_trio.testing.every_test"]

It wants pytest-trio. The first of the two, which is there anyhow once the package is installed,
makes the same checks for those tests that use its fixtures.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

import pytest

from .checks import run_checked
from .plugin import FIXTURES, balance_ledger, begin_ledger


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have every async test run so that a task it leaves behind is noticed."""
    for item in items:
        marked = item.get_closest_marker("trio") is not None or config.getini("trio_mode")
        is_async = inspect.iscoroutinefunction(getattr(item, "obj", None))
        if marked and is_async and FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.trio(run=run_checked), append=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Begin a ledger before the first fixture."""
    begin_ledger(item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Balance the ledger after a test that has passed so far, its async fixtures included."""
    result = yield
    balance_ledger(item)
    return result
