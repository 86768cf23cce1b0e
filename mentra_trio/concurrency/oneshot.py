"""A result that is set once and may be awaited by any number of tasks: single flight."""

from __future__ import annotations

import enum
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import attrs
import trio

T = TypeVar("T")


class _Pending(enum.Enum):
    PENDING = enum.auto()


_PENDING: Final = _Pending.PENDING
_Value: TypeAlias = T | Literal[_Pending.PENDING]


@attrs.define(eq=False)
class OneShot(Generic[T]):
    """Settled once, awaited by many; everyone gets the same object. Safe to cancel a waiter."""

    _value: _Value[T] = attrs.field(default=_PENDING, init=False)
    _awaited: trio.Event | None = attrs.field(default=None, init=False)
    """Made for the first who waits: most results are there before anybody asks."""

    def settle(self, value: T) -> bool:
        """Record the result. ``False`` if there was one already: the first one wins."""
        if self._value is not _PENDING:
            return False
        self._value = value
        if self._awaited is not None:
            self._awaited.set()
        return True

    @property
    def settled(self) -> bool:
        """Whether there is a result."""
        return self._value is not _PENDING

    def peek(self) -> T | None:
        """The result, or ``None`` while there is none."""
        return None if self._value is _PENDING else self._value

    async def wait(self) -> T:
        """The result, as soon as there is one."""
        if self.settled:
            await trio.lowlevel.checkpoint()
        else:
            if self._awaited is None:
                self._awaited = trio.Event()
            await self._awaited.wait()
        assert self._value is not _PENDING
        return self._value
