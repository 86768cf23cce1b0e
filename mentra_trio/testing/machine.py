"""Virtual time for rule-based state machines: rules act on one long-lived ``trio.run``."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import outcome
import trio
from hypothesis.stateful import RuleBasedStateMachine
from trio.testing import MockClock, wait_all_tasks_blocked

T = TypeVar("T")


class TrioMachine(RuleBasedStateMachine):
    """A rule-based machine over an asynchronous world.

    Between two rules the Trio loop is frozen: it waits for the next job with a blocking call,
    on purpose. Exactly one of the two threads runs at any moment, so a failing example replays
    and shrinks. Time is virtual and moves only in ``advance``.
    """

    def __init__(self) -> None:
        super().__init__()
        self._jobs: SimpleQueue[Callable[[], Awaitable[Any]] | None] = SimpleQueue()
        self._results: SimpleQueue[outcome.Outcome[Any]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run_trio, daemon=True)
        self._thread.start()
        self._results.get().unwrap()

    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Open the system under test, report ``started``, and run until cancelled."""
        raise NotImplementedError

    def do(self, job: Callable[[], Awaitable[T]]) -> T:
        """Run ``job`` on the Trio thread, let every task settle, and return its result."""
        self._jobs.put(job)
        result: T = self._results.get().unwrap()
        return result

    def act(self, *changes: Callable[[], object]) -> None:
        """Make synchronous ``changes`` in one turn of the world, and let everything settle."""

        async def job() -> None:
            for change in changes:
                change()
            await trio.lowlevel.checkpoint()

        self.do(job)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` of virtual time pass; every deadline on the way fires in order."""
        self.do(partial(trio.sleep, seconds))

    def settle(self) -> None:
        """Let every task go on until it waits for time or for a peer."""
        self.do(trio.lowlevel.checkpoint)

    def teardown(self) -> None:
        """End the world. A crash of it is a failure of the example."""
        self._jobs.put(None)
        self._thread.join()
        while not self._results.empty():
            self._results.get().unwrap()

    def _run_trio(self) -> None:
        clock = MockClock(autojump_threshold=0)
        self._results.put(outcome.capture(partial(trio.run, self._main, clock=clock)))

    async def _main(self) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.world)
            self._results.put(outcome.Value(None))
            while (job := self._jobs.get()) is not None:
                result = await _captured(job)
                await wait_all_tasks_blocked()
                self._results.put(result)
            nursery.cancel_scope.cancel("machine ended")


async def _captured(job: Callable[[], Awaitable[Any]]) -> outcome.Outcome[Any]:
    """``outcome.acapture``, except that cancellation passes through."""
    try:
        return outcome.Value(await job())
    except (AssertionError, LookupError, ValueError, RuntimeError, trio.TooSlowError) as error:
        return outcome.Error(error)
