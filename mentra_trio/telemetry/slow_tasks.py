"""How long tasks run between two checkpoints: while one does, nobody else gets a turn.

Every step of every task is counted, so what is done for one is a few additions. A step above
``SLOW_S`` is told as a fact: with the function that ran, because the names of tasks hold users.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any, Final

import attrs
import trio
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from ..domain.facts import SlowStep
from ..ports import Telemetry

SLOW_S: Final = 0.05
BOUNDS_S: Final = (0.000_1, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

QUICK_S: Final = BOUNDS_S[0]


@attrs.define(eq=False)
class SlowTasks(trio.abc.Instrument):
    """A Trio instrument that measures steps, and a collector of what it has measured."""

    telemetry: Telemetry
    clock: Callable[[], float]
    _began: float = attrs.field(
        default=attrs.Factory(lambda self: self.clock(), takes_self=True), init=False
    )
    """When the step began that runs now, or the measuring, which begins amid a step."""
    _counts: list[int] = attrs.field(factory=lambda: [0] * (len(BOUNDS_S) + 1), init=False)
    """Of the steps that were not quick, by the bound that they are within."""
    _quick: int = attrs.field(default=0, init=False)
    """How many steps were within the first bound: nearly all."""
    _sum_s: float = attrs.field(default=0.0, init=False)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """See ``trio.abc.Instrument``."""
        self._began = self.clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """See ``trio.abc.Instrument``."""
        seconds = self.clock() - self._began
        self._sum_s += seconds
        if seconds <= QUICK_S:
            self._quick += 1
        else:
            self._count(task, seconds)

    def _count(self, task: trio.lowlevel.Task, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        if seconds > SLOW_S:
            self.telemetry.emit(SlowStep(function=_function_of(task), seconds=seconds))

    def collect(self) -> Iterator[Metric]:
        """See ``prometheus_client``."""
        totals = list(accumulate([self._quick, *self._counts[1:]]))
        bounds = [*map(str, BOUNDS_S), "+Inf"]
        yield HistogramMetricFamily(
            "mentra_task_step_seconds",
            "Duration of task steps between checkpoints",
            buckets=list(zip(bounds, totals, strict=True)),
            sum_value=self._sum_s,
        )


def _function_of(task: trio.lowlevel.Task) -> str:
    """Where the task is now: the innermost function that is not Trio's own."""
    coroutine: Any = task.coro
    name = str(getattr(coroutine, "__qualname__", coroutine))
    while (coroutine := getattr(coroutine, "cr_await", None)) is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None and not frame.f_globals["__name__"].startswith("trio."):
            name = coroutine.__qualname__
    return name
