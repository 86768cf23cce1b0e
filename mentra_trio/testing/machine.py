"""Virtual time for rule-based state machines: rules act on one long-lived ``trio.run``.

A machine is written as with Hypothesis, with ``rule``, ``initialize``, ``invariant`` and
``precondition`` of this module in place of Hypothesis' own: they are the same, and remember what
was done, so that a failure can be replayed and exported.
"""

from __future__ import annotations

import inspect
import random
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import cache, partial, wraps
from queue import SimpleQueue
from typing import Any, ClassVar, Final, Self, TypeVar, cast

import hypothesis.stateful as stateful
import outcome
import trio
from hypothesis import currently_in_test_context, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from trio.testing import MockClock, wait_all_tasks_blocked

from .schedule import seed_schedule, seeded_schedule
from .script import RECORDED, Script, command_for
from .trace import Trace

T = TypeVar("T")
R = TypeVar("R", bound=Callable[..., None])

SCHEDULES: Final = 2**16
"""How many orders of ready tasks are told apart."""

_INITIAL: Final = "hypothesis_stateful_initialize_rule"
_RULES: Final = ("hypothesis_stateful_rule", _INITIAL)
"""By this Hypothesis knows its rules; without it foreign ones just go unnoticed."""
_CHECK: Final = "is_recorded_invariant"


def rule(**strategies: st.SearchStrategy[Any]) -> Callable[[R], R]:
    """As ``hypothesis.stateful.rule``, without bundles; what it is called with is remembered."""

    def decorate(function: R) -> R:
        as_rule: Any = stateful.rule
        decorated = as_rule(**strategies)(_recorded(function))
        return cast("R", _marked(decorated, RECORDED))

    return decorate


def initialize(**strategies: st.SearchStrategy[Any]) -> Callable[[R], R]:
    """As ``hypothesis.stateful.initialize``; likewise."""

    def decorate(function: R) -> R:
        as_first_rule: Any = stateful.initialize
        decorated = as_first_rule(**strategies)(_recorded(function))
        return cast("R", _marked(decorated, RECORDED))

    return decorate


def invariant() -> Callable[[R], R]:
    """As ``hypothesis.stateful.invariant``; it is checked in replays, too.

    To Hypothesis all of them are one, ``everything_holds``: that is faster, and a failing
    example is not drowned in their names.
    """

    def decorate(function: R) -> R:
        return cast("R", _marked(function, _CHECK))

    return decorate


def precondition(condition: Callable[[Any], bool]) -> Callable[[R], R]:
    """As ``hypothesis.stateful.precondition``: for a ``rule`` or an ``invariant``, above it."""

    def decorate(function: R) -> R:
        if not hasattr(function, _CHECK):
            return stateful.precondition(condition)(function)

        @wraps(function)
        def check(machine: TrioMachine) -> None:
            if condition(machine):
                function(machine)

        return cast("R", check)

    return decorate


def _recorded(function: Callable[..., None]) -> Callable[..., None]:
    """``function``, noted with its arguments unless another rule has called it."""
    names = list(inspect.signature(function).parameters)[1:]

    @wraps(function)
    def step(machine: TrioMachine, /, *args: Any, **values: Any) -> None:
        values |= dict(zip(names, args, strict=False))
        with machine.step_of(function.__name__, values):
            function(machine, **values)

    return step


@cache
def _first_rules_of(machine: type) -> frozenset[str]:
    return frozenset(
        name for name in dir(machine) if hasattr(getattr(machine, name, None), _INITIAL)
    )


@cache
def _invariants_of(machine: type) -> tuple[str, ...]:
    """By name, so that a subclass may override one."""
    return tuple(
        name for name in dir(machine) if getattr(getattr(machine, name, None), _CHECK, False)
    )


def _marked(function: Callable[..., Any], mark: str) -> Callable[..., Any]:
    setattr(function, mark, True)
    return function


class WorldEnded(RuntimeError):
    """The world of a machine has ended, or crashed before: nothing more can be done in it."""


