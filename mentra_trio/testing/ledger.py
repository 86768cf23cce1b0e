"""What a test has opened and what has crashed: the books that are balanced when it ends."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Final

import attrs

from ..domain.facts import Crashed


@attrs.define(eq=False)
class Ledger:
    """Everything that must be in order when a test ends.

    Links, streams and telemetry of this package enter themselves in the ledger that is current
    where they are made.
    """

    _ends: list[tuple[str, Callable[[], bool]]] = attrs.field(factory=list, init=False)
    _crashes: list[Callable[[], list[Crashed]]] = attrs.field(factory=list, init=False)

    def watch_link(self, name: str, is_open: Callable[[], bool]) -> None:
        """``is_open`` must be false when the test ends; ``name`` is for people."""
        self._ends.append((name, is_open))

    def watch_crashes(self, crashes: Callable[[], list[Crashed]]) -> None:
        """``crashes()`` must be empty when the test ends."""
        self._crashes.append(crashes)

    def open_links(self) -> list[str]:
        """Names of the links that are open now."""
        return [name for name, is_open in self._ends if is_open()]

    def crashes(self) -> list[Crashed]:
        """Crashes that were stopped at a bulkhead and that nobody has declared expected."""
        return [crash for source in self._crashes for crash in source()]


_current: Final[ContextVar[Ledger | None]] = ContextVar("ledger", default=None)


def current_ledger() -> Ledger | None:
    """The ledger of the running test, if it keeps one."""
    return _current.get()


def keep_ledger() -> Ledger:
    """Begin a new ledger for the rest of this context."""
    ledger = Ledger()
    _current.set(ledger)
    return ledger
