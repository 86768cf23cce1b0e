"""A result that is set once and may be awaited by any number of tasks: single flight."""

from __future__ import annotations

from typing import Generic, TypeVar

import attrs
import trio

T = TypeVar("T")


@attrs.define(eq=False)
class OneShot(Generic[T]):
    """Settled once, awaited by many; everyone gets the same object. Safe to cancel a waiter."""

    _set: trio.Event = attrs.field(factory=trio.Event, init=False)
    _value: list[T] = attrs.field(factory=list, init=False)

    def settle(self, value: T) -> bool:
        """Record the result. ``False`` if there was one already: the first one wins."""
        if self._value:
            return False
        self._value.append(value)
        self._set.set()
        return True

    @property
    def settled(self) -> bool:
        """Whether there is a result."""
        return bool(self._value)

    def peek(self) -> T | None:
        """The result, or ``None`` while there is none."""
        return self._value[0] if self._value else None

    async def wait(self) -> T:
        """The result, as soon as there is one."""
        await self._set.wait()
        return self._value[0]
