"""Everything the server does for one user, from the first attach of the glasses to the end."""

from __future__ import annotations

from collections import Counter, OrderedDict
from datetime import datetime
from functools import partial
from typing import Any

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..concurrency.coalesced import Coalesced
from ..concurrency.loan import Loan
from ..concurrency.offers import Offers
from ..domain.attachment import UserEvent, UserState, next_state
from ..domain.close_reasons import (
    CRASHED,
    GLASSES_REPLACED,
    RESTARTING,
    USER_SESSION_ENDED,
    CloseReason,
)
from ..domain.demand import MicrophoneDemand, microphone_demand
from ..domain.errors import SessionEnded, StoreFailed
from ..domain.facts import Crashed, StartJoined, StoreTrouble, UserStateChanged
from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import ENDED, StopCause
from ..domain.starting import StartResult, StartStage, failed
from ..domain.timings import STATE_CHANGE_DELAY_S
from ..domain.user_settings import complete_settings
from ..ports import Link
from ..wire.codec import encode
from ..wire.to_app import AugmentosSettingsUpdate, CapabilitiesUpdate
from ..wire.to_glasses import AppStateChange, ConnectionAck
from .app_phases import run_app
from .app_session import AppSession
from .desk import Desk
from .device import Device
from .eyepiece import Eyepiece
from .microphone import Microphone
from .screen import Screen
from .snapshots import UserSnapshot
from .surroundings import Surroundings
from .update_queue import UpdateQueue

TOKENS_REMEMBERED = 256
"""Start attempts whose late sockets are still recognised as such."""

GLASSES_FAREWELLS = {
    StopCause.USER_SESSION_ENDED: USER_SESSION_ENDED,
    StopCause.SERVER_CLOSING: RESTARTING,
}


