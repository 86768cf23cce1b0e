"""Audio on its way to a recogniser that may be slow: bounded, and the oldest is given up first."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs
import trio

BYTES_MAX: Final = 320_000
"""Ten seconds of audio (protocol.md 4.9)."""


@attrs.define(eq=False, repr=False)
class AudioQueue:
    """Implements ``engines.Audio``. ``put`` and ``pause`` never wait, ``next`` does."""

    _waiting: deque[bytes | None] = attrs.field(factory=deque, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)

    def put(self, samples: bytes) -> int:
        """Add a piece; the number of older ones that were given up for it."""
        self._add(samples)
        self._bytes += len(samples)
        given_up = 0
        while self._bytes > BYTES_MAX and len(self._waiting) > 1:
            oldest = self._waiting.popleft()
            if oldest is not None:
                self._bytes -= len(oldest)
                given_up += 1
        return given_up

    def pause(self) -> None:
        """The speaker has paused here. A pause after a pause is one."""
        if not self._waiting or self._waiting[-1] is not None:
            self._add(None)

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._bytes = 0

    async def next(self) -> bytes | None:
        """See ``engines.Audio``."""
        while not self._waiting:
            self._changed = trio.Event()
            await self._changed.wait()
        await trio.lowlevel.checkpoint()  # a recogniser that is behind still lets others run
        samples = self._waiting.popleft()
        self._bytes -= len(samples or b"")
        return samples

    def _add(self, samples: bytes | None) -> None:
        self._waiting.append(samples)
        self._changed.set()
