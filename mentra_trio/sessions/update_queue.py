"""Ordered updates of one app: one bounded channel, one worker, in arrival order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

import attrs
import outcome
import trio

from ..concurrency.bulkhead import contain
from ..concurrency.oneshot import OneShot
from ..domain.errors import SessionEnded, UpdatesOverflow

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class _Job(Generic[T]):
    operation: Callable[[], Awaitable[T]]
    result: OneShot[outcome.Maybe[T]] = attrs.field(factory=OneShot)


@attrs.define(eq=False, repr=False)
class UpdateQueue:
    """Applies operations strictly one after another, whatever each of them takes (seed 002).

    ``submit`` is for the link's reader and never blocks it; ``enqueue`` is for those who want
    the result. ``run`` is the only task in which an operation ever executes; cancelling it is
    the whole clean-up.
    """

    capacity: int
    report: Callable[[BaseException], None]
    _sender: trio.MemorySendChannel[_Job[object]] = attrs.field(init=False)
    _receiver: trio.MemoryReceiveChannel[_Job[object]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._sender, self._receiver = trio.open_memory_channel[_Job[object]](self.capacity)

    def submit(self, operation: Callable[[], Awaitable[T]]) -> OneShot[outcome.Maybe[T]]:
        """Have ``operation`` run after all that were submitted before it.

        Returns what can be awaited for its outcome, by those who want to know.

        Raises:
            UpdatesOverflow: ``capacity`` operations wait already.
            SessionEnded: the worker has ended.
        """
        job = _Job(operation)
        self._send(job)
        return job.result

    async def enqueue(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run ``operation`` in its turn and return its result, or raise its error.

        A caller that is cancelled while it waits leaves the operation where it is.

        Raises:
            UpdatesOverflow: ``capacity`` operations wait already.
            SessionEnded: the worker ended before the operation did.
        """
        return (await self.submit(operation).wait()).unwrap()

    def _send(self, job: _Job[T]) -> None:
        try:
            self._sender.send_nowait(job)  # type: ignore[arg-type]  # the channel holds any T
        except trio.WouldBlock:
            raise UpdatesOverflow(f"more than {self.capacity} updates wait") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise SessionEnded("the session has ended") from None

    def finish(self) -> None:
        """Take no more operations; ``run`` returns once those that wait are done."""
        self._sender.close()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled, or to the end after ``finish``.

        A failing operation is reported and does not block the next.
        """
        with self._receiver:
            task_status.started()
            try:
                async for job in self._receiver:
                    await self._work(job)
            finally:
                self._refuse_the_rest()

    async def _work(self, job: _Job[object]) -> None:
        try:
            with contain(partial(self._failed, job)):
                job.result.settle(outcome.Value(await job.operation()))
        finally:
            job.result.settle(outcome.Error(SessionEnded("the session has ended")))

    def _failed(self, job: _Job[object], error: BaseException) -> None:
        job.result.settle(outcome.Error(error))
        self.report(error)

    def _refuse_the_rest(self) -> None:
        while True:
            try:
                job = self._receiver.receive_nowait()
            except (trio.WouldBlock, trio.EndOfChannel):
                return
            job.result.settle(outcome.Error(SessionEnded("the session has ended")))
