"""Something that happens once, and that any number of tasks may wait for."""

from __future__ import annotations

import attrs
import trio


@attrs.define(eq=False)
class Milestone:
    """As ``trio.Event``, for objects of which there are many and for which few ever wait.

    Until somebody waits it is no more than a flag: a fifth of the memory of an event.
    """

    _reached: bool = attrs.field(default=False, init=False)
    _awaited: trio.Event | None = attrs.field(default=None, init=False)
    """There while somebody waits."""

    def set(self) -> None:
        """It has happened: everybody who waits goes on. Idempotent."""
        self._reached = True
        if self._awaited is not None:
            self._awaited.set()
            self._awaited = None

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._reached

    async def wait(self) -> None:
        """Until it has happened; a checkpoint in any case."""
        if self._reached:
            await trio.lowlevel.checkpoint()
            return
        if self._awaited is None:
            self._awaited = trio.Event()
        awaited = self._awaited
        try:
            await awaited.wait()
        finally:
            if not awaited.statistics().tasks_waiting:
                self._awaited = None
