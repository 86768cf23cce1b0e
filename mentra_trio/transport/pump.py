"""One task that reads for all links on plain sockets, as long as there is much to be read.

A task that waits for its socket costs, for every message, a turn of Trio's event loop and two
calls to the kernel. Here all sockets stand in one epoll of our own, which Trio watches as a
whole. While messages come in quick succession the task does not go back to Trio in between: for
two milliseconds at a time, and not when some other task has something to do. See decision 0033.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Final, TypeVar

import attrs
import outcome
import trio
from trio.lowlevel import (
    Abort,
    Task,
    current_statistics,
    current_task,
    reschedule,
    wait_readable,
    wait_task_rescheduled,
)

T = TypeVar("T")

STRETCH_S: Final = 0.002
"""So long at most other tasks wait for this one. What comes at shorter intervals than that, on
average, comes in quick succession."""
GAP_MAX_S: Final = 0.02
"""A longer pause counts as one of this length, so that what comes after it is soon noticed."""
SMOOTHING: Final = 0.25
"""The weight of the latest interval in the average."""
EVENTS_AT_ONCE: Final = 256


def pump_for(driver: str, *, real_time: bool) -> Pump | None:
    """A pump where ``driver`` asks for one; ``None``: every task waits for its own socket.

    In virtual time there is none: a task that waits in the kernel would stop the clock.
    """
    wanted = driver != "trio" and real_time
    return Pump() if wanted and hasattr(select, "epoll") else None


@attrs.define(eq=False)
class _Watch:
    """A task that sleeps until ``call`` has something to say to it."""

    task: Task
    call: Callable[[float], object]
    error: BaseException | None = None
    """What ``call`` raised after it had the task woken."""


@attrs.define(eq=False)
class Pump(trio.abc.Instrument):
    """Calls whoever watches a socket as soon as there is something to be read from it.

    ``run`` must be running. It is an instrument of its own run, which tells it that another task
    has something to do.
    """

    _epoll: select.epoll = attrs.field(factory=lambda: select.epoll(), init=False)
    _watches: dict[int, _Watch] = attrs.field(factory=dict, init=False)
    _others_wait: bool = attrs.field(default=False, init=False)
    _last: float = attrs.field(default=0.0, init=False)
    """When something came last; Trio time."""
    _gap: float = attrs.field(default=GAP_MAX_S, init=False)
    """The average interval between two times at which something came, in seconds."""

    async def watch(self, fd: int, call: Callable[[float], T | None]) -> T:
        """Call ``call`` each time that ``fd`` is readable, until it returns a result.

        It gets the Trio time of that.

        Nothing else may run between the calls but other calls, so each must be quick. Safe to
        cancel. ``fd`` must stay open.

        Raises:
            Exception: what ``call`` raises.
        """
        watch = self._watches[fd] = _Watch(current_task(), call)
        self._epoll.register(fd, select.EPOLLIN)

        def abort(_: object) -> Abort:
            self._forget(fd)
            return Abort.SUCCEEDED

        try:
            result: T = await wait_task_rescheduled(abort)
        finally:
            if watch.error is not None:
                raise watch.error
        return result

    async def run(self) -> None:
        """Read, until cancelled."""
        trio.lowlevel.add_instrument(self)
        try:
            while True:
                await wait_readable(self._epoll.fileno())
                self._stretch()
        finally:
            trio.lowlevel.remove_instrument(self)
            self._epoll.close()

    def task_scheduled(self, task: Task) -> None:
        """See ``trio.abc.Instrument``."""
        self._others_wait = True

    def _stretch(self) -> None:
        """Have everything acted on that comes in quick succession."""
        end, self._others_wait = self._came(), False
        if self._gap < STRETCH_S:
            end += min(STRETCH_S, current_statistics().seconds_to_next_deadline)
        events = self._epoll.poll(0, EVENTS_AT_ONCE)
        while events:
            for fd, _ in events:
                self._act(fd)
            left = end - trio.current_time()
            if left <= 0 or self._others_wait:
                return
            events = self._epoll.poll(left, EVENTS_AT_ONCE)
            self._came()

    def _came(self) -> float:
        """Take note that something came now; the time."""
        now = trio.current_time()
        self._gap += (min(now - self._last, GAP_MAX_S) - self._gap) * SMOOTHING
        self._last = now
        return now

    def _act(self, fd: int) -> None:
        watch = self._watches.get(fd)
        if watch is None:
            return  # forgotten in this very turn
        result = outcome.capture(watch.call, self._last)
        if isinstance(result, outcome.Value) and result.value is None:
            return
        if self._watches.get(fd) is watch:
            self._forget(fd)
            reschedule(watch.task, result)
        elif isinstance(result, outcome.Error):
            watch.error = result.error

    def _forget(self, fd: int) -> None:
        del self._watches[fd]
        self._epoll.unregister(fd)
