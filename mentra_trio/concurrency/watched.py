"""A value that others can wait for to be as they need it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.define(eq=False)
class Watched(Generic[T]):
    """Holds ``value``; whoever waits looks at it again whenever it has changed."""

    value: T
    _changed: trio.Event | None = attrs.field(default=None, init=False)
    """There while somebody waits."""

    def set(self, value: T) -> None:
        """Change the value; does nothing if it is the same."""
        if value == self.value:
            return
        self.value = value
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def until(self, holds: Callable[[T], bool]) -> T:
        """The value, as soon as ``holds`` is true of it; at once if it is now.

        A value that is there for less than a turn of the event loop may be missed.
        """
        while not holds(self.value):
            if self._changed is None:
                self._changed = trio.Event()
            await self._changed.wait()
        return self.value
