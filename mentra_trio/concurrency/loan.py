"""A resource lent to another task, and given back with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs

from .oneshot import OneShot

R = TypeVar("R")
W = TypeVar("W")


@attrs.define(eq=False)
class Loan(Generic[R, W]):
    """The right to use ``resource`` until it is given back with a reason.

    The lender keeps ownership: it waits in ``returned`` and then closes the resource. So the
    borrower can end at any moment without orphaning it.
    """

    resource: R
    told: Callable[[], None] | None = attrs.field(default=None, init=False)
    """Called when it is given back; for a lender that does something else meanwhile."""
    _reason: OneShot[W] = attrs.field(factory=OneShot, init=False)

    def give_back(self, reason: W) -> None:
        """Stop using the resource. Idempotent: the first reason is kept."""
        if self._reason.settle(reason) and self.told is not None:
            self.told()

    @property
    def reason(self) -> W | None:
        """Why it was given back; ``None`` while it is not."""
        return self._reason.peek()

    @property
    def over(self) -> bool:
        """Whether it was given back."""
        return self._reason.settled

    async def returned(self) -> W:
        """The reason, as soon as the borrower gives the resource back."""
        return await self._reason.wait()
