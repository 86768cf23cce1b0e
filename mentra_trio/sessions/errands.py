"""Work that outlives the message that asked for it, and never the user session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import trio

Job = Callable[[], Awaitable[object]]


@attrs.define(eq=False, repr=False)
class Errands:
    """Tasks of a user session that its subsystems begin: time limits, calls, pumps.

    A job that crashes takes the user session with it, as everything else of the session does.
    """

    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)

    def open(self, nursery: trio.Nursery) -> None:
        """Let jobs run in ``nursery`` from now on."""
        self._nursery = nursery

    def close(self) -> None:
        """Begin nothing any more; what runs ends with its nursery."""
        self._nursery = None

    @property
    def are_run(self) -> bool:
        """Whether what is begun now is run: the session is open, and not over."""
        return self._nursery is not None

    def begin(self, job: Job, *, name: str) -> trio.CancelScope:
        """Run ``job`` in a task of its own; what is returned ends it early.

        Nothing is begun before the session is open, or once it is over.
        """
        scope = trio.CancelScope()
        self.begin_for_good(partial(_within, scope, job), name=name)
        return scope

    def begin_for_good(self, job: Job, *, name: str) -> None:
        """The same, for what need not be ended early: a scope costs as much as the task."""
        if self._nursery is not None:
            self._nursery.start_soon(job, name=name)


@attrs.define(eq=False, repr=False)
class Errand:
    """A job that is run while there is something to do, by one task at most.

    Whoever makes something to do calls ``begin``. The job itself looks for what there is to do,
    also while it runs, and ends when that is nothing: who asks for nothing costs no task.
    """

    errands: Errands
    job: Job
    name: str
    under_way: bool = attrs.field(default=False, init=False)

    def begin(self) -> None:
        """Have the job run, if it does not already; as ``Errands.begin``."""
        if self.errands.are_run and not self.under_way:
            self.under_way = True
            self.errands.begin_for_good(self._run, name=self.name)

    async def _run(self) -> None:
        try:
            await self.job()
        finally:
            self.under_way = False


async def _within(scope: trio.CancelScope, job: Job) -> None:
    with scope:
        await job()
