"""The bounded queue of bytes for one link: many put, one writer takes."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs
import trio

from ..concurrency.oneshot import OneShot

BATCH_BYTES: Final = 65_536
"""What the writer hands to the stream at once, unless a single frame is larger."""


@attrs.define(eq=False)
class Outbox:
    """Whole frames that wait to be sent, bounded in bytes and in number.

    What the writer has taken but not yet sent still counts. After ``finish`` nothing more is
    accepted, and the writer stops when the rest is sent.
    """

    bytes_max: int
    frames_max: int
    unsent_bytes: int = attrs.field(default=0, init=False)
    _unsent_frames: int = attrs.field(default=0, init=False)
    _frames: deque[bytes] = attrs.field(factory=deque, init=False)
    _taken: tuple[int, int] = attrs.field(default=(0, 0), init=False)
    _finished: bool = attrs.field(default=False, init=False)
    _wake: trio.Event = attrs.field(factory=trio.Event, init=False)
    _all_sent: OneShot[bool] = attrs.field(factory=OneShot, init=False)

    @property
    def finished(self) -> bool:
        """Whether no more frames are accepted."""
        return self._finished

    def has_room(self, size: int) -> bool:
        """Whether a frame of ``size`` bytes would stay within the bounds."""
        return self.unsent_bytes + size <= self.bytes_max and self._unsent_frames < self.frames_max

    def put(self, frame: bytes) -> bool:
        """Queue ``frame``; ``False`` if there is no room or the outbox is finished."""
        if self._finished or not self.has_room(len(frame)):
            return False
        self._append(frame)
        return True

    def finish(self, last: bytes | None = None) -> None:
        """Accept nothing more; ``last`` is sent after everything else, whatever its size.

        Only the first call counts.
        """
        if self._finished:
            return
        if last is not None:
            self._append(last)
        self._finished = True
        self._wake.set()

    def discard(self) -> None:
        """Forget what the writer has not taken yet."""
        self._frames.clear()
        self._unsent_frames, self.unsent_bytes = self._taken

    async def take(self) -> bytes | None:
        """The next frames, joined, as soon as there are any; ``None`` after the last.

        For the one writer only: the call says that everything taken before has been sent.
        """
        self._unsent_frames -= self._taken[0]
        self.unsent_bytes -= self._taken[1]
        self._taken = (0, 0)
        while not self._frames:
            if self._finished:
                self._all_sent.settle(True)
                return None
            self._wake = trio.Event()
            await self._wake.wait()
        return self._join()

    def no_more_sending(self) -> None:
        """The writer is over: nothing that still waits will ever be sent."""
        self._finished = True
        self._all_sent.settle(False)

    async def until_over(self) -> bool:
        """Wait until the writer is over; whether everything was sent."""
        return await self._all_sent.wait()

    def _append(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._unsent_frames += 1
        self.unsent_bytes += len(frame)
        self._wake.set()

    def _join(self) -> bytes:
        batch = [self._frames.popleft()]
        size = len(batch[0])
        while self._frames and size + len(self._frames[0]) <= BATCH_BYTES:
            frame = self._frames.popleft()
            batch.append(frame)
            size += len(frame)
        self._taken = (len(batch), size)
        return batch[0] if len(batch) == 1 else b"".join(batch)
