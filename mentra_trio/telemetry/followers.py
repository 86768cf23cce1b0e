"""Those who follow the journal as it is written: each sees what came since it began."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import attrs
import trio

from ..domain.ids import UserId

WAITING_MAX: Final = 1_000
"""Facts that wait for one follower; the oldest is dropped for one more."""


@attrs.define(eq=False)
class Follower:
    """Somebody who wants to see facts as they come: of ``user``, or of everybody."""

    user: UserId | None
    _waiting: deque[dict[str, Any]] = attrs.field(factory=deque, init=False)
    _missed: int = attrs.field(default=0, init=False)
    _came: trio.Event = attrs.field(factory=trio.Event, init=False)

    def put(self, entry: dict[str, Any]) -> None:
        """Have ``entry`` wait for it; never blocks."""
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(entry)
        self._came.set()

    async def next(self) -> list[dict[str, Any]]:
        """What has come since the last call, at least one entry.

        Begins with ``{"missed": n}`` where some were dropped, because they came too fast.
        """
        while not self._waiting:
            self._came = trio.Event()
            await self._came.wait()
        entries = list(self._waiting)
        self._waiting.clear()
        missed, self._missed = self._missed, 0
        return [{"missed": missed}, *entries] if missed else entries
