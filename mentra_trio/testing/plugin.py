"""The pytest plugin: fixtures ``world``, ``glasses``, ``app_server`` and ``virtual_clock``.

Whoever has installed ``mentra-trio[testing]`` has it, without a line in ``conftest.py``, with or
without ``trio_mode = true``. An async test that uses one of the fixtures runs on Trio in virtual
time, and at its end no task may be left, no link open, and no crash contained. Other tests
are not touched, and cost nothing.

``--world-seed=N`` gives every ``world`` another seed than 0, from which its whole course follows.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from trio.testing import MockClock

    from ..clients.glasses import Glasses
    from .world import AppServers, World

# What is imported at the top is imported by every test suite in an environment that has us.

FIXTURES: Final = frozenset({"world", "glasses", "app_server", "virtual_clock"})
_LEDGER: Final = pytest.StashKey[Any]()


@pytest.fixture
async def world(request: pytest.FixtureRequest) -> AsyncGenerator[World]:
    """A whole server with its surroundings on an in-memory network, in virtual time."""
    from .world import open_world

    async with open_world(seed=request.config.getoption("world_seed")) as opened:
        yield opened


@pytest.fixture
async def glasses(world: World) -> AsyncGenerator[Glasses]:
    """Glasses of ``mentra_trio.testing.world.USER``, attached to the server of ``world``."""
    async with world.glasses() as attached:
        yield attached


@pytest.fixture
async def app_server(world: World) -> AppServers:
    """Runs apps in ``world``: ``process = await app_server(app)``; see ``World.add``."""
    return world.add


@pytest.fixture
def virtual_clock() -> MockClock:
    """Trio's clock in virtual time: it stands while a task can run, then jumps to the next."""
    from trio.testing import MockClock

    return MockClock(autojump_threshold=0)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--world-seed``."""
    group = parser.getgroup("mentra-trio", "mentra_trio.testing")
    group.addoption(
        "--world-seed",
        type=int,
        default=0,
        metavar="N",
        help="what every world's course follows from: jitter, ids, and Trio's order of tasks",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have async tests that use a fixture of ours run on Trio, in virtual time, and checked."""
    ours = [item for item in items if _is_ours(item)]
    if not ours:
        return
    if not config.pluginmanager.has_plugin("trio"):
        raise pytest.UsageError(
            f"{ours[0].nodeid}: the fixtures of mentra-trio need pytest-trio;"
            " pip install 'mentra-trio[testing]'"
        )
    from .checks import run_virtual

    for item in ours:
        item.add_marker(pytest.mark.trio(run=run_virtual), append=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Begin a ledger before the first fixture of ours."""
    if _is_ours(item):
        begin_ledger(item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Balance the ledger after a test that has passed so far, its async fixtures included."""
    result = yield
    if _LEDGER in item.stash:  # by now the test itself is wrapped, and async no more
        balance_ledger(item)
    return result


def begin_ledger(item: pytest.Item) -> None:
    """Keep a ledger for ``item``, from now on."""
    from .ledger import keep_ledger

    item.stash[_LEDGER] = keep_ledger()


def balance_ledger(item: pytest.Item) -> None:
    """Check what was entered in the ledger of ``item``.

    Raises:
        AssertionError: a crash was contained, or a link is still open.
    """
    from .checks import assert_balanced

    assert_balanced(item.stash[_LEDGER])


def _is_ours(item: pytest.Item) -> bool:
    """Whether ``item`` is an async test that uses a fixture of ours."""
    if FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
        return False
    return inspect.iscoroutinefunction(getattr(item, "obj", None))
