"""Ordered updates of one app: one bounded channel, one worker, in arrival order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Generic, TypeVar

import attrs
import outcome
import trio

from ..concurrency.bulkhead import contain
from ..concurrency.milestone import Milestone
from ..concurrency.oneshot import OneShot
from ..domain.errors import SessionEnded, UpdatesOverflow

T = TypeVar("T")


@attrs.define(eq=False, repr=False)
class _Job(Generic[T]):
    operation: Callable[[], Awaitable[T]]
    result: OneShot[outcome.Maybe[T]] = attrs.field(factory=OneShot)


@attrs.define(eq=False, repr=False)
class _Work:
    """What there is while there is something to do: what waits, and the worker's scope."""

    scope: trio.CancelScope | None
    """Only of a worker that outlives its nursery: the others end with that."""
    sender: trio.MemorySendChannel[_Job[object]] | None = attrs.field(default=None, init=False)
    receiver: trio.MemoryReceiveChannel[_Job[object]] | None = attrs.field(default=None, init=False)
    """The channel is made for the first that has to wait: mostly none has to."""
    over: Milestone = attrs.field(factory=Milestone, init=False)

    def put(self, job: _Job[object], capacity: int) -> None:
        """Have ``job`` wait; raises ``trio.WouldBlock`` if ``capacity`` others do."""
        if self.sender is None:
            self.sender, self.receiver = trio.open_memory_channel[_Job[object]](capacity)
        self.sender.send_nowait(job)

    def next(self) -> _Job[object] | None:
        """The job that has waited longest; ``None`` if none waits."""
        try:
            return self.receiver.receive_nowait() if self.receiver is not None else None
        except trio.WouldBlock:
            return None


@attrs.define(eq=False, repr=False)
class UpdateQueue:
    """Applies operations strictly one after another, whatever each of them takes (seed 002).

    ``submit`` is for the link's reader and never blocks it; ``enqueue`` is for those who want
    the result. An operation only ever runs in the one worker, a task of the nursery that
    ``open`` was given; cancelling that is the whole clean-up. The worker and its channel are
    there while there is something to do: who has nothing to update costs no task.

    ``outlives`` is whether the worker goes on when its nursery is cancelled, until ``finish``.
    """

    capacity: int
    report: Callable[[BaseException], None]
    outlives: bool = False
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _work: _Work | None = attrs.field(default=None, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    def open(self, nursery: trio.Nursery) -> None:
        """Let operations run in ``nursery`` from now on, those that wait first."""
        self._nursery = nursery
        if self._work is not None:
            nursery.start_soon(self._run, self._work, None, name="updates")

    def submit(self, operation: Callable[[], Awaitable[T]]) -> OneShot[outcome.Maybe[T]]:
        """Have ``operation`` run after all that were submitted before it.

        Returns what can be awaited for its outcome, by those who want to know.

        Raises:
            UpdatesOverflow: ``capacity`` operations wait already.
            SessionEnded: the queue was closed, or its worker cancelled.
        """
        job = _Job(operation)
        self._send(job)  # type: ignore[arg-type]  # the channel holds any T
        return job.result

    async def enqueue(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Run ``operation`` in its turn and return its result, or raise its error.

        A caller that is cancelled while it waits leaves the operation where it is.

        Raises:
            UpdatesOverflow: ``capacity`` operations wait already.
            SessionEnded: the worker ended before the operation did.
        """
        return (await self.submit(operation).wait()).unwrap()

    def _send(self, job: _Job[object]) -> None:
        if self._ended:
            raise SessionEnded("the session has ended")
        if self._work is None:
            self._work = _Work(trio.CancelScope(shield=True) if self.outlives else None)
            if self._nursery is not None:  # the first one does not wait: it is at work at once
                self._nursery.start_soon(self._run, self._work, job, name="updates")
                return
        try:
            self._work.put(job, self.capacity)
        except trio.WouldBlock:
            raise UpdatesOverflow(f"more than {self.capacity} updates wait") from None

    def close(self) -> None:
        """Take no more operations; those that wait are still done, while the nursery lives."""
        self._ended = True

    async def finish(self, within: float) -> None:
        """Take no more operations, and return when those that wait are done.

        After ``within`` seconds what is not done is given up, if the worker ``outlives`` its
        nursery. Waits for the worker in any case: the next one shall not begin beside it.
        """
        self._ended = True
        if self._work is not None:
            if self._work.scope is not None:
                self._work.scope.deadline = trio.current_time() + within
            await self._work.over.wait()

    async def _run(self, work: _Work, job: _Job[object] | None) -> None:
        """Work until nothing waits any more. A failing operation does not block the next."""
        done = False
        try:
            with work.scope or nullcontext():
                while job is not None or (job := work.next()) is not None:
                    await self._apply(job)
                    job = None
                done = True
        finally:
            self._ended = self._ended or not done
            self._work = None
            _refuse(job, work)
            work.over.set()

    async def _apply(self, job: _Job[object]) -> None:
        try:
            with contain(partial(self._failed, job)):
                job.result.settle(outcome.Value(await job.operation()))
        finally:
            job.result.settle(outcome.Error(SessionEnded("the session has ended")))

    def _failed(self, job: _Job[object], error: BaseException) -> None:
        job.result.settle(outcome.Error(error))
        self.report(error)


def _refuse(job: _Job[object] | None, work: _Work) -> None:
    """Tell those whose operations will not be done; nobody, if all are."""
    while job is not None or (job := work.next()) is not None:
        job.result.settle(outcome.Error(SessionEnded("the session has ended")))
        job = None
