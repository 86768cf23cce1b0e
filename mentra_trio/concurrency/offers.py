"""A place where resources are offered to one borrower; the newest offer wins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from .loan import Loan
from .milestone import Milestone

R = TypeVar("R")
W = TypeVar("W")


@attrs.define(eq=False)
class Offers(Generic[R, W]):
    """At most one offer waits; one that a newer one displaces is given back as ``replaced``."""

    replaced: W
    told: Callable[[], None] | None = attrs.field(default=None, init=False)
    """Called when something is offered; for a borrower that does something else meanwhile."""
    _waiting: Loan[R, W] | None = attrs.field(default=None, init=False)
    _came: Milestone = attrs.field(factory=Milestone, init=False)

    def offer(self, resource: R) -> Loan[R, W]:
        """Lend ``resource`` to whoever takes the next offer. Never blocks."""
        if self._waiting is not None:
            self._waiting.give_back(self.replaced)
        self._waiting = Loan(resource)
        self._came.set()
        self._came = Milestone()
        if self.told is not None:
            self.told()
        return self._waiting

    @property
    def waiting(self) -> bool:
        """Whether an offer waits that its lender has not withdrawn."""
        return self._waiting is not None and not self._waiting.over

    async def until_offered(self) -> None:
        """Wait for an offer; at once if one waits. Does not take it."""
        while not self.waiting:
            await self._came.wait()

    def take(self) -> Loan[R, W]:
        """The waiting offer; there must be one."""
        loan, self._waiting = self._waiting, None
        if loan is None:
            raise AssertionError("take() without an offer")
        return loan

    def refuse(self, reason: W) -> None:
        """Give a waiting offer back."""
        if self._waiting is not None:
            self._waiting.give_back(reason)
            self._waiting = None
