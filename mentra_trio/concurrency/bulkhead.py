"""The place where a crash stops."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def contain(report: Callable[[BaseException], None]) -> Iterator[None]:
    """Stop a crash of the block here, and hand it to ``report``; nothing else.

    ``Cancelled`` and ``KeyboardInterrupt`` pass, also when they come in one group with a crash.
    A bulkhead never restarts anything, and it belongs at few doors: the root of a connection,
    of a user session, of an app session, and around one queued update of an app.

    ``report`` gets the single error where there was one, else the group.
    """
    try:
        yield
    except* Exception as failures:  # noqa: BLE001  the one place where crashes are stopped
        report(single(failures))


def single(error: BaseException) -> BaseException:
    """The only leaf of ``error`` if it is a group with one, else ``error`` itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
