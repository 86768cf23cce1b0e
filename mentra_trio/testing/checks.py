"""What must hold when a test ends: no contained crash, no link left open, no task left."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import trio
import trio.testing

from .ledger import Ledger


def assert_balanced(ledger: Ledger) -> None:
    """Check what was entered in ``ledger``.

    Raises:
        AssertionError: a crash was contained at a bulkhead, or a link is still open.
    """
    crashes = ledger.crashes()
    if crashes:
        told = "\n".join(
            f"{crash.bulkhead} {crash.who}:\n{''.join(traceback.format_exception(crash.error))}"
            for crash in crashes
        )
        raise AssertionError(f"{len(crashes)} crashes were contained:\n{told}")
    still_open = ledger.open_links()
    if still_open:
        raise AssertionError(f"{len(still_open)} links were left open: {', '.join(still_open)}")


def run_checked(
    main: Callable[[], Awaitable[Any]],
    *,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> Any:
    """``trio.run(main)``, which must leave no task behind.

    Raises:
        AssertionError: ``main`` has returned, but a task that began since is still there.
    """
    return trio.run(_leave_no_task, main, clock=clock, instruments=instruments)


def run_virtual(
    main: Callable[[], Awaitable[Any]],
    *,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> Any:
    """``run_checked`` in virtual time."""
    clock = clock or trio.testing.MockClock(autojump_threshold=0)
    return run_checked(main, clock=clock, instruments=instruments)


async def _leave_no_task(main: Callable[[], Awaitable[Any]]) -> Any:
    before = set(_tasks())
    result = await main()
    left = [task.name for task in _tasks() if task not in before]
    if left:
        raise AssertionError(f"{len(left)} tasks were left: {', '.join(left)}")
    return result


def _tasks() -> Iterator[trio.lowlevel.Task]:
    """Every task of this run, from the root down."""
    root = trio.lowlevel.current_root_task()
    waiting = [] if root is None else [root]
    while waiting:
        task = waiting.pop()
        yield task
        for nursery in task.child_nurseries:
            waiting.extend(nursery.child_tasks)
