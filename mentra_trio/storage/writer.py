"""The ways to run work on a database from Trio: in threads, or in place."""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

import attrs
import outcome
import trio

from .database import Database, Job, open_database, open_for_reading

BATCH_MAX: Final = 1_000
"""Jobs that share one commit, at most."""


class Runner(Protocol):
    """Runs jobs; each is on disk, and seen by all later ones, when its call returns."""

    async def run(self, job: Job) -> Any:
        """The result of ``job``. Once begun it is not cancelled: the caller learns the truth."""
        ...


@attrs.define(eq=False)
class InlineRunner:
    """Runs every job at once, in the event loop: for virtual time and for short commands."""

    _database: Database

    async def run(self, job: Job) -> Any:
        """See ``Runner``."""
        await trio.lowlevel.checkpoint()
        return self._database.run([job])[0].unwrap()


@asynccontextmanager
async def inline_runner(path: Path) -> AsyncGenerator[InlineRunner, None]:
    """A runner without a thread.

    Raises:
        StoreFailed: as ``open_database``.
    """
    database = open_database(path)
    try:
        yield InlineRunner(database)
    finally:
        database.close()


@attrs.define(eq=False)
class _Waiting:
    """A job in the queue and the task that sleeps until it is done."""

    job: Job
    task: trio.lowlevel.Task
    result: outcome.Maybe[Any] | None = None


_Queue: TypeAlias = "queue.SimpleQueue[_Waiting | None]"


@attrs.define(eq=False)
class ThreadRunner:
    """Hands jobs to two threads, one for those that write and one for those that only read.

    So nobody who reads waits for a lock that another process holds. Writes that queued up during
    a commit share the next one. Each queue is bounded by the number of tasks, since each waits
    for its own job. Brief jobs are done in the event loop, ``here``, unless that fails at once:
    then a thread finds out why, and waits for a lock if that is the reason.
    """

    _writes: _Queue
    _reads: _Queue
    _here: Database

    async def run(self, job: Job) -> Any:
        """See ``Runner``."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if job.brief:
            result = self._here.run([job])[0]
            if isinstance(result, outcome.Value):
                await trio.lowlevel.cancel_shielded_checkpoint()
                return result.value
        waiting = _Waiting(job, trio.lowlevel.current_task())
        (self._writes if job.writes else self._reads).put(waiting)
        await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
        assert waiting.result is not None
        return waiting.result.unwrap()


@asynccontextmanager
async def thread_runner(path: Path) -> AsyncGenerator[ThreadRunner, None]:
    """A runner with threads of its own; each has the file open for itself, and so have we.

    Raises:
        StoreFailed: as ``open_database``.
    """
    async with (
        _thread("storage writer", partial(open_database, path)) as writes,
        _thread("storage reader", partial(open_for_reading, path)) as reads,
    ):
        with closing(open_for_reading(path, busy_s=0.0)) as here:
            yield ThreadRunner(writes, reads, here)


@asynccontextmanager
async def _thread(name: str, opener: Callable[[], Database]) -> AsyncGenerator[_Queue, None]:
    """The queue of a thread that works on what ``opener`` opens; all of it is done at the end."""
    jobs: _Queue = queue.SimpleQueue()
    opened: list[outcome.Maybe[None]] = []
    ready = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def report(result: outcome.Maybe[None]) -> None:
        opened.append(result)
        token.run_sync_soon(ready.set)

    thread = threading.Thread(
        target=_own_database, args=(opener, jobs, report, token), name=name, daemon=True
    )
    thread.start()
    try:
        # Opening cannot be interrupted, and is bounded by the wait for another writer.
        with trio.CancelScope(shield=True):
            await ready.wait()
        opened[0].unwrap()
        yield jobs
    finally:
        jobs.put(None)
        with trio.CancelScope(shield=True):
            # A limiter of its own: Trio's may be used up by threads that hang.
            await trio.to_thread.run_sync(thread.join, limiter=trio.CapacityLimiter(1))


def _own_database(
    opener: Callable[[], Database], jobs: _Queue, report: Any, token: trio.lowlevel.TrioToken
) -> None:
    opened = outcome.capture(opener)
    if isinstance(opened, outcome.Error):
        report(opened)
        return
    database = opened.unwrap()
    report(outcome.Value(None))
    try:
        while batch := _next_batch(jobs):
            for waiting, result in zip(
                batch, database.run([one.job for one in batch]), strict=True
            ):
                waiting.result = result
            token.run_sync_soon(_wake, batch)
    finally:
        database.close()


def _next_batch(jobs: _Queue) -> list[_Waiting]:
    """What waits now, at least one; nothing when the runner is closed."""
    batch: list[_Waiting] = []
    one = jobs.get()
    while one is not None:
        batch.append(one)
        if len(batch) == BATCH_MAX or jobs.empty():
            return batch
        one = jobs.get()
    if batch:
        jobs.put(None)  # closed behind these
    return batch


def _wake(batch: list[_Waiting]) -> None:
    for waiting in batch:
        trio.lowlevel.reschedule(waiting.task)
