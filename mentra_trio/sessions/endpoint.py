"""One app server as all users of its app share it: does it answer, and whose turn is it?

When a server goes down, all its sessions are lost at once. Here they stand in one line: while it
is not known whether the server is there, the first in the line tries for all; as soon as it is
known, the rest follow at a rate. So the calls in vain do not grow with the number of users.
Nothing here has a task of its own: whoever is first in the line watches the clock.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from types import TracebackType

import attrs
import trio

from ..concurrency.watched import Watched
from ..domain.breaker import Breaker, BreakerState, Sign, probe_delay
from ..domain.facts import EndpointChanged
from ..domain.ids import PackageName
from ..domain.timings import Lifecycle
from ..environment import Environment
from ..ports import Telemetry
from .wall_time import wall


@attrs.define(eq=False)
class Turn:
    """The permission to call the server once; to be given back by ``over``, in any case."""

    _endpoint: Endpoint

    def over(self) -> None:
        """The call has come to its end, or is not made. Idempotent."""
        self._endpoint.turn_over(self)


@attrs.frozen(eq=False)
class Serving:
    """``with``: an app of the server is up. An object, and no generator: every app has one."""

    _endpoint: Endpoint

    def __enter__(self) -> None:
        self._endpoint.count(1)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._endpoint.count(-1)


@attrs.define(eq=False)
class _Place:
    """A place in the line; ``nudged`` is set when it is worth looking again."""

    lost_at: float
    nudged: trio.Event = attrs.field(factory=trio.Event, init=False)

    def nudge(self) -> None:
        self.nudged.set()
        self.nudged = trio.Event()


@attrs.frozen(kw_only=True)
class EndpointSnapshot:
    """An app server at one moment; ``since`` and ``next_trial_at`` are wall time."""

    state: BreakerState
    sign: Sign
    since: datetime | None
    failures: int
    waiting: int
    trial: bool
    next_trial_at: datetime | None


@attrs.define(eq=False, kw_only=True)
class Endpoint:
    """The server of one app: ``tell`` it what is seen of it, wait in ``turn`` for a turn."""

    package: PackageName
    url: str
    lifecycle: Lifecycle
    environment: Environment
    telemetry: Telemetry
    state: Watched[BreakerState] = attrs.field(
        factory=lambda: Watched(BreakerState.CLOSED), init=False
    )
    breaker: Breaker = attrs.field(factory=Breaker, init=False)
    _line: OrderedDict[_Place, None] = attrs.field(factory=OrderedDict, init=False)
    _trial: Turn | None = attrs.field(default=None, init=False)
    _trial_at: float = attrs.field(default=0.0, init=False)
    """When the latest trial began."""
    _well: bool = attrs.field(default=True, init=False)
    _hint: bool = attrs.field(default=False, init=False)
    """Whether there was reason, since the latest trial, to try at once."""
    _jitter: float = attrs.field(default=0.0, init=False)
    _next_slot: float = attrs.field(default=0.0, init=False)
    _tried_before: float = attrs.field(default=0.0, init=False)
    """When the trial before the latest one began: in force again if that one is not made."""
    _learnt: bool = attrs.field(default=False, init=False)
    """Whether anything was told since the latest trial began."""
    _served: int = attrs.field(default=0, init=False)
    _well_again: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set, and replaced, with every good sign."""

    # -- what is heard of the server -------------------------------------------------

    def tell(self, sign: Sign) -> None:
        """Take note of a sign of life, or of its absence."""
        self.breaker = self.breaker.after(sign, trio.current_time())
        self._learnt = True
        if sign is Sign.GOOD:
            self._hint = False
            self._well_again.set()
            self._well_again = trio.Event()
        self._jitter = self.environment.random.random()
        self._show()
        self._nudge_first()

    def heard(self, at: float) -> None:
        """An app of the server was alive at time ``at``: a failure before that is out of date."""
        self.breaker = self.breaker.heard(at)
        self._show()
        self._nudge_first()

    def expected(self, lost_at: float) -> None:
        """A session that was lost at ``lost_at`` is about to wait for the server.

        As long as apps of other users are up there, failures from before count for nothing.
        """
        if self._served:
            self.heard(lost_at)

    def serving(self) -> Serving:
        """An app of the server is up while the block runs."""
        return Serving(self)

    def count(self, change: int) -> None:
        """So many more apps of the server are up."""
        self._served += change

    def _show(self) -> None:
        """Have the state follow from what is known, and say so if it changed."""
        was_open = self.state.value is not BreakerState.CLOSED
        if not self.breaker.is_open:
            self.state.set(BreakerState.CLOSED)
        elif self._trial is not None:
            self.state.set(BreakerState.HALF_OPEN)
        else:
            self.state.set(BreakerState.OPEN)
        if self.breaker.is_open is not was_open:
            self.telemetry.emit(
                EndpointChanged(
                    package=self.package,
                    answers=was_open,
                    sign=self.breaker.sign,
                    waiting=len(self._line),
                )
            )

    def note_health(self, *, well: bool) -> None:
        """Take note of a health check. One that succeeds after others failed is a reason to try.

        No more than that: a server may know its health, and still not start apps.
        """
        recovered, self._well = well and not self._well, well
        if recovered and self.breaker.is_open:
            self._hint = True  # also if it is being tried: that call began while it was down
            self._nudge_first()

    def moved(self, url: str) -> None:
        """The server is at ``url`` now: what was seen at the old address means nothing there."""
        self.url, self.breaker = url, Breaker()
        self._show()
        self._nudge_first()

    # -- the line ----------------------------------------------------------------------

    def goes_at_once(self, lost_at: float) -> Turn | None:
        """A turn for a session lost at ``lost_at``, if it can have one now; else ``None``."""
        if self._line or self._wait_for_slot() > 0:
            return None
        return self._grant(lost_at)

    async def turn(self, lost_at: float) -> Turn:
        """Wait in the line until a session that was lost at ``lost_at`` may be tried.

        Safe to cancel. The caller must end the turn, and call ``tell`` about what it saw.
        """
        place = _Place(lost_at)
        self._line[place] = None
        try:
            while True:
                turn = await self._first(place)
                if turn is not None:
                    return turn
        finally:
            del self._line[place]
            self._nudge_first()

    async def _first(self, place: _Place) -> Turn | None:
        """One look from ``place``: the turn, or ``None`` after a wait."""
        nudged = place.nudged
        if next(iter(self._line)) is not place:
            await nudged.wait()
            return None
        wait = self._wait_from_first(place)
        if wait is not None and wait <= 0 and (turn := self._grant(place.lost_at)) is not None:
            return turn
        with trio.CancelScope() as clock:
            if wait is not None:
                clock.deadline = trio.current_time() + max(wait, 0)
            await nudged.wait()
        return None

    def _wait_from_first(self, place: _Place) -> float | None:
        """Seconds until the first in the line may look again; ``None``: until it is nudged."""
        if self.breaker.vouches_for(place.lost_at):
            return self._wait_for_slot()
        if self._trial is not None:
            return None
        due = self._next_trial()
        return 0.0 if due is None else due - trio.current_time()

    def _wait_for_slot(self) -> float:
        return self._next_slot - trio.current_time()

    def _next_trial(self) -> float | None:
        """When the next trial of an open breaker is due, Trio time."""
        began = self.breaker.down_since
        if began is None:
            return None
        now = trio.current_time()
        if self._hint:
            return now
        tried_at = max(began, self._trial_at)
        return tried_at + probe_delay(
            self.breaker, self.lifecycle, tried_at=tried_at, now=now, jitter=self._jitter
        )

    def _grant(self, lost_at: float) -> Turn | None:
        """A turn, if the rules allow one now: no waiting in here, so nobody can slip in between."""
        turn, now = Turn(self), trio.current_time()
        if not self.breaker.vouches_for(lost_at):
            due = self._next_trial()
            if self._trial is not None or (due is not None and now < due):
                return None
            self._tried_before, self._learnt = self._trial_at, False
            self._trial, self._trial_at, self._hint = turn, now, False
            self._show()
        self._next_slot = max(now, self._next_slot) + 1 / self.lifecycle.release_per_s
        return turn

    def turn_over(self, turn: Turn) -> None:
        """See ``Turn.over``."""
        if self._trial is turn:
            self._trial = None
            if not self._learnt:
                self._trial_at = self._tried_before  # it was not made: the next one is due
            self._show()
            self._nudge_first()

    def _nudge_first(self) -> None:
        first = next(iter(self._line), None)
        if first is not None:
            first.nudge()

    # -- for those who wait or watch ------------------------------------------------------

    async def until_hopeless(self) -> None:
        """Wait until the server is known to be down and nobody is just trying it."""
        await self.state.until(lambda state: state is BreakerState.OPEN)

    async def until_good(self) -> None:
        """Wait for a good sign."""
        await self._well_again.wait()

    def next_chance(self) -> float | None:
        """When the next session may be tried, Trio time; ``None``: as soon as it is asked for."""
        return self._next_trial()

    def snapshot(self) -> EndpointSnapshot:
        """What is known now."""
        return EndpointSnapshot(
            state=self.state.value,
            sign=self.breaker.sign,
            since=wall(self.environment, self.breaker.down_since),
            failures=self.breaker.failures,
            waiting=len(self._line),
            trial=self._trial is not None,
            next_trial_at=wall(self.environment, self._next_trial()) if self._line else None,
        )


@attrs.define(eq=False, kw_only=True)
class Endpoints:
    """The app servers of one server, made when they are first asked for."""

    lifecycle: Lifecycle
    environment: Environment
    telemetry: Telemetry
    _known: dict[PackageName, Endpoint] = attrs.field(factory=dict, init=False)

    def of(self, package: PackageName, url: str) -> Endpoint:
        """The server of ``package``, which is at ``url`` if nobody has used it yet.

        A session that is up does not hear of a move: what it says of the address means nothing.
        """
        endpoint = self._known.get(package)
        if endpoint is None:
            endpoint = Endpoint(
                package=package,
                url=url,
                lifecycle=self.lifecycle,
                environment=self.environment,
                telemetry=self.telemetry,
            )
            self._known[package] = endpoint
        return endpoint

    def found_at(self, package: PackageName, url: str) -> Endpoint:
        """The same, which according to its registration is at ``url`` now."""
        endpoint = self.of(package, url)
        if endpoint.url != url:
            endpoint.moved(url)
        return endpoint

    def known(self, package: PackageName) -> Endpoint | None:
        """The server of ``package``, if anybody has used it."""
        return self._known.get(package)

    def forget(self, package: PackageName) -> None:
        """The app was removed."""
        self._known.pop(package, None)
