"""What comes after an app session: another one, a rest, or nothing; and when an app is revived."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs
import trio

from ..concurrency.oneshot import OneShot
from ..domain.backlog import Backlog
from ..domain.errors import StoreFailed
from ..domain.facts import Quarantined
from ..domain.ids import PackageName
from ..domain.lifecycle import AWAY, RESTING, AppEvent, AppState, StopCause
from ..domain.records import AppRecord
from ..domain.restarts import is_quarantined, recent_crashes
from ..domain.starting import StartResult
from ..domain.timings import SAVE_AGAIN_S
from ..wire.to_glasses import AppStopped
from .app_session import AppSession
from .endpoint import Endpoint, Turn
from .resting import Rest
from .saving import restored_backlog
from .store_trouble import registration_of, report_store_trouble
from .system_dashboard import system_dashboard

if TYPE_CHECKING:
    from ..ports import SavedApp
    from .roster import Roster


@attrs.define(eq=False, repr=False)
class Returns:
    """Decides for ``roster`` what becomes of apps whose session is over."""

    roster: Roster
    _crashes: dict[PackageName, tuple[float, ...]] = attrs.field(factory=dict, init=False)
    _problems: dict[PackageName, str] = attrs.field(factory=dict, init=False)
    _due: dict[PackageName, AppEvent] = attrs.field(factory=dict, init=False)
    """What happened to apps that were about to rest, and ends their rest as soon as it begins."""

    # -- after a session -------------------------------------------------------------

    def after(self, app: AppSession) -> None:
        """``app`` is over; the roster has let go of it."""
        due = self._due.pop(app.package, None)
        if app.state in RESTING and app.remains is not None:
            rest = self._rest(app, app.remains)
            if due is not None:
                self.roster.revive(rest, due)
        elif app.stop_cause is StopCause.CRASHED and app.remains is not None:
            self._after_crash(app, app.remains)
        elif app.stop_cause is not StopCause.SERVER_CLOSING:
            self.roster.surroundings.keeper.forget(app.user, app.package)
            if app.stop_cause is StopCause.START_FAILED:
                self.roster.start_failed(app.problem)
            self.roster.compatibility.begin_waiting()

    def _rest(self, app: AppSession, record: AppRecord) -> Rest:
        rest = self.roster.resting.put(
            app.package, record, app.backlog, unsaved_from=app.unsaved_from
        )
        if record.state is AppState.EVICTED:
            if not app.tries_out:
                self._tell_glasses(app.package, record.cause)
            self.roster.spawn(rest)
        return rest

    def _after_crash(self, app: AppSession, record: AppRecord) -> None:
        """Another session in its place, which waits for the app; or none, if that is too often."""
        problem = self._problems.pop(app.package, "ended without a reason")
        if not is_quarantined(self._crashes.get(app.package, ())):
            cause = f"the session before crashed: {problem}"
            self._go_on(app.package, record, app.backlog, app.unsaved_from, cause)
            return
        cause = f"quarantined, its session kept crashing: {problem}"
        record = attrs.evolve(record, state=AppState.EVICTED, cause=cause, quarantined=True)
        self.roster.resting.put(app.package, record, app.backlog, unsaved_from=app.unsaved_from)
        self.roster.desk.app_rests(app.package)
        self._tell_glasses(app.package, cause)
        self.roster.surroundings.telemetry.emit(
            Quarantined(user=app.user, package=app.package, problem=problem)
        )

    def crashed(self, package: PackageName, error: BaseException) -> None:
        """Count a crash of the app's session."""
        now = trio.current_time()
        self._crashes[package] = (*recent_crashes(self._crashes.get(package, ()), now), now)
        self._problems[package] = type(error).__name__

    def _tell_glasses(self, package: PackageName, cause: str) -> None:
        """The app is gone, and it was not the user who stopped it."""
        timestamp = self.roster.surroundings.environment.timestamp()
        self.roster.desk.eyepiece.send(AppStopped(package_name=package, timestamp=timestamp))
        self.roster.start_failed(f"App {package}: {cause}")

    # -- before a session ------------------------------------------------------------

    def user_returned(self) -> None:
        """The glasses are back: bring back what rested meanwhile, all of it side by side."""
        for rest in self.roster.resting:
            if rest.record.state is AppState.DORMANT:
                self.roster.revive(rest, AppEvent.USER_RETURNED)
        for package, app in self.roster.apps.items():
            if app.state is AppState.DORMANT:
                self._due[package] = AppEvent.USER_RETURNED

    async def start_wanted(self) -> None:
        """Bring up all apps that the user wants running and that neither run nor rest.

        And then the system dashboard app, which nobody has to want.
        """
        for package in await self._wanted():
            self._bring_up(package, "wanted by the user")
        self.roster.knows_wishes = True
        for package in await self._dashboard():
            if not self.roster.was_stopped(package):
                self._bring_up(package, "every user has it")

    def _bring_up(self, package: PackageName, cause: str) -> None:
        if package not in self.roster.apps and package not in self.roster.resting:
            self.roster.begin(package, AppState.DISCONNECTED, cause)

    async def _dashboard(self) -> Sequence[PackageName]:
        """The system dashboard app, if there is one; asks a failing store again."""
        while True:
            try:
                return await system_dashboard(self.roster.surroundings)
            except StoreFailed as error:
                report_store_trouble(self.roster.surroundings, self.roster.user, error)
            await trio.sleep(SAVE_AGAIN_S)

    async def _wanted(self) -> Sequence[PackageName]:
        """What the user still wants, at most one standard app; asks a failing store again."""
        wanted = await self.roster.wishes.all()
        while True:
            try:
                return await self.roster.foreground.only_one_of(wanted)
            except StoreFailed as error:
                report_store_trouble(self.roster.surroundings, self.roster.user, error)
            await trio.sleep(SAVE_AGAIN_S)

    def restore(
        self, saved: Mapping[PackageName, SavedApp], wanted: Collection[PackageName]
    ) -> None:
        """Take over what a server before this one knew of the user's apps.

        An app that the user has stopped meanwhile is forgotten: that command was written down
        before it was acknowledged, the end of the session perhaps not.
        """
        around = self.roster.surroundings
        for package, app in saved.items():
            if package not in wanted:
                around.keeper.forget(self.roster.user, package)
                continue
            try:
                record = AppRecord.from_plain(app.record)
            except ValueError as error:
                report_store_trouble(around, self.roster.user, error)
                continue  # it is brought up like any other app that the user wants
            self.roster.book.restore(package, record.tokens, record.serial)
            backlog = restored_backlog(app, around.lifecycle, around.environment)
            self._restore(package, record, backlog)

    def _restore(self, package: PackageName, record: AppRecord, backlog: Backlog) -> None:
        unsaved_from = backlog.next_position
        if record.state in RESTING:
            rest = self.roster.resting.put(package, record, backlog, unsaved_from=unsaved_from)
            if record.state is AppState.EVICTED and not record.quarantined:
                rest.of_before = True
                self.roster.spawn(rest)
            return
        same_life = attrs.evolve(record, epoch=record.epoch - 1)
        self._go_on(package, same_life, backlog, unsaved_from, "the server was restarted")

    def _go_on(
        self,
        package: PackageName,
        record: AppRecord,
        backlog: Backlog,
        unsaved_from: int,
        cause: str,
    ) -> None:
        """A session that waits for the app, which is alive as far as is known."""
        app = self.roster.begin(
            package, AppState.GRACE_PERIOD, cause, record=record, backlog=backlog
        )
        if app is not None:
            app.unsaved_from = unsaved_from

    def recover(self, package: PackageName) -> OneShot[StartResult] | None:
        """The app's server was restarted: have a lost app called in its turn, without grace.

        Returns where the outcome will be; ``None`` where there is nothing to bring back, as far
        as is known: an app that runs has to prove it, and may be found lost in a moment.
        """
        app, rest = self.roster.apps.get(package), self.roster.resting.get(package)
        here = self.roster.desk.here.value  # without its user an app waits in its rest
        if app is None and here and rest is not None and rest.record.state is AppState.EVICTED:
            app = self.roster.revive(rest, AppEvent.TURN_AWAITED)
        if app is None or app.state not in {*AWAY, AppState.RUNNING}:
            return None
        app.restarted.set()
        if app.link is not None:
            app.link.wake()
        return app.outcome if app.state in AWAY else None

    async def until_healed(self, rest: Rest) -> None:
        """Wait until the server of an evicted app answers again, then revive the app.

        Whoever is first in the line tries it for all, seldom (``probe_rare_s``). An app that was
        given up although its server answered is tried as seldom, and alone. Nothing is known
        of a server that was down before we were restarted: it is left to others to find out.
        """
        around = self.roster.surroundings
        lost_at = trio.current_time()
        with rest.waiting:
            registration = await registration_of(around, rest.user, rest.package)
            if registration is None:
                return
            endpoint = around.endpoints.found_at(rest.package, registration.url)
            healed = endpoint.breaker.vouches_for(lost_at)
            alone = not endpoint.breaker.is_open and not healed
            if alone:
                with trio.move_on_after(around.lifecycle.probe_rare_s) as patience:
                    if rest.of_before:
                        await endpoint.until_good()
                    else:
                        await trio.sleep_forever()
                alone = patience.cancelled_caught
            turn = await self._turn_with_user(endpoint, lost_at)
            tries_out = alone or not endpoint.breaker.vouches_for(lost_at)
            if not self.roster.revive(
                rest, AppEvent.ENDPOINT_HEALED, turn=turn, tries_out=tries_out
            ):
                turn.over()

    async def _turn_with_user(self, endpoint: Endpoint, lost_at: float) -> Turn:
        """A turn at ``endpoint`` while the user is there; one that comes otherwise is passed on."""
        here = self.roster.desk.here
        while True:
            await here.until(lambda there: there)
            turn = await endpoint.turn(lost_at)
            if here.value:
                return turn
            turn.over()
