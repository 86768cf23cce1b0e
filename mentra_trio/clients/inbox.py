"""A bounded mailbox of what a peer has sent, from which tasks take what they wait for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import attrs
import trio

T = TypeVar("T")

INBOX_MAX = 10_000
"""Messages kept while nobody takes them; one more and the oldest is forgotten."""


@attrs.define(eq=False)
class Inbox(Generic[T]):
    """What has come and was not taken yet, oldest first.

    Taking one message by a condition leaves the others where they are, so tasks that wait for
    different things do not disturb each other. ``dropped`` counts what was forgotten because
    nobody took it.
    """

    capacity: int = attrs.field(default=INBOX_MAX, validator=attrs.validators.ge(1))
    dropped: int = attrs.field(default=0, init=False)
    _kept: deque[T] = attrs.field(factory=deque, init=False)
    _changed: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)
    _end: Callable[[], Exception] | None = attrs.field(default=None, init=False)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[T]:
        """What is kept now, oldest first; takes nothing."""
        return iter(tuple(self._kept))

    def put(self, item: T) -> None:
        """Keep ``item``; forget the oldest one if there are too many."""
        if len(self._kept) >= self.capacity:
            self._kept.popleft()
            self.dropped += 1
        self._kept.append(item)
        self._changed.unpark_all()

    def end(self, error: Callable[[], Exception]) -> None:
        """Nothing will come any more: whoever waits in vain gets a fresh ``error()``."""
        if self._end is None:
            self._end = error
            self._changed.unpark_all()

    async def take(self, wanted: Callable[[T], bool] | None = None) -> T:
        """The oldest message for which ``wanted`` holds, removed from the mailbox.

        Waits until one comes. Safe to cancel: a message is removed in the same turn in which it
        is returned.

        Raises:
            Exception: what ``end`` was given, if nothing kept is wanted and nothing can come.
        """
        await trio.lowlevel.checkpoint()
        while True:
            for position, item in enumerate(self._kept):
                if wanted is None or wanted(item):
                    del self._kept[position]
                    return item
            if self._end is not None:
                raise self._end()
            await self._changed.park()