@attrs.define(eq=False)
class UserSession:
    """A user's session: state, glasses and apps. Its life is ``user_phases.run_user``."""

    user: UserId
    surroundings: Surroundings
    state: UserState = attrs.field(default=UserState.CONNECTING, init=False)
    apps: dict[PackageName, AppSession] = attrs.field(factory=dict, init=False)
    settings: dict[str, Any] = attrs.field(factory=dict, init=False)
    """The user's MentraOS settings, complete, in the apps' names."""
    offers: Offers[Link, CloseReason] = attrs.field(init=False)
    desk: Desk = attrs.field(init=False)
    microphone: Microphone = attrs.field(init=False)
    announcements: Coalesced = attrs.field(init=False)
    intents: UpdateQueue = attrs.field(init=False)
    """The user's commands on their way to the store, in the order in which they were given."""
    living: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    ready: trio.Event = attrs.field(factory=trio.Event, init=False)
    acknowledged: trio.Event = attrs.field(factory=trio.Event, init=False)
    ended: trio.Event = attrs.field(factory=trio.Event, init=False)
    _apps_nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _loan: Loan[Link, CloseReason] | None = attrs.field(default=None, init=False)
    _tokens: OrderedDict[str, tuple[PackageName, int]] = attrs.field(
        factory=OrderedDict, init=False
    )
    _lives: Counter[PackageName] = attrs.field(factory=Counter, init=False)
    _stops: Counter[PackageName] = attrs.field(factory=Counter, init=False)
    _since: datetime = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        around, eyepiece = self.surroundings, Eyepiece()
        timestamp = around.environment.timestamp
        self._since = around.environment.utcnow()
        self.offers = Offers(GLASSES_REPLACED)
        self.intents = UpdateQueue(around.limits.updates_waiting, self.report_store_trouble)
        self.microphone = Microphone(self.user, eyepiece, self._microphone_demand, timestamp)
        self.announcements = Coalesced(self._announce, STATE_CHANGE_DELAY_S)
        self.desk = Desk(
            eyepiece=eyepiece,
            screen=Screen(eyepiece, PackageName(around.dashboard_package), timestamp),
            device=Device(),
            apps_changed=self._apps_changed,
        )
        around.telemetry.emit(
            UserStateChanged(user=self.user, old=None, new=self.state, cause="glasses came")
        )

    @property
    def over(self) -> bool:
        """Whether this session takes no glasses and no app any more."""
        return self.state is UserState.DISCONNECTING

    # -- the glasses ---------------------------------------------------------------

    def attach(self) -> Link:
        """Take the offered glasses, and tell them what they must know first."""
        self._loan = self.offers.take()
        self.desk.eyepiece.attach(self._loan.resource)
        self.acknowledge()
        self.desk.screen.resend()
        return self._loan.resource

    def detach(self, reason: CloseReason) -> None:
        """Give the glasses' link back with ``reason``."""
        self.desk.eyepiece.detach()
        if self._loan is not None:
            self._loan.give_back(reason)
            self._loan = None

    def acknowledge(self) -> None:
        """Greet the glasses, for the first time or again."""
        self.desk.eyepiece.send(
            ConnectionAck(session_id=self.user, timestamp=self.surroundings.environment.timestamp())
        )
        self.acknowledged.set()

    def tell_apps(self, message: str) -> None:
        """Send an encoded message to every attached app."""
        for app in self.apps.values():
            if app.link is not None:
                app.link.push(message)

    def tell_capabilities(self) -> None:
        """Tell the apps what the present glasses can do."""
        device = self.desk.device
        self.tell_apps(
            encode(
                CapabilitiesUpdate(
                    capabilities=device.capabilities,
                    model_name=device.model_name,
                    timestamp=self.surroundings.environment.timestamp(),
                )
            )
        )

    def change_settings(self, stored: dict[str, Any]) -> None:
        """Take over the user's settings as stored, and tell every app the full set (4.5)."""
        self.settings = complete_settings(stored)
        timestamp = self.surroundings.environment.timestamp()
        for app in self.apps.values():
            if app.link is not None:
                update = AugmentosSettingsUpdate(
                    session_id=app.session_id, settings=self.settings, timestamp=timestamp
                )
                app.link.push(encode(update))

    # -- commands of the user ------------------------------------------------------

    async def start_app(self, package: PackageName) -> StartResult:
        """Start ``package``, or join the start that is under way; the same result for all.

        The attempt runs in the session's nursery, not in the caller's task: a caller that gives
        up takes nobody else's attempt with it.
        """
        mark = self._stops[package]
        await self.ready.wait()
        app = await self._obtain(package, mark)
        if app is None:
            return failed(StartStage.CONNECTION, f"App {package}: stopped while it was to start")
        await self._record_in_turn(package, wanted=True)
        return await app.started.wait()

    async def stop_app(self, package: PackageName) -> bool:
        """Stop ``package`` as the user wants it; ``False`` if it was not running.

        It is stopped at once; this returns when the command is recorded.
        """
        running = self.stop_now(package, StopCause.USER)
        await self._record_in_turn(package, wanted=False)
        return running

    def begin_start(self, package: PackageName) -> None:
        """As ``start_app``, for the glasses, who wait for nothing."""
        self.intents.submit(partial(self._record, package, wanted=True))
        app = self.apps.get(package)
        if app is None:
            self._create(package)
        elif app.state not in ENDED:
            self._report_joined(package)
        elif self._apps_nursery is not None:
            self._apps_nursery.start_soon(self._obtain, package, self._stops[package])

    def begin_stop(self, package: PackageName) -> None:
        """As ``stop_app``, for the glasses, who wait for nothing."""
        self.intents.submit(partial(self._record, package, wanted=False))
        self.stop_now(package, StopCause.USER)

    def stop_now(self, package: PackageName, cause: StopCause) -> bool:
        """Stop ``package``, and whatever start of it waits; ``False`` if it was not running."""
        self._stops[package] += 1
        app = self.apps.get(package)
        if app is None or app.state in ENDED:
            return False
        app.stop(cause)
        return True

    async def start_wanted(self) -> None:
        """Start all apps that the user wants running, side by side."""
        try:
            wanted = await self.surroundings.store.wanted_apps(self.user)
        except StoreFailed as error:
            self.report_store_trouble(error)
            return
        for package in wanted:
            if package not in self.apps and not self._stops[package]:
                self._create(package)

    # -- attempts and their tokens ---------------------------------------------------

    def remembers(self, token: str) -> tuple[PackageName, int] | None:
        """The app and the life of it that ``token`` was made for, if it was made here."""
        return self._tokens.get(token)

    def has_run(self, package: PackageName) -> bool:
        """Whether ``package`` was started in this session, now or earlier."""
        return self._lives[package] > 0

    def note_token(self, token: str, package: PackageName, epoch: int) -> None:
        """Remember whose attempt ``token`` names."""
        self._tokens[token] = (package, epoch)
        while len(self._tokens) > TOKENS_REMEMBERED:
            self._tokens.popitem(last=False)

    # -- life ------------------------------------------------------------------------

    def advance(self, event: UserEvent, cause: str = "") -> None:
        """Take ``event``. The only place where the state changes."""
        old, self.state = self.state, next_state(self.state, event)
        self._since = self.surroundings.environment.utcnow()
        self.surroundings.telemetry.emit(
            UserStateChanged(
                user=self.user,
                old=old,
                new=self.state,
                cause=cause or event.value.replace("_", " "),
            )
        )

    def end(self, cause: StopCause) -> None:
        """End the session: whoever waits for an app is told now. Idempotent."""
        if not self.over:
            self.advance(UserEvent.ENDED, cause.value)
        for app in list(self.apps.values()):
            app.stop(cause)
        reason = GLASSES_FAREWELLS.get(cause, CRASHED)
        self.detach(reason)
        self.offers.refuse(reason)
        self.living.cancel(cause.value)

    def open_for_apps(self, nursery: trio.Nursery) -> None:
        """Let apps run in ``nursery`` from now on."""
        self._apps_nursery = nursery
        self.ready.set()

    async def _obtain(self, package: PackageName, mark: int) -> AppSession | None:
        """The live session of ``package``, made if there is none; ``None`` if a stop came.

        An earlier life that is being wound down is waited for: that is bounded.
        """
        while (app := self.apps.get(package)) is not None and app.state in ENDED:
            await app.ended.wait()
        # No await between the look-up and the insert: nobody can slip in between.
        if self.over or self._stops[package] != mark:
            return None
        if app is not None:
            self._report_joined(package)
            return app
        return self._create(package)

    def _create(self, package: PackageName) -> AppSession | None:
        if self._apps_nursery is None or self.over:
            return None
        self._lives[package] += 1
        app = AppSession(
            user=self.user,
            package=package,
            epoch=self._lives[package],
            surroundings=self.surroundings,
            desk=self.desk,
            remember=self.note_token,
        )
        self.apps[package] = app
        self._apps_nursery.start_soon(self._run_app, app, name=f"app {package}")
        self._apps_changed()
        return app

    async def _run_app(self, app: AppSession) -> None:
        """Bulkhead: whatever happens inside one app stays inside that app."""
        try:
            with contain(partial(self._app_crashed, app)):
                await run_app(app)
        finally:
            del self.apps[app.package]
            app.ended.set()
            if app.stop_cause is StopCause.START_FAILED:
                self._announce(_message_of(app))
            self._apps_changed()

    def _app_crashed(self, app: AppSession, error: BaseException) -> None:
        who = f"{app.package} of {self.user}"
        self.surroundings.telemetry.emit(Crashed(bulkhead="app session", who=who, error=error))

    async def _record_in_turn(self, package: PackageName, *, wanted: bool) -> None:
        record = partial(self._record, package, wanted=wanted)
        try:
            await self.intents.enqueue(record)
        except SessionEnded:
            await record()  # a command outlives the session in which it was given

    async def _record(self, package: PackageName, *, wanted: bool) -> None:
        store = self.surroundings.store
        if not wanted or await store.app(package) is not None:
            await store.set_wanted(self.user, package, wanted=wanted)

    # -- what follows from changes ----------------------------------------------------

    def _apps_changed(self) -> None:
        self.announcements.request()
        self.microphone.subscriptions_changed()

    def _announce(self, error: str | None = None) -> None:
        self.desk.eyepiece.send(
            AppStateChange(
                session_id=self.user,
                error=error,
                timestamp=self.surroundings.environment.timestamp(),
            )
        )

    def _microphone_demand(self) -> MicrophoneDemand:
        return microphone_demand(app.subscriptions for app in self.apps.values())

    def _report_joined(self, package: PackageName) -> None:
        self.surroundings.telemetry.emit(StartJoined(user=self.user, package=package))

    def report_store_trouble(self, error: BaseException) -> None:
        """Say that the store failed us; what depended on it was left undone."""
        self.surroundings.telemetry.emit(StoreTrouble(user=self.user, problem=str(error)))

    def snapshot(self) -> UserSnapshot:
        """What this session looks like now."""
        return UserSnapshot(
            user=self.user,
            state=self.state.value,
            since=self._since,
            connected=self.desk.eyepiece.attached,
            apps=tuple(self.apps[package].snapshot() for package in sorted(self.apps)),
        )


def _message_of(app: AppSession) -> str:
    result = app.started.peek()
    return result.message if result is not None else ""
