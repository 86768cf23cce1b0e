"""A value that can be awaited: "until it is one of these"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.define(eq=False)
class Watched(Generic[T]):
    """A value with one writer and any number of waiters.

    A waiter sees a value that held at some moment after it began to wait. Values that come and
    go within one turn of the scheduler may be missed; the latest one never is.
    """

    _value: T
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)

    @property
    def value(self) -> T:
        """The value now."""
        return self._value

    def set(self, value: T) -> None:
        """Change the value and wake the waiters; setting an equal value wakes nobody."""
        if value != self._value:
            self._value = value
            self._changed.set()
            self._changed = trio.Event()

    async def until(self, condition: Callable[[T], bool]) -> T:
        """The first value seen for which ``condition`` holds; at once if it holds now."""
        while not condition(self._value):
            await self._changed.wait()
        return self._value
