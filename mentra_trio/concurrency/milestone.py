"""Something that happens once, and that any number of tasks may wait for."""

from __future__ import annotations

from functools import partial

import attrs
import trio
from trio.lowlevel import Abort, RaiseCancelT, Task


@attrs.define(eq=False)
class Milestone:
    """As ``trio.Event``, for objects of which there are many and for which few ever wait.

    Without anybody who waits it is no more than a flag: a sixth of the memory of an event.
    """

    _reached: bool = attrs.field(default=False, init=False)
    _waiting: list[Task] | None = attrs.field(default=None, init=False)

    def set(self) -> None:
        """It has happened: everybody who waits goes on. Idempotent."""
        self._reached = True
        waiting, self._waiting = self._waiting, None
        for task in waiting or ():
            trio.lowlevel.reschedule(task)

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._reached

    async def wait(self) -> None:
        """Until it has happened; a checkpoint in any case."""
        if self._reached:
            await trio.lowlevel.checkpoint()
            return
        task = trio.lowlevel.current_task()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(task)
        await trio.lowlevel.wait_task_rescheduled(partial(self._give_up, task))

    def _give_up(self, task: Task, _: RaiseCancelT) -> Abort:
        """``task`` is being cancelled, and does not wait any more."""
        if self._waiting is not None:
            self._waiting.remove(task)
            self._waiting = self._waiting or None
        return Abort.SUCCEEDED
