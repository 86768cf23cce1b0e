"""The moment from which nothing new begins, and the end of waiting for something new."""

from __future__ import annotations

from collections.abc import Awaitable
from types import TracebackType

import attrs
import trio


@attrs.define(eq=False)
class Closing:
    """An event that also ends the waits of those who have nothing under way.

    Waiting for the event beside something else would take a nursery with two tasks for every
    connection that is idle; so it is the event that reaches them.
    """

    event: trio.Event = attrs.field(factory=trio.Event, init=False)
    _idle: set[trio.CancelScope] = attrs.field(factory=set, init=False)

    def set(self) -> None:
        """It is closing: every ``idle`` block that is running ends. For ever."""
        self.event.set()
        for scope in self._idle:
            scope.cancel("closing")

    def is_set(self) -> bool:
        """Whether it is closing."""
        return self.event.is_set()

    def wait(self) -> Awaitable[None]:
        """What to await until it is closing; at once if it is."""
        return self.event.wait()

    def idle(self, seconds: float) -> Idle:
        """A block that is cancelled when it is closing, and after ``seconds``.

        What has happened in the block by then has happened: one that was over in the same turn
        of the event loop runs to its end.
        """
        return Idle(self, trio.move_on_after(seconds))

    def admit(self, scope: trio.CancelScope) -> None:
        """``scope`` is about to be idle."""
        if self.event.is_set():
            scope.cancel("closing")
        self._idle.add(scope)

    def dismiss(self, scope: trio.CancelScope) -> None:
        """It is not any more."""
        self._idle.remove(scope)


@attrs.define(eq=False)
class Idle:
    """Made by ``Closing.idle``."""

    _closing: Closing
    _scope: trio.CancelScope

    def __enter__(self) -> None:
        self._closing.admit(self._scope)
        self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._closing.dismiss(self._scope)
        return self._scope.__exit__(kind, error, traceback)
