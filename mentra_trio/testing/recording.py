"""A stand-in for the telemetry: facts are kept, and can be waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import attrs
import trio

from ..clients.inbox import Inbox
from ..domain.facts import Crashed, Fact
from .ledger import current_ledger
from .links import PATIENCE_S

F = TypeVar("F", bound=Fact)


@attrs.define(eq=False)
class RecordingTelemetry:
    """``ports.Telemetry`` that keeps every fact, in order.

    ``expects_crashes`` is for tests that cause one on purpose: without it a contained crash
    fails the test at its end. ``on_fact`` is called with each fact at once, and must not raise.
    """

    expects_crashes: bool = False
    on_fact: Callable[[Fact], None] | None = None
    facts: list[Fact] = attrs.field(factory=list, init=False)
    _new: Inbox[Fact] = attrs.field(factory=Inbox, init=False)

    def __attrs_post_init__(self) -> None:
        ledger = current_ledger()
        if ledger is not None:
            ledger.watch_crashes(lambda: [] if self.expects_crashes else self.crashes)

    def emit(self, fact: Fact) -> None:
        """Keep ``fact``."""
        self.facts.append(fact)
        self._new.put(fact)
        if self.on_fact is not None:
            self.on_fact(fact)

    def of(self, kind: type[F]) -> list[F]:
        """Every fact of that type so far, in order."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    @property
    def crashes(self) -> list[Crashed]:
        """Every crash that was stopped at a bulkhead."""
        return self.of(Crashed)

    async def next(self, kind: type[F], *, within: float = PATIENCE_S) -> F:
        """The oldest fact of that type not returned here yet.

        Raises:
            trio.TooSlowError: none came ``within`` so many seconds.
        """
        with trio.fail_after(within):
            fact = await self._new.take(lambda candidate: isinstance(candidate, kind))
        assert isinstance(fact, kind)
        return fact
