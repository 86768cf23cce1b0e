"""The apps of one user: who runs, who is to run, and the user's commands about them."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..domain.errors import UpdatesOverflow
from ..domain.facts import Crashed, StartJoined
from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import ENDED, AppState, StopCause
from ..domain.starting import StartResult, StartStage, failed
from .app_phases import run_app
from .app_session import AppSession
from .desk import Desk
from .surroundings import Surroundings
from .wishes import WISHES_REMEMBERED, Wishes, until_written

APPS_AT_ONCE: Final = 100
"""App sessions of one user; the glasses' further starts are ignored until some have ended."""

TOKENS_REMEMBERED: Final = 256
"""Start attempts of one user whose late sockets are still recognised as such."""

UNDECIDED: Final = ENDED | {AppState.GRACE_PERIOD}
"""States in which a start waits for what comes next: at most the grace or the wind-down."""


@attrs.define(eq=False, repr=False)
class Roster:
    """A user's app sessions. They run in a nursery of the user session (``open``).

    ``start_failed`` is told the reason when an app could not be started.
    """

    user: UserId
    surroundings: Surroundings
    desk: Desk
    start_failed: Callable[[str], None]
    apps: dict[PackageName, AppSession] = attrs.field(factory=dict, init=False)
    wishes: Wishes = attrs.field(init=False)
    knows_wishes: bool = attrs.field(default=False, init=False)
    """Whether what the user wanted before has been read, and begun."""
    _nursery: trio.Nursery | None = attrs.field(default=None, init=False)
    _ready: trio.Event = attrs.field(factory=trio.Event, init=False)
    _tokens: OrderedDict[str, tuple[PackageName, int]] = attrs.field(
        factory=OrderedDict, init=False
    )
    _lives: Counter[PackageName] = attrs.field(factory=Counter, init=False)
    _stops: Counter[PackageName] = attrs.field(factory=Counter, init=False)
    """Stops so far. A start that finds more of them than when it was given is void."""
    _awaited: Counter[PackageName] = attrs.field(factory=Counter, init=False)
    """Starts that were asked for and have neither made nor joined a session yet."""
    _later: dict[PackageName, int] = attrs.field(factory=dict, init=False)
    """Starts of the glasses that wait for a decision, with the stops at that time."""

    def __attrs_post_init__(self) -> None:
        self.wishes = Wishes(self.user, self.surroundings)

    # -- commands ------------------------------------------------------------------

    async def start(self, package: PackageName) -> StartResult:
        """Start ``package``, or join the start that is under way; the same result for all.

        The attempt runs in the session's nursery, not in the caller's task: a caller that gives
        up takes nobody else's attempt with it. In grace this waits for the app to come back,
        and starts it anew if it does not.
        """
        mark = self._stops[package]
        self._awaited[package] += 1
        try:
            await self._ready.wait()
            await self._until_decided(package)
            app = self._obtain(package, mark)
        finally:
            self._awaited -= Counter([package])
        if app is None:
            return failed(StartStage.CONNECTION, f"App {package}: stopped while it was to start")
        try:
            written = self.wishes.note(package, wanted=True)
        except UpdatesOverflow as error:
            return failed(StartStage.INTERNAL_ERROR, str(error))
        result = await app.started.wait()
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
            UpdatesOverflow: too many commands wait for the store, or too many apps run.
            SessionEnded: the session is over.
        """
        if len(self.apps) >= APPS_AT_ONCE and package not in self.apps:
            raise UpdatesOverflow(f"{APPS_AT_ONCE} apps run already")
        self.wishes.note(package, wanted=True)
        app = self.apps.get(package)
        if self._nursery is None or app is None or app.state not in UNDECIDED:
            self._obtain(package, self._stops[package])
            return
        waits_already = package in self._later
        self._later[package] = self._stops[package]
        if not waits_already:
            self._nursery.start_soon(self._start_later, package, name=f"start {package}")

    def begin_stop(self, package: PackageName) -> None:
        """As ``stop``, for the glasses; raises as ``begin_start``, but stops in any case."""
        self.stop_now(package, StopCause.USER)
        self.wishes.note(package, wanted=False)

    def stop_now(self, package: PackageName, cause: StopCause) -> bool:
        """Stop ``package``, and whatever start of it waits; ``False`` if it was not running."""
        app = self.apps.get(package)
        if app is not None or self._is_awaited(package):
            self._stops[package] += 1
        if app is None or app.state in ENDED:
            return False
        app.stop(cause)
        return True

    async def start_wanted(self) -> None:
        """Start all apps that the user wants running, side by side."""
        for package in await self.wishes.all():
            if package not in self.apps:
                self._obtain(package, 0)  # none, where a stop came first
        self.knows_wishes = True

    # -- attempts and their tokens ---------------------------------------------------

    def remembers(self, token: str) -> tuple[PackageName, int] | None:
        """The app and the life of it that ``token`` was made for, if it was made here."""
        return self._tokens.get(token)

    def has_run(self, package: PackageName) -> bool:
        """Whether ``package`` was started in this session, now or earlier."""
        return self._lives[package] > 0

    @property
    def tokens(self) -> Iterable[str]:
        """The tokens that are remembered."""
        return self._tokens

    def _remember(self, token: str, package: PackageName, epoch: int) -> None:
        self._tokens[token] = (package, epoch)
        while len(self._tokens) > TOKENS_REMEMBERED:
            self._tokens.popitem(last=False)

    # -- lives -----------------------------------------------------------------------

    def open(self, nursery: trio.Nursery) -> None:
        """Let apps run in ``nursery`` from now on."""
        self._nursery = nursery
        self._ready.set()

    def end(self, cause: StopCause) -> None:
        """End every app, and take no new one. Idempotent."""
        self._nursery = None
        self._ready.set()
        for app in list(self.apps.values()):
            app.stop(cause)

    def tell(self, message: str) -> None:
        """Send an encoded message to every attached app."""
        for app in self.apps.values():
            app.send(message)

    def _is_awaited(self, package: PackageName) -> bool:
        """Whether a stop now must be heard of by a start that was given before."""
        if package in self._later or self._awaited[package]:
            return True
        return not self.knows_wishes and len(self._stops) < WISHES_REMEMBERED

    async def _until_decided(self, package: PackageName) -> None:
        """Until a look at ``package`` tells whether to join its session or to make a new one."""
        while (app := self.apps.get(package)) is not None and app.state in UNDECIDED:
            await (app.ended if app.state in ENDED else app.moved).wait()

    async def _start_later(self, package: PackageName) -> None:
        await self._until_decided(package)
        self._obtain(package, self._later.pop(package))

    def _obtain(self, package: PackageName, mark: int) -> AppSession | None:
        """The live session of ``package``, made if there is none; ``None`` if a stop came.

        No await in here between the look-up and the insert: nobody can slip in between.
        """
        if self._nursery is None or self._stops[package] != mark:
            return None
        app = self.apps.get(package)
        if app is not None:
            if not app.started.settled:
                self.surroundings.telemetry.emit(StartJoined(user=self.user, package=package))
            return app
        self._lives[package] += 1
        app = AppSession(
            user=self.user,
            package=package,
            epoch=self._lives[package],
            surroundings=self.surroundings,
            desk=self.desk,
            remember=self._remember,
        )
        self.apps[package] = app
        self._nursery.start_soon(self._run_app, app, name=f"app {package}")
        self.desk.apps_changed()
        return app

    async def _run_app(self, app: AppSession) -> None:
        """Bulkhead: whatever happens inside one app stays inside that app."""
        try:
            with contain(partial(self._app_crashed, app)):
                await run_app(app)
        finally:
            del self.apps[app.package]
            if app.registration is None:
                del self._lives[app.package]  # it never lived, whatever its name was
            app.ended.set()
            result = app.started.peek()
            if app.stop_cause is StopCause.START_FAILED and result is not None:
                self.start_failed(result.message)
            self.desk.apps_changed()

    def _app_crashed(self, app: AppSession, error: BaseException) -> None:
        who = f"{app.package} of {self.user}"
        self.surroundings.telemetry.emit(Crashed(bulkhead="app session", who=who, error=error))
