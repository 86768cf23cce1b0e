"""A result that is set once and may be awaited by any number of tasks: single flight."""

from __future__ import annotations

import enum
from typing import Final, Generic, Literal, TypeAlias, TypeVar

import attrs

from .milestone import Milestone

T = TypeVar("T")


class _Pending(enum.Enum):
    PENDING = enum.auto()


_PENDING: Final = _Pending.PENDING
_Value: TypeAlias = T | Literal[_Pending.PENDING]


@attrs.define(eq=False)
class OneShot(Generic[T]):
    """Settled once, awaited by many; everyone gets the same object. Safe to cancel a waiter."""

    _value: _Value[T] = attrs.field(default=_PENDING, init=False)
    _settled: Milestone = attrs.field(factory=Milestone, init=False)

    def settle(self, value: T) -> bool:
        """Record the result. ``False`` if there was one already: the first one wins."""
        if self._value is not _PENDING:
            return False
        self._value = value
        self._settled.set()
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
        await self._settled.wait()
        assert self._value is not _PENDING
        return self._value
