"""Who is alive here: at most one session per user, and the doors through which links come in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..domain.attachment import UserState
from ..domain.breaker import Sign
from ..domain.close_reasons import (
    LINK_LOST,
    NO_SESSION,
    NOT_HERE_YET,
    RESTARTING,
    USER_SESSION_ENDED,
    CloseReason,
)
from ..domain.errors import InitRefused, SessionEnded, UnknownApp
from ..domain.facts import Crashed
from ..domain.ids import AppSessionId, PackageName, UserId, user_of_session
from ..domain.lifecycle import OVER, StopCause
from ..domain.starting import StartResult
from ..domain.timings import RECALL_PAUSE_S
from ..ports import Link
from .claims import AppClaim as AppClaim
from .claims import about_to_change, admit
from .endpoint import EndpointSnapshot
from .health import watch_health
from .prospects import explanation
from .settings import store_user_settings
from .snapshots import UserSnapshot, page_of
from .surroundings import Surroundings
from .user_phases import run_user
from .user_session import UserSession

RECALLED_AT_ONCE: Final = 20
"""Sessions of before that are begun in one turn of the event loop."""

DRAINED_AT_ONCE: Final = 20
"""Sessions that are ended in one turn of the event loop."""

ENDED_TOKENS_REMEMBERED: Final = 10_000
"""Start attempts of ended user sessions whose late sockets are still recognised as such."""


@attrs.define(eq=False, repr=False)
class Directory:
    """All user sessions of one server. They run in ``nursery``, which outlives every connection."""

    surroundings: Surroundings
    nursery: trio.Nursery
    draining: bool = attrs.field(default=False, init=False)
    _users: dict[UserId, UserSession] = attrs.field(factory=dict, init=False)
    _recalled: dict[UserId, None] = attrs.field(factory=dict, init=False)
    """Whose sessions of before have not begun again yet, in the order in which they will."""
    _came: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set, and replaced, when a session begins, and when none will any more."""
    _began: float = attrs.field(factory=trio.current_time, init=False)
    _ended_tokens: OrderedDict[str | None, None] = attrs.field(factory=OrderedDict, init=False)
    """Attempts of user sessions that have ended, the oldest first."""

    # -- doors ---------------------------------------------------------------------

    async def serve_glasses(self, user: UserId, link: Link) -> CloseReason:
        """Serve ``user`` over ``link``; returns why the caller must now close it.

        A link of the same user that is in use already is replaced.
        """
        session = await self._obtain(user)
        if session is None:
            return RESTARTING
        loan = session.offers.offer(link)
        try:
            return await link.attend(loan)
        finally:
            loan.give_back(LINK_LOST)  # does nothing unless this connection was cancelled

    async def serve_app(self, claim: AppClaim, link: Link) -> CloseReason:
        """Serve the app of ``claim`` over ``link``; returns why the caller must now close it.

        Raises:
            InitRefused: the app is not admitted; nothing was sent.
        """
        session = await self._session_for(claim)
        app, serial = admit(session.roster, claim)
        loan = app.borrow(claim.arrival(link, serial))
        try:
            return await link.attend(loan)
        finally:
            loan.give_back(LINK_LOST)

    def awaits(self, claim: AppClaim) -> bool:
        """Whether the user whom ``claim`` names has no session here and may still come back.

        For as long after our start as the user of a server before us may have been away.
        """
        young = trio.current_time() - self._began < self.surroundings.lifecycle.user_grace_s
        return young and not self.draining and not self._is_here(claim)

    async def until_here(self, claim: AppClaim) -> None:
        """Wait until the user whom ``claim`` names has a session, and its apps are known.

        Or until the server is closing: nobody will come any more.
        """
        while not self._is_here(claim) and not self.draining:
            await self._came.wait()
        session = self._session_of(claim)
        if session is not None:
            await session.recalled.wait()

    def _is_here(self, claim: AppClaim) -> bool:
        return self._session_of(claim) is not None or _user_of(claim) in self._recalled

    async def _session_for(self, claim: AppClaim) -> UserSession:
        """The session of the user whom ``claim`` names, with all that was known of it before.

        Raises:
            InitRefused: there is none, it is over, or it could not be recalled in time.
        """
        session = self._session_of(claim)
        if session is None and not self.draining:
            user = _user_of(claim)
            if user is not None and user in self._recalled:
                session = self._begin(user, UserState.DISCONNECTED)
        if session is not None:
            with trio.move_on_after(self.surroundings.limits.auth_s):
                await session.recalled.wait()
                while about_to_change(app := session.roster.apps.get(claim.package)):
                    assert app is not None
                    await app.ended.wait()
        if self.draining:
            raise InitRefused("", "the server is closing", RESTARTING)
        if session is None or session.over:
            raise self._without_session(claim)
        if not session.recalled.is_set():
            raise InitRefused("", "the user's session is not recalled yet", NOT_HERE_YET)
        return session

    def _without_session(self, claim: AppClaim) -> InitRefused:
        """Why there is no session for ``claim``.

        A URL with a token was made for a start: this runtime may have had an ack, here or from
        the server before us, and after a 1008 it would take itself for alive (protocol.md 2.8).
        """
        if claim.token in self._ended_tokens:
            return InitRefused("", "the user session ended", USER_SESSION_ENDED)
        if claim.token:
            return InitRefused("", "the user has no session here yet", NOT_HERE_YET)
        return InitRefused("SESSION_NOT_FOUND", NO_SESSION.text, NO_SESSION)

    def key_rejected(
        self, package: PackageName, session_id: str, user: UserId | None, token: str | None
    ) -> None:
        """An app came with a wrong key: a start that waits for exactly it need not wait longer.

        Only a socket that names the attempt counts; anybody could claim the rest.
        """
        claim = AppClaim(package=package, session_id=session_id, user=user, token=token)
        session = self._session_of(claim)
        app = session.roster.apps.get(package) if session is not None else None
        if app is not None and app.attempt is not None and app.attempt.token == token:
            app.attempt.key_rejected.set()

    # -- commands ------------------------------------------------------------------

    async def start_app(self, user: UserId, package: PackageName) -> StartResult:
        """Start an app for a user whose session is alive; the outcome of the one attempt.

        Raises:
            UnknownApp: no such app is registered.
            SessionEnded: the user has no session.
            StoreFailed: as ``Roster.start``.
        """
        if user not in self._users:
            await self._known(package)
        return await self.live(user).roster.start(package)

    async def stop_app(self, user: UserId, package: PackageName) -> bool:
        """Stop an app as its user wants it; ``False`` if it was not running.

        Raises:
            UnknownApp: no such app is registered.
            SessionEnded: the user has no session.
        """
        await self._known(package)
        return await self.live(user).roster.stop(package)

    def app_removed(self, package: PackageName) -> None:
        """An app's registration is gone: end it for every user."""
        for session in self._users.values():
            session.roster.stop_now(package, StopCause.REMOVED)
        self.surroundings.endpoints.forget(package)

    def app_changed(self, package: PackageName, url: str) -> None:
        """An app was registered, maybe anew: whoever waits for its server looks at ``url``."""
        if self.surroundings.endpoints.known(package) is not None:
            self.surroundings.endpoints.found_at(package, url)

    async def recover_app(self, package: PackageName) -> int:
        """The server of ``package`` says that it was restarted: bring its sessions back.

        Returns how many of them run again, as far as that is known within ``connect_s`` seconds.
        The rest follow at the rate of the endpoint (seed 004).
        """
        endpoint = self.surroundings.endpoints.known(package)
        if endpoint is not None:
            endpoint.tell(Sign.GOOD)
        rosters = [session.roster for session in self._users.values() if not session.over]
        outcomes = [found for one in rosters if (found := one.returns.recover(package))]
        with trio.move_on_after(self.surroundings.lifecycle.connect_s):
            for outcome in outcomes:
                await outcome.wait()
        # One that takes longer hides none of those that came back meanwhile.
        known = [outcome.peek() for outcome in outcomes]
        return sum(result is not None and result.success for result in known)

    async def change_user_settings(
        self, user: UserId, changes: Mapping[str, Any], *, by_phone: bool = False
    ) -> Mapping[str, Any]:
        """Store ``changes`` (camelCase keys); tell apps, and the phone unless it is ``by_phone``.

        Returns what is stored, and raises, as ``settings.store_user_settings``.
        """
        stored = await store_user_settings(self.surroundings.store, user, changes)
        session = self._users.get(user)
        if session is not None:
            session.change_settings(stored, by_phone=by_phone)
        return stored

    def users(self, *, after: str = "", limit: int | None = None) -> list[UserSnapshot]:
        """User sessions by user id: all, or the first ``limit`` of those behind ``after``."""
        return [self._users[user].snapshot() for user in page_of(self._users, after, limit)]

    def active(self, package: PackageName) -> list[AppSessionId]:
        """The sessions that an app has now, or is getting back, by user id."""
        apps = ((user, one.roster.apps.get(package)) for user, one in self._users.items())
        active = {user: app for user, app in apps if app is not None and app.state not in OVER}
        return [active[user].session_id for user in sorted(active)]

    def user(self, user: UserId) -> UserSnapshot | None:
        """One user's session, if there is one."""
        session = self._users.get(user)
        return session.snapshot() if session is not None else None

    def explain(self, user: UserId, package: PackageName, story: Sequence[str]) -> list[str]:
        """Why an app is in its state: that state, ``story``, and what comes next.

        ``story`` is what has led there, newest last; as much of it is told as there is room for.
        """
        now = self.surroundings.environment.utcnow()
        session = self._users.get(user)
        apps = session.roster.snapshots() if session is not None else ()
        app = next((app for app in apps if app.package == package), None)
        endpoint = self.surroundings.endpoints.known(package)
        server = endpoint.snapshot() if endpoint is not None else None
        return explanation(app, server, story, self.surroundings.lifecycle, now)

    def endpoint(self, package: PackageName) -> EndpointSnapshot | None:
        """How the server of an app is; ``None`` if nobody has used it since we began."""
        endpoint = self.surroundings.endpoints.known(package)
        return endpoint.snapshot() if endpoint is not None else None

    async def close(self) -> None:
        """Begin nothing new, and write down what sessions are; they still go on."""
        self.begin_nothing_new()
        await self.surroundings.keeper.finish()

    async def drain_in_lots(self) -> None:
        """As ``drain``, a few sessions at a time: what closes their links goes on meanwhile."""
        self.begin_nothing_new()
        for number, session in enumerate(list(self._users.values()), start=1):
            session.end(StopCause.SERVER_CLOSING)
            if number % DRAINED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    def drain(self) -> None:
        """Take no more links, and end every session so that its peers may come back."""
        self.begin_nothing_new()
        for session in list(self._users.values()):
            session.end(StopCause.SERVER_CLOSING)

    def begin_nothing_new(self) -> None:
        """The server is closing: no session begins any more; those there are go on."""
        self.draining = True
        self._wake()

    def _wake(self) -> None:
        """Have those look again who wait for a session to begin."""
        self._came.set()
        self._came = trio.Event()

    # -- lives -----------------------------------------------------------------------

    async def recall(self) -> None:
        """Read of whom there are sessions that a server before this one was keeping.

        To be called before anybody is served, so that no app of theirs is turned away.
        """
        self._recalled.update(dict.fromkeys(await self.surroundings.store.saved_users()))

    async def run(self) -> None:
        """Keep what sessions are, bring back those of before, and watch app servers, for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.surroundings.pulse.run, name="pulse")
            nursery.start_soon(self.surroundings.keeper.run, name="keeper")
            nursery.start_soon(watch_health, self.surroundings, self.packages, name="health")
            nursery.start_soon(self._begin_recalled, name="recalled sessions")

    async def _begin_recalled(self) -> None:
        """Begin the sessions of before, a few at a time: those who ask for theirs come first."""
        while self._recalled and not self.draining:
            for user in list(islice(self._recalled, RECALLED_AT_ONCE)):
                self._begin(user, UserState.DISCONNECTED)
            await trio.sleep(RECALL_PAUSE_S)

    def packages(self) -> list[PackageName]:
        """The apps that somebody uses now, or would if they were there; by package."""
        return sorted({app for one in self._users.values() for app in one.roster.packages})

    async def _obtain(self, user: UserId) -> UserSession | None:
        """The live session of ``user``, made if there is none; ``None`` while draining."""
        while (session := self._users.get(user)) is not None and session.over:
            await session.ended.wait()  # an earlier life is being wound down; that is bounded
        return session or self._begin(user, UserState.INITIALIZING)

    def _begin(self, user: UserId, state: UserState) -> UserSession | None:
        """A session of ``user`` in ``state``; ``None`` while draining.

        At most one life per user: the caller has just seen that there is none.
        """
        if self.draining:
            return None
        known_before = user in self._recalled
        self._recalled.pop(user, None)
        session = UserSession(user, self.surroundings, state, known_before)
        self._users[user] = session
        session.roster.wishes.queue.open(self.nursery)
        self._wake()
        self.nursery.start_soon(self._run_user, session, name=f"user {user}")
        return session

    async def _run_user(self, session: UserSession) -> None:
        """Bulkhead: whatever happens inside one user session stays inside it."""
        try:
            with contain(partial(self._crashed, session)):
                await run_user(session)
        finally:
            with trio.CancelScope(shield=True):  # what the user commanded is written down
                await session.roster.wishes.queue.finish(self.surroundings.lifecycle.stop_s)
            del self._users[session.user]
            self._remember_ended(session)
            if not self.draining:
                self.surroundings.keeper.forget(session.user)
            session.ended.set()
            session.report_over()

    def _remember_ended(self, session: UserSession) -> None:
        self._ended_tokens.update(dict.fromkeys(session.roster.book.tokens))
        while len(self._ended_tokens) > ENDED_TOKENS_REMEMBERED:
            self._ended_tokens.popitem(last=False)

    def _crashed(self, session: UserSession, error: BaseException) -> None:
        self.surroundings.telemetry.emit(
            Crashed(bulkhead="user session", who=session.user, error=error)
        )

    def _session_of(self, claim: AppClaim) -> UserSession | None:
        user = _user_of(claim)
        return self._users.get(user) if user is not None else None

    def live(self, user: UserId) -> UserSession:
        """The session that ``user`` has now; raises ``SessionEnded`` if there is none."""
        session = self._users.get(user)
        if session is None or session.over:
            raise SessionEnded(f"user {user} has no session")
        return session

    async def _known(self, package: PackageName) -> None:
        if await self.surroundings.store.app(package) is None:
            raise UnknownApp(f"App {package} not found")


def _user_of(claim: AppClaim) -> UserId | None:
    return claim.user or user_of_session(claim.session_id, claim.package)
