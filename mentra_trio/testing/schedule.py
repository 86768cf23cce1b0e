"""The order in which Trio runs tasks that are ready at the same moment: random, but from a seed.

Trio shuffles each batch of ready tasks on purpose, so that nobody relies on an order. Here that
shuffling becomes part of a seed: the same seed gives the same order, in any process.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from random import Random
from types import ModuleType
from typing import Any

import trio


class ScheduleNotSeeded(RuntimeError):
    """This version of Trio has no generator for its schedule where we know it."""


def seed_schedule(seed: int) -> None:
    """From now on Trio's order of ready tasks follows from ``seed``, in this process.

    Trio does this by itself while Hypothesis runs, under names that are private to it; there is
    no public way.

    Raises:
        ScheduleNotSeeded: with an unknown version of Trio.
    """
    run, generator = _scheduler()
    vars(run)["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    generator.seed(seed)


@contextmanager
def seeded_schedule(seed: int) -> Generator[None]:
    """``seed_schedule`` for a block; afterwards Trio goes on as if it had not been.

    Raises as ``seed_schedule``.
    """
    run, generator = _scheduler()
    state, allowed = generator.getstate(), vars(run)["_ALLOW_DETERMINISTIC_SCHEDULING"]
    seed_schedule(seed)
    try:
        yield
    finally:
        vars(run)["_ALLOW_DETERMINISTIC_SCHEDULING"] = allowed
        generator.setstate(state)


def _scheduler() -> tuple[ModuleType, Random]:
    """The module that holds Trio's schedule, and what it draws the order from."""
    run: ModuleType = trio._core._run
    generator: Any = getattr(run, "_r", None)
    if not isinstance(generator, Random) or not hasattr(run, "_ALLOW_DETERMINISTIC_SCHEDULING"):
        raise ScheduleNotSeeded(f"Trio {trio.__version__} keeps its generator somewhere else")
    return run, generator