class TrioMachine(RuleBasedStateMachine):
    """A rule-based machine over an asynchronous world.

    Between two rules the Trio loop is frozen: it waits for the next job with a blocking call,
    on purpose. Exactly one of the two threads runs at any moment, so a failing example replays
    and shrinks. Time is virtual and moves only in ``advance``. The order in which ready tasks
    run is drawn like any other value.

    Attributes:
        traced: whether ``trace`` is kept; off in ordinary runs, which have no use for it.
        script: the rules that were called so far.
        trace: every step of every task, as a digest.
    """

    traced: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.script = Script(())
        self.trace = Trace()
        self._clock = MockClock(autojump_threshold=0)
        self._inside = self._replays = False
        self._jobs: SimpleQueue[Callable[[], Awaitable[Any]] | None] = SimpleQueue()
        self._results: SimpleQueue[outcome.Outcome[Any]] = SimpleQueue()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run_trio, daemon=True)
        self._thread.start()
        self._results.get().unwrap()

    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Open the system under test, report ``started``, and run until cancelled."""
        raise NotImplementedError

    @initialize(seed=st.integers(0, SCHEDULES - 1))
    def schedule(self, seed: int) -> None:
        """From here on ready tasks run in the order that follows from ``seed``."""
        seed_schedule(seed)

    @property
    def now(self) -> float:
        """Virtual time, in seconds since the world began."""
        return self._clock.current_time()

    def do(self, job: Callable[[], Awaitable[T]]) -> T:
        """Run ``job`` on the Trio thread, let every task settle, and return its result.

        Raises:
            BaseException: what ``job`` raised; the world goes on.
            BaseExceptionGroup: what another task crashed with; the world has ended.
            WorldEnded: it has ended before.
        """
        if self._ended.is_set():
            raise WorldEnded(f"the world of {type(self).__name__} has ended")
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
        try:
            if currently_in_test_context():
                note(self.how_to_replay())  # is shown for the failing example only
        finally:
            self._end_world()

    def _end_world(self) -> None:
        self._jobs.put(None)
        self._thread.join()
        while not self._results.empty():
            self._results.get().unwrap()

    # -- again -------------------------------------------------------------------------

    @classmethod
    @contextmanager
    def replayed(cls) -> Generator[Self]:
        """A machine whose rules are called by hand, without Hypothesis, in a test of its own.

        Invariants are checked after every rule, once all those have been called with which an
        example begins, or any other; the world is ended with the block. Trio's order of tasks and
        ``random`` are seeded meanwhile, as Hypothesis does.
        """
        state = random.getstate()
        random.seed(0)
        try:
            with seeded_schedule(0):
                machine = cls()
                machine._replays = True
                try:
                    yield machine
                finally:
                    machine.teardown()
        finally:
            random.setstate(state)

    @stateful.invariant()
    def everything_holds(self) -> None:
        """Check every invariant now."""
        for name in _invariants_of(type(self)):
            getattr(self, name)()

    def how_to_replay(self) -> str:
        """One command that does again what was done here, or why there is none."""
        functions = [(name, getattr(type(self), name, None)) for name in dir(type(self))]
        foreign = [
            name
            for name, function in functions
            if any(hasattr(function, mark) for mark in _RULES) and not hasattr(function, RECORDED)
        ]
        if foreign:
            return (
                f"No command replays this: {', '.join(foreign)} is decorated with a rule of "
                "Hypothesis, not of mentra_trio.testing.machine."
            )
        return command_for(type(self), self.script)

    @contextmanager
    def step_of(self, name: str, values: dict[str, Any]) -> Generator[None]:
        """Remember that the rule ``name`` is called, unless another rule calls it."""
        if self._inside:
            yield
            return
        self.script = self.script.and_then(name, values)
        self._inside = True
        try:
            yield
        finally:
            self._inside = False
        if self._replays and not self._still_begins(name):
            self.everything_holds()

    def _still_begins(self, name: str) -> bool:
        """Whether ``name``, which was called last, was not the last of the first rules."""
        first = _first_rules_of(type(self))
        return name in first and not first <= {step.rule for step in self.script.steps}

    # -- the world's thread ------------------------------------------------------------

    def _run_trio(self) -> None:
        instruments = [self.trace] if self.traced else []
        main = partial(trio.run, self._main, clock=self._clock, instruments=instruments)
        result = outcome.capture(main)
        self._ended.set()
        self._results.put(result)

    async def _main(self) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.world)
            self._results.put(outcome.Value(None))
            while (job := self._jobs.get()) is not None:
                result = await outcome.acapture(job)
                await wait_all_tasks_blocked()
                self._results.put(result)
            nursery.cancel_scope.cancel("machine ended")
