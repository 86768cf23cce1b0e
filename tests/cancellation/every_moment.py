"""Something happens at every moment of something else: once per step of the whole program."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from itertools import count
from types import CodeType
from typing import Any, Final, ParamSpec, TypeVar

import attrs
import trio

from mentra_trio.testing.ledger import current_ledger
from mentra_trio.testing.schedule import seeded_schedule

W = TypeVar("W")
P = ParamSpec("P")

STEPS_MAX: Final = 4_000
"""More steps than anything here takes: what goes on beyond is going on for ever."""

World = Callable[[], AbstractAsyncContextManager[W]]
"""Opens a fresh world, and closes it after its last check."""

CANCELS: Final = "cancels"
"""Where a test says which functions it cancels."""

_suspended: Final[ContextVar[set[CodeType] | None]] = ContextVar("suspended", default=None)
"""Where cancellations have come so far in this test: the code of every function that waited."""


def cancels(
    *functions: Callable[..., Any],
) -> Callable[[Callable[P, Awaitable[None]]], Callable[P, Awaitable[None]]]:
    """Say of a test that it cancels ``functions``; it fails if no cancellation came while they
    were waiting for something.

    Where some of them are parameters of the test, that run of it answers for these only.
    """

    def decorate(test: Callable[P, Awaitable[None]]) -> Callable[P, Awaitable[None]]:
        @wraps(test)
        async def checked(*args: P.args, **arguments: P.kwargs) -> None:
            seen: set[CodeType] = set()
            _suspended.set(seen)
            await test(*args, **arguments)
            given = [one for one in functions if any(one is value for value in arguments.values())]
            missed = [one.__qualname__ for one in given or functions if code_of(one) not in seen]
            assert not missed, f"was never cancelled while it waited: {', '.join(missed)}"

        checked.__dict__[CANCELS] = functions
        return checked

    return decorate


def code_of(function: Callable[..., Any]) -> CodeType:
    """What runs when ``function`` does, decorated or not."""
    code = inspect.unwrap(function).__code__
    assert isinstance(code, CodeType)
    return code


@attrs.define(eq=False)
class _At(trio.abc.Instrument):
    """Calls ``act`` when any task of the program makes its ``step``-th step from now."""

    step: int
    act: Callable[[], object] = lambda: None
    steps: int = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1
        if self.steps == self.step:
            self.act()


@contextmanager
def _watched(instrument: _At) -> Generator[_At]:
    trio.lowlevel.add_instrument(instrument)
    try:
        yield instrument
    finally:
        trio.lowlevel.remove_instrument(instrument)


async def cancel_at_every_moment(
    world: World[W],
    call: Callable[[W], Awaitable[object]],
    check: Callable[[W], Awaitable[None]],
    *,
    every: int = 1,
) -> int:
    """Run ``call`` in one fresh ``world`` after the other, cancelled one step later each time.

    The first one is cancelled before it begins. What other tasks do meanwhile counts as steps
    too, so that all that may be under way when the cancellation comes is under way once. After
    each call ``check`` looks at the world. Ends with the first call that comes to its end before
    it could be cancelled, and returns how many steps the others were left. Of a call that is too
    long for that, only ``every`` so many-th step is tried. The order of ready tasks is another
    one each time, and the same in each run of the test.
    """
    for step in count(0, every):
        assert step < STEPS_MAX, "it never ends"
        with seeded_schedule(step):
            took = await _cancelled_at(step, world, call, check)
        if took < step:
            return max(0, step - 1)
    raise AssertionError("count() has no end")


async def _cancelled_at(
    step: int,
    world: World[W],
    call: Callable[[W], Awaitable[object]],
    check: Callable[[W], Awaitable[None]],
) -> int:
    """Run ``call`` once; how many steps it was left."""
    async with world() as opened:
        instrument = _At(step)
        with trio.CancelScope() as scope, _watched(instrument):
            instrument.act = _cancellation(scope)
            if step == 0:
                scope.cancel("before it begins")
            await call(opened)
        await check(opened)
    ledger = current_ledger()
    assert ledger is None or not ledger.open_links(), (step, ledger.open_links())
    return instrument.steps


def _cancellation(scope: trio.CancelScope) -> Callable[[], None]:
    """Cancels ``scope``, just entered by this task, and notes what waits in it at that moment."""
    task = trio.lowlevel.current_task()
    outside = len(task.child_nurseries)
    seen = _suspended.get()

    def cancel() -> None:
        if seen is not None:
            seen.update(_waiting(task))
            for nursery in task.child_nurseries[outside:]:
                for child in _tasks_in(nursery):
                    seen.update(_waiting(child))
        scope.cancel()

    return cancel


def _tasks_in(nursery: trio.Nursery) -> Iterator[trio.lowlevel.Task]:
    for task in nursery.child_tasks:
        yield task
        for inner in task.child_nurseries:
            yield from _tasks_in(inner)


def _waiting(task: trio.lowlevel.Task) -> Iterator[CodeType]:
    return (frame.f_code for frame, _ in task.iter_await_frames())


async def act_at_every_moment(
    world: World[W],
    call: Callable[[W], Awaitable[object]],
    act: Callable[[W], object],
    check: Callable[[W], Awaitable[None]],
) -> int:
    """As ``cancel_at_every_moment``, but something else happens at that moment: ``act``."""
    for step in count(1):
        assert step < STEPS_MAX, "it never ends"
        async with world() as opened:
            with _watched(_At(step, partial(act, opened))) as instrument:
                await call(opened)
            if instrument.steps < step:
                return step - 1
            await check(opened)
    raise AssertionError("count() has no end")
