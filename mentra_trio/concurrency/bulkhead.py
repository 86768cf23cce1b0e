"""The place where a crash stops."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Final


class contain:
    """Stop a crash of the block here, and hand it to ``report``; nothing else.

    ``Cancelled`` and ``KeyboardInterrupt`` pass, also when they come in one group with a crash.
    A bulkhead never restarts anything, and it belongs at few doors: the root of a connection,
    of a user session, of an app session, and around one queued update of an app.

    ``report`` gets the single error where there was one, else the group. A class and no
    generator: every connection has one for as long as it lives.
    """

    __slots__: Final = ("_report",)

    def __init__(self, report: Callable[[BaseException], None]) -> None:
        self._report = report

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None:
            return False
        if isinstance(error, Exception):
            self._report(single(error))
            return True
        if not isinstance(error, BaseExceptionGroup):
            return False
        crashes, others = error.split(Exception)
        if crashes is not None:
            self._report(single(crashes))
        if others is not None:
            raise others from None
        return True


def single(error: BaseException) -> BaseException:
    """The only leaf of ``error`` if it is a group with one, else ``error`` itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
