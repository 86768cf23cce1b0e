"""One app of one user, from its start until it is stopped: what it holds, and what it decides.

Everything here is synchronous and therefore atomic. What waits is in ``app_phases``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import attrs
import trio

from ..concurrency.loan import Loan
from ..concurrency.offers import Offers
from ..concurrency.oneshot import OneShot
from ..domain.apps import AppRegistration
from ..domain.close_reasons import APP_STOPPED, SUPERSEDED, CloseReason
from ..domain.errors import WebhookFailed
from ..domain.facts import AppStateChanged, LinkAttached, LinkEnded, StartEnded, UpdateFailed
from ..domain.ids import AppSessionId, PackageName, UserId, app_session_id
from ..domain.lifecycle import (
    ENDED,
    AppEvent,
    AppState,
    StopCause,
    legacy_name,
    next_state,
    wire_reason,
)
from ..domain.starting import StartResult, StartStage, failed
from ..domain.stopping import FAREWELLS
from ..domain.subscriptions import SubscriptionSet
from ..ports import Link
from ..wire.codec import encode
from ..wire.to_app import AppStopped as AppStoppedForApp
from ..wire.to_glasses import AppStopped as AppStoppedForGlasses
from .desk import Desk
from .sending import send_frame
from .snapshots import AppSnapshot
from .surroundings import Surroundings
from .update_queue import UpdateQueue

AppLoan = Loan[Link, CloseReason]


@attrs.define(eq=False, repr=False)
class Attempt:
    """One call of the app server on behalf of this session, and what has become of it."""

    token: str
    delivered: trio.Event = attrs.field(factory=trio.Event)
    failure: OneShot[WebhookFailed] = attrs.field(factory=OneShot)
    key_rejected: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False, repr=False)
class AppSession:
    """An app session: state, subscriptions and link. Its life is ``app_phases.run_app``."""

    user: UserId
    package: PackageName
    epoch: int
    surroundings: Surroundings
    desk: Desk
    remember: Callable[[str, PackageName, int], None]
    """Takes the token of each attempt, so that late sockets of it can be told apart."""
    state: AppState = attrs.field(default=AppState.CONNECTING, init=False)
    cause: str = attrs.field(default="started", init=False)
    stop_cause: StopCause | None = attrs.field(default=None, init=False)
    registration: AppRegistration | None = attrs.field(default=None, init=False)
    attempt: Attempt | None = attrs.field(default=None, init=False)
    attempts: int = attrs.field(default=0, init=False)
    subscriptions: SubscriptionSet = attrs.field(factory=SubscriptionSet, init=False)
    list_due_at: float | None = attrs.field(default=None, init=False)
    """Until then an empty list is taken for a reattached app's first word, not its wish."""
    reported: set[str] = attrs.field(factory=set, init=False)
    """Streams whose rejection the app was told over the present link."""
    link: Link | None = attrs.field(default=None, init=False)
    """Where messages for the app go; ``None`` while none is attached."""
    offers: Offers[Link, CloseReason] = attrs.field(init=False)
    started: OneShot[StartResult] = attrs.field(factory=OneShot, init=False)
    ended: trio.Event = attrs.field(factory=trio.Event, init=False)
    moved: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set, and replaced by a new one, with every change of the state."""
    serving: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    updates: UpdateQueue = attrs.field(init=False)
    _loan: AppLoan | None = attrs.field(default=None, init=False)
    _since: datetime = attrs.field(init=False)
    _entered: float = attrs.field(factory=trio.current_time, init=False)
    _created: float = attrs.field(factory=trio.current_time, init=False)

    def __attrs_post_init__(self) -> None:
        self.offers = Offers(SUPERSEDED)
        self.updates = UpdateQueue(self.surroundings.limits.updates_waiting, self._update_failed)
        self._since = self.surroundings.environment.utcnow()
        self._emit_state(None, None, 0.0)

    @property
    def session_id(self) -> AppSessionId:
        """The id that the app is told."""
        return app_session_id(self.user, self.package)

    # -- called by other tasks ----------------------------------------------------

    def borrow(self, link: Link) -> AppLoan:
        """Use ``link`` until it or this session is over; the newest link wins.

        The caller still owns the link and closes it with the reason in which the loan ends.
        """
        if self.state in ENDED:
            loan: AppLoan = Loan(link)
            loan.give_back(APP_STOPPED)
            return loan
        return self.offers.offer(link)

    def stop(self, cause: StopCause) -> None:
        """End the session: everybody waiting is told now, the wind-down runs in its own task.

        Idempotent; the first cause is kept.
        """
        if self.state not in ENDED:
            self.advance(AppEvent.STOP_REQUESTED, cause)
        self.serving.cancel(cause.value)

    def advance(self, event: AppEvent, cause: StopCause | None = None) -> None:
        """Take ``event``. The only place where the state changes.

        ``cause`` must be given with an event that leads to the end.
        """
        old, self.state = self.state, next_state(self.state, event)
        now = trio.current_time()
        seconds, self._entered = now - self._entered, now
        self._since = self.surroundings.environment.utcnow()
        if cause is not None:
            self.stop_cause = cause
        self.cause = cause.value if cause is not None else event.value.replace("_", " ")
        self._emit_state(old, event, seconds)
        self.moved.set()
        self.moved = trio.Event()
        if self.state is AppState.STOPPING:
            self._say_farewell(self.stop_cause or StopCause.CRASHED)
        self.desk.apps_changed()

    def settle_start(self, result: StartResult) -> None:
        """Tell everybody who waits for the start; the first result is kept."""
        if self.started.settle(result):
            self.surroundings.telemetry.emit(
                StartEnded(
                    user=self.user,
                    package=self.package,
                    stage=result.stage.value if result.stage else "",
                    message=result.message,
                    seconds=trio.current_time() - self._created,
                )
            )

    def new_attempt(self) -> Attempt:
        """Begin another attempt, with a token of its own."""
        self.attempts += 1
        self.attempt = Attempt(self.surroundings.environment.new_token())
        self.remember(self.attempt.token, self.package, self.epoch)
        return self.attempt

    # -- the link -----------------------------------------------------------------

    def attach(self) -> Link:
        """Take the offered link; messages go there once the app has been greeted."""
        self._loan = self.offers.take()
        self.reported.clear()
        link = self._loan.resource
        self.surroundings.telemetry.emit(
            LinkAttached(endpoint="app", user=self.user, package=self.package, peer=link.peer)
        )
        return link

    def send(self, frame: str | bytes) -> bool:
        """Send ``frame`` to the app; ``False`` if it is away or its link does not take it."""
        if self.link is None:
            return False
        return send_frame(self.surroundings.telemetry, "app", self.link, frame)

    def detach(self, reason: CloseReason) -> None:
        """Give the link back with ``reason``."""
        self.link = None
        if self._loan is None:
            return
        loan, self._loan = self._loan, None
        loan.give_back(reason)
        self.surroundings.telemetry.emit(
            LinkEnded(
                endpoint="app",
                user=self.user,
                package=self.package,
                peer=loan.resource.peer,
                reason=reason,
            )
        )

    # -- the end ------------------------------------------------------------------

    def _say_farewell(self, cause: StopCause) -> None:
        farewell = FAREWELLS[cause]
        self.settle_start(failed(StartStage.CONNECTION, f"App {self.package}: {cause.value}"))
        timestamp = self.surroundings.environment.timestamp()
        if self._loan is not None and farewell.say_stopped:
            message = AppStoppedForApp(reason=wire_reason(cause), timestamp=timestamp)
            self._loan.resource.push(encode(message))
        self.detach(farewell.close)
        self.offers.refuse(farewell.close)
        self.subscriptions = SubscriptionSet()
        self.desk.screen.remove(self.package)
        if farewell.tell_glasses:
            self.desk.eyepiece.send(
                AppStoppedForGlasses(package_name=self.package, timestamp=timestamp)
            )

    def _update_failed(self, error: BaseException) -> None:
        self.surroundings.telemetry.emit(
            UpdateFailed(user=self.user, package=self.package, problem=type(error).__name__)
        )

    def _emit_state(self, old: AppState | None, event: AppEvent | None, seconds: float) -> None:
        self.surroundings.telemetry.emit(
            AppStateChanged(
                user=self.user,
                package=self.package,
                old=old,
                new=self.state,
                event=event,
                cause=self.cause,
                seconds=seconds,
            )
        )

    def snapshot(self) -> AppSnapshot:
        """What this session looks like now."""
        delivered = self.attempt is not None and self.attempt.delivered.is_set()
        return AppSnapshot(
            package=self.package,
            state=self.state.value,
            app_state=legacy_name(self.state, webhook_delivered=delivered),
            since=self._since,
            cause=self.cause,
            subscriptions=self.subscriptions.texts,
            epoch=self.epoch,
            attempt=self.attempts,
            next_attempt_at=None,
            outbox=0,
        )
