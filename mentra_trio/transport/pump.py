"""One task that reads for all links on plain sockets, as long as there is much to be read.

A task that waits for its socket costs, for every message, a turn of Trio's event loop and two
calls to the kernel. Here all sockets stand in one epoll of our own, which Trio watches as a
whole. While messages come in quick succession the task does not go back to Trio in between: for
three milliseconds at a time, and not when some other task has something to do. See decision 0033.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Any, Final, TypeVar

import attrs
import outcome
import trio
from trio.lowlevel import (
    Abort,
    Task,
    current_task,
    reschedule,
    wait_readable,
    wait_task_rescheduled,
)

T = TypeVar("T")

STRETCH_S: Final = 0.003
"""So long at most other tasks wait for this one, and the last call that it makes. What comes at
shorter intervals than that, on average, comes in quick succession."""
GAP_MAX_S: Final = 0.02
"""A longer pause counts as one of this length, so that what comes after it is soon noticed."""
SMOOTHING: Final = 0.25
"""The weight of the latest interval in the average."""
TICK_S: Final = 0.001
"""The kernel waits for whole milliseconds."""
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
    cancelled: Callable[[], Any] | None = None
    """Raises what the task is to be told once ``call``, which had it cancelled, has returned."""


@attrs.define(eq=False)
class Pump(trio.abc.Instrument):
    """Calls whoever watches a socket as soon as there is something to be read from it.

    ``run`` must be running. It is an instrument of its own run, which tells it that another task
    has something to do, and when one will have.
    """

    _epoll: select.epoll = attrs.field(factory=lambda: select.epoll(), init=False)
    _watches: dict[int, _Watch] = attrs.field(factory=dict, init=False)
    _due: list[tuple[int, int]] = attrs.field(factory=list, init=False)
    """What is readable and not yet acted on, in reverse; the socket may be gone meanwhile."""
    _acting: _Watch | None = attrs.field(default=None, init=False)
    """Whose call is under way."""
    _reader: Task | None = attrs.field(default=None, init=False)
    """The task in which ``run`` runs."""
    _others_wait: bool = attrs.field(default=False, init=False)
    """Whether a task may have its turn as soon as this one has ended its own."""
    _deadline: float = attrs.field(default=0.0, init=False)
    """When the next one may have something to do, as far as is known; Trio time."""
    _last: float = attrs.field(default=0.0, init=False)
    """When something came last; Trio time."""
    _gap: float = attrs.field(default=GAP_MAX_S, init=False)
    """The average interval between two times at which something came, in seconds."""

    async def watch(self, fd: int, call: Callable[[float], T | None]) -> T:
        """Call ``call`` each time that ``fd`` is readable, until it returns a result.

        It gets the Trio time of that.

        Nothing else may run between the calls but other calls, so each must be quick. Safe to
        cancel: a result, once there, is not lost. ``fd`` must stay open.

        Raises:
            BusyResourceError: another task watches ``fd``.
            ClosedResourceError: ``run`` has ended, or ends meanwhile.
            Exception: what ``call`` raises.
        """
        if fd in self._watches:
            raise trio.BusyResourceError("another task is currently watching this socket")
        if self._epoll.closed:
            raise trio.ClosedResourceError("nobody reads any more")
        self._epoll.register(fd, select.EPOLLIN)
        watch = self._watches[fd] = _Watch(current_task(), call)

        def abort(raise_cancel: Callable[[], Any]) -> Abort:
            if self._acting is watch:
                watch.cancelled = raise_cancel
                return Abort.FAILED
            self._forget(fd)
            return Abort.SUCCEEDED

        result: T = await wait_task_rescheduled(abort)
        return result

    async def run(self) -> None:
        """Read, until cancelled."""
        self._reader = current_task()
        trio.lowlevel.add_instrument(self)
        try:
            while True:
                await wait_readable(self._epoll.fileno())
                self._stretch()
        finally:
            trio.lowlevel.remove_instrument(self)
            self._end()

    def before_io_wait(self, timeout: float) -> None:
        """See ``trio.abc.Instrument``."""
        self._others_wait = timeout <= 0
        self._deadline = trio.current_time() + timeout

    def task_scheduled(self, task: Task) -> None:
        """See ``trio.abc.Instrument``."""
        if task is not self._reader:
            self._others_wait = True

    def _stretch(self) -> None:
        """Have everything acted on that comes in quick succession."""
        end = trio.current_time() + STRETCH_S
        linger_until = min(end, self._deadline)
        wait = 0.0
        while self._due or self._poll(wait):
            self._act_until(end)
            wait = linger_until - trio.current_time()
            if self._due or self._others_wait or wait < TICK_S or self._gap >= STRETCH_S:
                return

    def _poll(self, wait: float) -> bool:
        """Wait so many seconds for something to come, rounded down; whether it did."""
        self._due = self._epoll.poll(wait // TICK_S * TICK_S, EVENTS_AT_ONCE)[::-1]
        if not self._due:
            return False
        now = trio.current_time()
        self._gap += (min(now - self._last, GAP_MAX_S) - self._gap) * SMOOTHING
        self._last = now
        return True

    def _act_until(self, end: float) -> None:
        """Have what is due acted on, until that time."""
        while self._due:
            fd, _ = self._due.pop()
            self._act(fd)
            if self._due and trio.current_time() >= end:
                return

    def _act(self, fd: int) -> None:
        watch = self._watches.get(fd)
        if watch is None:
            return  # forgotten since it was found to be readable
        self._acting = watch
        result = outcome.capture(watch.call, self._last)
        self._acting = None
        if isinstance(result, outcome.Value) and result.value is None:
            if watch.cancelled is None:
                return
            result = outcome.capture(watch.cancelled)
        self._forget(fd)
        reschedule(watch.task, result)

    def _forget(self, fd: int) -> None:
        del self._watches[fd]
        self._epoll.unregister(fd)

    def _end(self) -> None:
        """Tell whoever still watches that nobody reads any more."""
        self._epoll.close()
        watches, self._watches = self._watches, {}
        for watch in watches.values():
            error = trio.ClosedResourceError("nobody reads any more")
            reschedule(watch.task, outcome.Error(error))
