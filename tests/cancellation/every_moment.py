"""Something happens at every moment of something else: once per step of the whole program."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from itertools import count
from typing import Final, TypeVar

import attrs
import trio

W = TypeVar("W")

STEPS_MAX: Final = 2_000
"""More steps than anything here takes: what goes on beyond is going on for ever."""

World = Callable[[], AbstractAsyncContextManager[W]]
"""Opens a fresh world, and closes it after its last check."""


@attrs.define(eq=False)
class _At(trio.abc.Instrument):
    """Calls ``act`` when any task of the program makes its ``step``-th step from now."""

    step: int
    act: Callable[[], object]
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
) -> int:
    """Run ``call`` in one fresh ``world`` after the other, cancelled one step later each time.

    What other tasks do meanwhile counts as steps too, so that all that may be under way when
    the cancellation comes is under way once. After each call ``check`` looks at the world.
    Ends with the first call that comes to its end by itself, and returns how many did not.
    """
    for step in count(1):
        assert step < STEPS_MAX, "it never ends"
        async with world() as opened:
            with trio.CancelScope() as scope, _watched(_At(step, scope.cancel)):
                await call(opened)
            await check(opened)
        if not scope.cancelled_caught:
            return step - 1
    raise AssertionError("count() has no end")


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
