"""One app of one user, from its start until it is stopped or at rest: what it holds and decides.

Everything here is synchronous and therefore atomic. What waits is in ``app_phases``.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import attrs
import trio

from ..concurrency.loan import Loan
from ..concurrency.milestone import Milestone
from ..concurrency.offers import Offers
from ..concurrency.oneshot import OneShot
from ..domain.apps import AppRegistration
from ..domain.backlog import Backlog
from ..domain.close_reasons import APP_STOPPED, SUPERSEDED, CloseReason
from ..domain.facts import (
    AttemptBegan,
    LinkAttached,
    LinkEnded,
    StartEnded,
)
from ..domain.ids import AppSessionId, PackageName, UserId, app_session_id
from ..domain.lifecycle import (
    ENDED,
    OVER,
    RESTING,
    AppEvent,
    AppState,
    StopCause,
    in_words,
    next_state,
    wire_reason,
)
from ..domain.records import NO_RUNTIME, AppRecord
from ..domain.starting import StartResult, StartStage, failed
from ..domain.stopping import FAREWELLS
from ..domain.subscriptions import NOTHING, SubscriptionSet
from ..ports import Link, SessionChange
from ..wire.codec import encode
from ..wire.to_app import AppStopped
from .app_facts import tell_failed_update, tell_state
from .arrivals import Arrival
from .attempts import Attempt, AttemptBook
from .desk import Desk
from .endpoint import Endpoint, Turn
from .routes import NO_ROUTES, Routes
from .saving import change_of, record_of
from .sending import send_frame
from .snapshots import AppSnapshot, app_snapshot
from .surroundings import Surroundings
from .update_queue import UpdateQueue

AppLoan = Loan[Arrival, CloseReason]


@attrs.define(eq=False, repr=False)
class AppSession:
    """An app session: state, subscriptions and link. Its life is ``app_phases.run_app``.

    Attributes:
        epoch: which life of the app this is for the user, from 1.
        state: begins as the caller says: CONNECTING for a user's start.
        floor: serial number of the oldest attempt whose sockets may attach.
        runtime: that of the attempt from which the app's runtime came that was attached last.
        subscriptions: of the life before, where there was one: kept until the app says more.
    """

    user: UserId
    package: PackageName
    epoch: int
    surroundings: Surroundings
    desk: Desk
    book: AttemptBook
    state: AppState = AppState.CONNECTING
    cause: str = "started"
    floor: int = 0
    runtime: int = NO_RUNTIME
    subscriptions: SubscriptionSet = NOTHING
    reconnect_hash: str = ""
    began_as: AppState | None = None
    """The state that the life before ended in, where there was one at rest."""
    began_by: AppEvent | None = None
    previous: AppState | None = attrs.field(default=None, init=False)  # before this one
    turn: Turn | None = None
    """The turn at the endpoint that this session has now."""
    tries_out: bool = False
    """Whether it was evicted before and is only tried: one failure is enough."""
    backlog: Backlog = attrs.field(kw_only=True)
    stop_cause: StopCause | None = attrs.field(default=None, init=False)
    registration: AppRegistration | None = attrs.field(default=None, init=False)
    attempt: Attempt | None = attrs.field(default=None, init=False)
    attempts: int = attrs.field(default=0, init=False)
    failures: int = attrs.field(default=0, init=False)
    """Attempts that failed in a row although the app's server is there."""
    problem: str = attrs.field(default="", init=False)
    """What went wrong in the latest attempt that failed."""
    lost_at: float = attrs.field(factory=trio.current_time, init=False)
    give_up_at: float | None = attrs.field(default=None, init=False)
    """When the app is given up, while it is being brought back; Trio time."""
    retry_at: float | None = attrs.field(default=None, init=False)
    list_due_at: float | None = attrs.field(default=None, init=False)
    """Until then an empty list is taken for a reattached app's first word, not its wish."""
    released: str | None = attrs.field(default=None, init=False)
    """Why the app gave up its session over the present link; ``None`` if it did not."""
    settling: SubscriptionSet | None = attrs.field(default=None, init=False)
    """Until a new runtime has said all that it wants: what the one before it wanted."""
    former: int = attrs.field(default=NO_RUNTIME, init=False)  # before the present one
    replaced: set[int] = attrs.field(factory=set, init=False)
    """Attempts whose runtimes were found alive after they had been replaced."""
    reported: set[str] = attrs.field(factory=set, init=False)
    """Streams whose rejection the app was told over the present link."""
    asked_for: frozenset[str] = attrs.field(default=frozenset(), init=False)
    """Streams in the latest list of the present runtime."""
    routes: Routes = attrs.field(default=NO_ROUTES, init=False)
    """As they were when there was an event for the last time; see ``routes.routes_of``."""
    link: Link | None = attrs.field(default=None, init=False)
    """Where messages for the app go; ``None`` while none is attached."""
    remains: AppRecord | None = attrs.field(default=None, init=False)
    """What the next session begins with; set when this one is at rest, or has crashed."""
    offers: Offers[Arrival, CloseReason] = attrs.field(init=False)
    outcome: OneShot[StartResult] = attrs.field(factory=OneShot, init=False)
    """Of the start or return that is under way or to come; settled while the app runs."""
    asked: Milestone = attrs.field(factory=Milestone, init=False)
    """Set when somebody wants the app now, whatever the schedule says."""
    restarted: Milestone = attrs.field(factory=Milestone, init=False)
    """Set when the app's server said that it was restarted: a lost link needs no grace."""
    listed: Milestone = attrs.field(factory=Milestone, init=False)
    """Set, and replaced, when a list of subscriptions has been applied."""
    ended: Milestone = attrs.field(factory=Milestone, init=False)
    living: trio.CancelScope | None = attrs.field(default=None, init=False)  # of its nursery
    updates: UpdateQueue = attrs.field(init=False)
    unsaved_from: int = attrs.field(default=1, init=False)
    _loan: AppLoan | None = attrs.field(default=None, init=False)
    _since: datetime = attrs.field(init=False)
    _entered: float = attrs.field(factory=trio.current_time, init=False)
    _attempted: bool = attrs.field(default=False, init=False)
    _wanted_since: float = attrs.field(factory=trio.current_time, init=False)

    def __attrs_post_init__(self) -> None:
        self.offers = Offers(SUPERSEDED)
        self.updates = UpdateQueue(
            self.surroundings.limits.updates_waiting, partial(tell_failed_update, self)
        )
        self._since = self.surroundings.environment.utcnow()
        tell_state(self, self.began_as, self.began_by, 0.0)
        self.note()

    @property
    def session_id(self) -> AppSessionId:
        """The id that the app is told."""
        return app_session_id(self.user, self.package)

    @property
    def granted(self) -> frozenset[str]:
        """The permissions that the app has declared; none before its registration is read."""
        return self.registration.permissions if self.registration is not None else frozenset()

    @property
    def endpoint(self) -> Endpoint:
        """The app's server, as all its users share it; only once the registration is known."""
        if self.registration is None:
            raise AssertionError("the registration is read before anything is done")
        return self.surroundings.endpoints.of(self.package, self.registration.url)

    # -- called by other tasks ----------------------------------------------------

    def borrow(self, arrival: Arrival) -> AppLoan:
        """Use the link of ``arrival`` until it or this session is over; the newest link wins.

        The caller still owns the link and closes it with the reason in which the loan ends.
        """
        if self.state in OVER:
            loan: AppLoan = Loan(arrival)
            loan.give_back(APP_STOPPED)
            return loan
        return self.offers.offer(arrival)

    def ask(self) -> OneShot[StartResult]:
        """Have the app brought back now, if it is away; returns where the outcome will be."""
        self.asked.set()
        return self.outcome

    def stop(self, cause: StopCause, because: str = "") -> None:
        """End the session: everybody waiting is told now, the wind-down runs in its own task.

        Idempotent; the first cause is kept, with what ``because`` says about it.
        """
        if self.state not in ENDED:
            self.advance(AppEvent.STOP_REQUESTED, cause, because=because)
        if self.living is not None:
            self.living.cancel(cause.value)

    def advance(
        self, event: AppEvent, cause: StopCause | None = None, *, because: str = ""
    ) -> None:
        """Take ``event``. The only place where the state changes.

        ``cause`` must be given with an event that leads to the end; ``because`` says more.
        """
        self.previous, self.state = self.state, next_state(self.state, event)
        now = trio.current_time()
        seconds, self._entered = now - self._entered, now
        self._since = self.surroundings.environment.utcnow()
        if cause is not None:
            self.stop_cause = cause
        words = cause.value if cause is not None else event.value.replace("_", " ")
        if event is not AppEvent.WOUND_DOWN:  # that is no news: why it stops is told already
            self.cause = in_words(words, because)
        tell_state(self, self.previous, event, seconds)
        if self.state is AppState.STOPPING:
            self._say_farewell(self.stop_cause or StopCause.CRASHED)
        elif self.state in RESTING:
            self._rest()
        self.note()
        self.desk.apps_changed()

    def settle_outcome(self, result: StartResult) -> None:
        """Tell everybody who waits for the app; the next attempt has an outcome of its own."""
        if not self.outcome.settle(result):
            return
        if self._attempted or self.state is AppState.CONNECTING:
            self.surroundings.telemetry.emit(
                StartEnded(
                    user=self.user,
                    package=self.package,
                    stage=result.stage.value if result.stage else "",
                    message=result.message,
                    seconds=trio.current_time() - self._wanted_since,
                    resurrection=self.attempt is not None and self.attempt.resurrection,
                )
            )
        if not result.success:
            self.problem = result.message if self.state not in OVER else self.problem
            self._attempted = False
            self._await_outcome()

    def _await_outcome(self) -> None:
        self.outcome, self.asked = OneShot(), Milestone()
        self._wanted_since = trio.current_time()

    def new_attempt(self) -> Attempt:
        """Begin another attempt, with a token of its own."""
        self.attempts += 1
        self._attempted = True
        token = self.surroundings.environment.new_token()
        resurrection = self.state is AppState.RESURRECTING
        self.attempt = Attempt(token, self.book.note(token, self.package), resurrection)
        self.note()
        self.surroundings.telemetry.emit(
            AttemptBegan(
                user=self.user,
                package=self.package,
                resurrection=resurrection,
                attempt=self.attempts,
            )
        )
        return self.attempt

    def end_turn(self) -> None:
        """Give back the turn at the endpoint, if there is one."""
        if self.turn is not None:
            turn, self.turn = self.turn, None
            turn.over()

    # -- the link -----------------------------------------------------------------

    def attach(self) -> tuple[Arrival, bool]:
        """Take the offered link, and tell whether the runtime behind it was here before.

        Messages go there once the app has been greeted. An attempt that was not delivered yet
        is not needed any more.
        """
        self._loan = self.offers.take()
        self.reported.clear()
        self.released, self.tries_out = None, False
        self.restarted = Milestone()
        arrival = self._loan.resource
        self.floor = max(self.floor, arrival.serial or 0)
        same = arrival.reconnect or self.runtime == self.floor
        if (arrival.serial is not None or not same) and self.runtime != self.floor:
            self.former, self.runtime = self.runtime, self.floor
        self.list_due_at = None
        if not same:
            self.asked_for = frozenset()
        if self.attempt is not None and not self.attempt.delivered.is_set():
            self.attempt.calling.cancel("the app is here already")
        self.surroundings.telemetry.emit(
            LinkAttached(
                endpoint="app", user=self.user, package=self.package, peer=arrival.link.peer
            )
        )
        return arrival, same

    def send(self, frame: str) -> bool:
        """Send ``frame`` to the app; ``False`` if it is away or its link does not take it."""
        if self.link is None:
            return False
        return send_frame(self.surroundings.telemetry, "app", self.link, frame)

    def detach(self, reason: CloseReason) -> None:
        """Give the link back with ``reason``."""
        self.link = None
        self.settling = None
        if self._loan is None:
            return
        loan, self._loan = self._loan, None
        loan.give_back(reason)
        self.surroundings.telemetry.emit(
            LinkEnded(
                endpoint="app",
                user=self.user,
                package=self.package,
                peer=loan.resource.link.peer,
                reason=reason,
            )
        )

    def lose(self) -> None:
        """The app is away: what is waited for from now on is its return."""
        self.end_turn()
        self.lost_at = trio.current_time()
        self.failures, self._attempted = 0, False
        self.give_up_at = self.retry_at = None
        if self.outcome.settled:
            self._await_outcome()

    # -- the end ------------------------------------------------------------------

    def _rest(self) -> None:
        """Nothing is left to do; what the next session needs is in ``remains``."""
        self.remains = self.record()
        self.settle_outcome(failed(StartStage.CONNECTION, f"App {self.package}: {self.cause}"))
        self.detach(APP_STOPPED)
        self.offers.refuse(APP_STOPPED)
        self.end_turn()
        self.desk.app_rests(self.package)

    def _say_farewell(self, cause: StopCause) -> None:
        farewell = FAREWELLS[cause]
        self.remains = self.record()
        self.settle_outcome(failed(StartStage.CONNECTION, f"App {self.package}: {self.cause}"))
        if self._loan is not None and farewell.say_stopped:
            timestamp = self.surroundings.environment.timestamp()
            message = AppStopped(reason=wire_reason(cause), timestamp=timestamp)
            self._loan.resource.link.push(encode(message))
        self.detach(farewell.close)
        self.offers.refuse(farewell.close)
        self.end_turn()
        self.subscriptions = NOTHING
        if cause is not StopCause.CRASHED:
            self.desk.app_over(self.package)

    # -- what is remembered and shown -----------------------------------------------

    def record(self) -> AppRecord:
        """What would have to be known of this session if it ended now."""
        return record_of(self, self._since)

    def note(self) -> None:
        """Have what this session is now written down, unless it is over."""
        if self.state not in OVER:
            self.surroundings.keeper.note(self.user, self.package, self)

    def change(self) -> SessionChange:
        """See ``keeper.Remembered``."""
        return change_of(
            self.user,
            self.package,
            self.remains or self.record(),
            self.backlog,
            unsaved_from=self.unsaved_from,
            environment=self.surroundings.environment,
        )

    def written(self, change: SessionChange) -> None:
        """See ``keeper.Remembered``."""
        if change.kept:
            self.unsaved_from = change.kept[-1][0] + 1

    def snapshot(self) -> AppSnapshot:
        """What this session looks like now."""
        return app_snapshot(self, self._since)
