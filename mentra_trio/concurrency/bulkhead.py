"""The place where a crash stops."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import attrs


@attrs.frozen(eq=False, repr=False)
class contain:  # an object, and no generator: every session has one for as long as it lives
    """``with contain(report):`` stops a crash of the block here, and hands it over; nothing else.

    ``Cancelled`` and ``KeyboardInterrupt`` pass, also when they come in one group with a crash.
    A bulkhead never restarts anything, and it belongs at few doors: the root of a connection,
    of a user session, of an app session, and around one queued update of an app.

    ``report`` gets the single error where there was one, else the group.
    """

    report: Callable[[BaseException], None]

    def __enter__(self) -> None:
        """The block begins."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Whether all that the block raised was a crash. What was none is raised on."""
        if isinstance(error, BaseExceptionGroup):
            crashes, others = error.split(Exception)
            if crashes is not None:
                self.report(single(crashes))
            if crashes is not None and others is not None:
                raise others
            return others is None
        if not isinstance(error, Exception):
            return False
        self.report(error)
        return True


def single(error: BaseException) -> BaseException:
    """The only leaf of ``error`` if it is a group with one, else ``error`` itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
