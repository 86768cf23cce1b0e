"""What was seen at one place, in order, and awaitable."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs
import trio

Record = dict[str, Any]
T = TypeVar("T")
PROBE_S = 0.05


@attrs.define(eq=False)
class Timeline:
    """Records in the order of their arrival.

    Queries name the fields that must match: a value must be equal, a function must return true.
    """

    records: list[Record] = attrs.field(factory=list)
    _grown: trio.Event = attrs.field(factory=trio.Event, init=False)

    def add(self, record: Record) -> None:
        """Append a record and wake whoever waits for one."""
        self.records.append(record)
        self._grown.set()
        self._grown = trio.Event()

    def all(self, *, since: int = 0, **fields: Any) -> list[Record]:
        """The matching records from position ``since`` on."""
        return [record for record in self.records[since:] if matches(record, fields)]

    def count(self, *, since: int = 0, **fields: Any) -> int:
        """How many records match."""
        return len(self.all(since=since, **fields))

    async def first(
        self, *, since: int = 0, within_s: float = 5.0, number: int = 1, **fields: Any
    ) -> Record:
        """The ``number``-th matching record; it must come within ``within_s`` seconds."""
        with trio.move_on_after(within_s):
            while len(found := self.all(since=since, **fields)) < number:
                await self._grown.wait()
            return found[number - 1]
        raise AssertionError(f"nothing like {fields} within {within_s} s; seen: {self.summary()}")

    def summary(self) -> str:
        """The last records, shortened, for a failing test."""
        return "\n  ".join(["", *(str(record)[:160] for record in self.records[-15:])])


async def eventually(
    probe: Callable[[], Awaitable[T]], condition: Callable[[T], object], *, within_s: float = 5.0
) -> T:
    """Ask again and again until the answer is as wanted, for what cannot be awaited."""
    seen: list[T] = []
    with trio.move_on_after(within_s):
        while True:
            seen.append(await probe())
            if condition(seen[-1]):
                return seen[-1]
            await trio.sleep(PROBE_S)
    raise AssertionError(f"not within {within_s} s; last seen: {seen[-1:]}")


def matches(record: Record, fields: dict[str, Any]) -> bool:
    """Whether every field of ``fields`` holds of ``record``."""
    return all(holds(value, record.get(name)) for name, value in fields.items())


def holds(wanted: Any | Callable[[Any], bool], seen: Any) -> bool:
    """Whether one field is as wanted."""
    return bool(wanted(seen)) if callable(wanted) else bool(wanted == seen)
