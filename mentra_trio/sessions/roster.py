"""The apps of one user: who runs, who rests, who is to run, and the user's commands about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Final

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..concurrency.milestone import Milestone
from ..domain.backlog import Backlog
from ..domain.errors import SessionEnded, StoreFailed, UnknownApp, UpdatesOverflow
from ..domain.facts import Crashed, FreshSession, StartAnswered, StartJoined
from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import ENDED, OVER, AppEvent, AppState, StopCause, next_state
from ..domain.records import NO_RUNTIME, AppRecord
from ..domain.starting import StartResult, StartStage, failed
from ..domain.subscriptions import NOTHING
from .app_phases import run_app
from .app_session import AppSession
from .attempts import AttemptBook
from .compatibility import Compatibility
from .desk import Desk
from .endpoint import Turn
from .foreground import Foreground, Known
from .resting import Rest, Resting
from .returns import Returns
from .saving import fresh_backlog
from .snapshots import AppSnapshot
from .store_trouble import report_store_trouble
from .surroundings import Surroundings
from .wishes import WISHES_REMEMBERED, Wishes, until_written

APPS_AT_ONCE: Final = 100
"""App sessions of one user; the glasses' further starts are ignored until some have ended."""


@attrs.define(eq=False, repr=False)
class Roster:
    """A user's app sessions. They run in a nursery of the user session (``open``).

    ``start_failed`` is told the reason when an app could not be started, or was given up.
    """

    user: UserId
    surroundings: Surroundings
    desk: Desk
    start_failed: Callable[[str], None]
    apps: dict[PackageName, AppSession] = attrs.field(factory=dict, init=False)
    resting: Resting = attrs.field(init=False)
    wishes: Wishes = attrs.field(init=False)
    book: AttemptBook = attrs.field(factory=AttemptBook, init=False)
    knows_wishes: bool = attrs.field(default=False, init=False)
    """Whether what the user wanted before has been read, and begun."""
    returns: Returns = attrs.field(init=False)
    foreground: Foreground = attrs.field(init=False)
    compatibility: Compatibility = attrs.field(init=False)
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _ready: Milestone = attrs.field(factory=Milestone, init=False)
    _lives: Counter[PackageName] = attrs.field(factory=Counter, init=False)
    _stops: Counter[PackageName] = attrs.field(factory=Counter, init=False)
    """Stops so far. A start that finds more of them than when it was given is void."""
    _awaited: Counter[PackageName] = attrs.field(factory=Counter, init=False)
    """Starts that were asked for and have neither made nor joined a session yet."""
    _later: dict[PackageName, int] = attrs.field(factory=dict, init=False)
    """Starts of the glasses whose checks are not done, with the stops at the time of each."""

    def __attrs_post_init__(self) -> None:
        self.wishes = Wishes(self.user, self.surroundings)
        self.resting = Resting(self.user, self.surroundings)
        self.returns = Returns(self)
        self.foreground = Foreground(self)
        self.compatibility = Compatibility(self)

    # -- commands ------------------------------------------------------------------

    async def start(self, package: PackageName) -> StartResult:
        """Start ``package``, or join what is under way to bring it up; the same result for all.

        The attempt runs in the session's nursery, not in the caller's task: a caller that gives
        up takes nobody else's attempt with it. In grace this waits for the app to come back by
        itself, and has it called if it does not; while it is awaited later, it is called now.

        Raises:
            UnknownApp: no such app is registered; asked only where it is not started already.
            StoreFailed: that could not be found out, or the command could not be written down.
        """
        began = trio.current_time()
        mark = self._stops[package]
        self.foreground.asked_for(package)
        self._awaited[package] += 1
        try:
            await self._ready.wait()
            app = self._obtain(package, mark, await self.foreground.look(package))
        finally:
            self._awaited -= Counter([package])
        if isinstance(app, StartResult):
            return app
        written = self.wishes.note(package, wanted=True)  # as it was a moment ago: the same one
        result = await app.ask().wait()
        seconds = trio.current_time() - began
        self.surroundings.telemetry.emit(
            StartAnswered(user=self.user, package=package, success=result.success, seconds=seconds)
        )
        if result.success:  # a failure is told at once, also while the store is slow
            await until_written(written)
        return result

    async def stop(self, package: PackageName) -> bool:
        """Stop ``package`` as the user wants it; ``False`` if it was not running.

        It is stopped at once; this returns when the command is recorded.
        """
        running = self.stop_now(package, StopCause.USER)
        await self.wishes.write_stop(package)
        return running

    def begin_start(self, package: PackageName) -> None:
        """As ``start``, for the glasses, who wait for nothing.

        Raises:
            UpdatesOverflow: too many apps run.
            SessionEnded: the session is over.
        """
        begun = self.apps.keys() | self._later.keys()
        if len(begun) >= APPS_AT_ONCE and package not in begun:
            raise UpdatesOverflow(f"{APPS_AT_ONCE} apps run already")
        self.foreground.asked_for(package)
        if self._nursery is None:
            self.wishes.note(package, wanted=True)
            return  # it is begun with whatever else the user wants
        waits_already = package in self._later
        self._later[package] = self._stops[package]
        if not waits_already:
            self._nursery.start_soon(self._start_later, package, name=f"start {package}")

    def begin_stop(self, package: PackageName) -> None:
        """As ``stop``, for the glasses; it is stopped in any case.

        Raises:
            UpdatesOverflow: too many commands wait for the store.
            SessionEnded: the session is over.
        """
        self.stop_now(package, StopCause.USER)
        self.wishes.note(package, wanted=False)

    def stop_now(self, package: PackageName, cause: StopCause) -> bool:
        """Stop ``package``, and whatever start of it waits; ``False`` if it was not running."""
        if package in self.packages or self._is_awaited(package):
            self._stops[package] += 1
        return self.end_app(package, cause)

    def end_app(self, package: PackageName, cause: StopCause, because: str = "") -> bool:
        """As ``stop_now``, but a start of ``package`` that waits goes on."""
        app = self.apps.get(package)
        self.compatibility.forget(package)
        rested = self.resting.stop(package, cause, because)
        if rested:
            self._forget(package)
            self.desk.app_over(package)
            self.desk.apps_changed()
        if app is None or app.state in ENDED:
            return rested
        app.stop(cause, because)
        return True

    # -- lives -----------------------------------------------------------------------

    def open(self, nursery: trio.Nursery) -> None:
        """Let apps run in ``nursery`` from now on."""
        self._nursery = nursery
        self._ready.set()

    def spawn(self, rest: Rest) -> None:
        """Have an evicted app wait for its server, in the same nursery."""
        if self._nursery is not None:
            name = f"evicted {rest.package}"
            self._nursery.start_soon(self.returns.until_healed, rest, name=name)

    def end(self, cause: StopCause) -> None:
        """End every app, and take no new one. Idempotent."""
        self._nursery = None
        self._ready.set()
        self._remember_starts()
        for app in list(self.apps.values()):
            app.stop(cause)
        for rest in self.resting:
            self.resting.stop(rest.package, cause)

    def has_run(self, package: PackageName) -> bool:
        """Whether ``package`` was started in this session, now or earlier."""
        return self._lives[package] > 0

    def snapshots(self) -> Iterator[AppSnapshot]:
        """How all apps look now, by package."""
        live = {package: app.snapshot() for package, app in self.apps.items()}
        found = {rest.package: rest.snapshot() for rest in self.resting} | live
        return (found[package] for package in sorted(found))

    @property
    def packages(self) -> set[PackageName]:
        """Every app that runs or rests."""
        return {*self.apps, *(rest.package for rest in self.resting)}

    async def until_clear(self, package: PackageName) -> None:
        """Until no session of ``package`` is about to end."""
        while (app := self.apps.get(package)) is not None and app.state in OVER:
            await app.ended.wait()

    def revive(
        self, rest: Rest, event: AppEvent, *, turn: Turn | None = None, tries_out: bool = False
    ) -> AppSession | None:
        """A fresh session that goes on from ``rest``; ``None`` if no session may begin any more."""
        if self._nursery is None or self.resting.wake(rest.package) is None:
            return None
        app = self.begin(
            rest.package,
            next_state(rest.record.state, event),
            event.value.replace("_", " "),
            record=rest.record,
            backlog=rest.backlog,
            event=event,
        )
        if app is not None:
            app.turn, app.tries_out, app.unsaved_from = turn, tries_out, rest.unsaved_from
        return app

    def begin(
        self,
        package: PackageName,
        state: AppState,
        cause: str,
        *,
        record: AppRecord | None = None,
        backlog: Backlog | None = None,
        event: AppEvent | None = None,
    ) -> AppSession | None:
        """A fresh session of ``package`` in ``state``; ``None`` if none may begin any more.

        ``record`` and ``backlog`` are what is left of the one before, ``event`` what led from
        there to here. A session without a record accepts no socket of an earlier attempt.
        """
        if self._nursery is None:
            return None
        self._lives[package] = max(self._lives[package], record.epoch if record else 0) + 1
        app = AppSession(
            self.user,
            package,
            epoch=self._lives[package],
            surroundings=self.surroundings,
            desk=self.desk,
            book=self.book,
            state=state,
            cause=cause,
            floor=record.floor if record else self.book.newest(package) + 1,
            runtime=record.runtime if record else NO_RUNTIME,
            subscriptions=record.subscriptions if record else NOTHING,
            reconnect_hash=record.reconnect_hash if record else "",
            began_as=record.state if record and event else None,
            began_by=event,
            backlog=fresh_backlog(self.surroundings.lifecycle) if backlog is None else backlog,
        )
        self.apps[package] = app
        self.surroundings.telemetry.emit(
            FreshSession(user=self.user, package=package, cause=cause, epoch=app.epoch)
        )
        self._nursery.start_soon(self._run_app, app, name=f"app {package}")
        self.desk.apps_changed()
        return app

    def was_stopped(self, package: PackageName) -> bool:
        """Whether ``package`` was stopped, or has given way, since this session began."""
        return self._stops[package] > 0 or self.wishes.is_given_up(package)

    def _is_awaited(self, package: PackageName) -> bool:
        """Whether a stop now must be heard of by a start that was given before."""
        if package in self._later or self._awaited[package]:
            return True
        return not self.knows_wishes and len(self._stops) < WISHES_REMEMBERED

    async def _start_later(self, package: PackageName) -> None:
        try:
            known = await self.foreground.look(package)
        except (UnknownApp, StoreFailed) as error:
            del self._later[package]
            if isinstance(error, StoreFailed):
                report_store_trouble(self.surroundings, self.user, error)
                error = StoreFailed(f"App {package}: {error}")
            self.start_failed(str(error))
            return
        app = self._obtain(package, self._later.pop(package), known)
        if isinstance(app, AppSession):
            app.ask()
        elif app.stage in {StartStage.INTERNAL_ERROR, StartStage.HARDWARE_CHECK}:
            self.start_failed(app.message)

    def _remember_starts(self) -> None:
        """What the end of the session has overtaken is still wanted; the last command last."""
        for package in sorted(self._later, key=self.foreground.command_of):
            if self._stops[package] == self._later[package]:
                with suppress(UpdatesOverflow, SessionEnded):
                    self.wishes.note(package, wanted=True)

    def _obtain(self, package: PackageName, mark: int, known: Known) -> AppSession | StartResult:
        """The live session of ``package``, made if there is none; or why there is none.

        No await in here between the look-up and the insert: nobody can slip in between.
        """
        stopped = failed(StartStage.CONNECTION, f"App {package}: stopped while it was to start")
        if self._nursery is None or self._stops[package] != mark:
            return stopped
        app = self.apps.get(package)
        refused = self.foreground.take(package, known)
        if refused is not None:
            return refused
        if app is not None:
            if not app.outcome.settled:
                self.surroundings.telemetry.emit(StartJoined(user=self.user, package=package))
            return app
        rest = self.resting.get(package)
        if rest is not None:
            return self.revive(rest, AppEvent.START_REQUESTED) or stopped
        return self.begin(package, AppState.CONNECTING, "started") or stopped

    async def _run_app(self, app: AppSession) -> None:
        """Bulkhead: whatever happens inside one app stays inside that app."""
        try:
            with contain(partial(self._app_crashed, app)):
                await run_app(app)
        finally:
            del self.apps[app.package]
            if app.registration is None:
                self._lives -= Counter([app.package])  # it never lived, whatever its name was
            self.returns.after(app)
            app.ended.set()
            self.desk.apps_changed()

    def _forget(self, package: PackageName) -> None:
        self.surroundings.keeper.forget(self.user, package)

    def _app_crashed(self, app: AppSession, error: BaseException) -> None:
        who = f"{app.package} of {self.user}"
        self.returns.crashed(app.package, error)
        self.surroundings.telemetry.emit(Crashed(bulkhead="app session", who=who, error=error))
