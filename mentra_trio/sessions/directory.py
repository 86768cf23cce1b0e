"""Who is alive here: at most one session per user, and the doors through which links come in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..domain.close_reasons import (
    APP_STOPPED,
    LINK_LOST,
    NO_SESSION,
    NOT_HERE_YET,
    NOT_STARTED,
    RESTARTING,
    SUPERSEDED,
    USER_SESSION_ENDED,
    CloseReason,
)
from ..domain.errors import InitRefused, SessionEnded, UnknownApp
from ..domain.facts import Crashed
from ..domain.ids import PackageName, UserId, user_of_session
from ..domain.lifecycle import ENDED, StopCause
from ..domain.starting import StartResult
from ..ports import Link
from .app_session import AppSession
from .roster import Roster
from .snapshots import UserSnapshot
from .surroundings import Surroundings
from .user_phases import run_user
from .user_session import UserSession

ENDED_TOKENS_REMEMBERED: Final = 10_000
"""Start attempts of ended user sessions whose late sockets are still recognised as such."""


@attrs.frozen(kw_only=True)
class AppClaim:
    """What an app whose key was verified says about itself when it connects.

    Attributes:
        package: verified by the key.
        session_id: as the app presents it; used only where nothing better names the user.
        user: from a header, where there was one.
        token: the start attempt that the URL's path names, where it names one.
    """

    package: PackageName
    session_id: str
    user: UserId | None
    token: str | None


@attrs.define(eq=False, repr=False)
class Directory:
    """All user sessions of one server. They run in ``nursery``, which outlives every connection."""

    surroundings: Surroundings
    nursery: trio.Nursery
    draining: bool = attrs.field(default=False, init=False)
    _users: dict[UserId, UserSession] = attrs.field(factory=dict, init=False)
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
            return await loan.returned()
        finally:
            loan.give_back(LINK_LOST)  # does nothing unless this connection was cancelled

    async def serve_app(self, claim: AppClaim, link: Link) -> CloseReason:
        """Serve the app of ``claim`` over ``link``; returns why the caller must now close it.

        Raises:
            InitRefused: the app is not admitted; nothing was sent.
        """
        loan = self.admit(claim).borrow(link)
        try:
            return await loan.returned()
        finally:
            loan.give_back(LINK_LOST)

    def admit(self, claim: AppClaim) -> AppSession:
        """The app session that ``claim`` may attach to.

        Raises:
            InitRefused: no such session, never started, over, or of a superseded attempt.

        Source: protocol.md 2.3, 2.5, 2.9.
        """
        if self.draining:
            raise InitRefused("", "the server is closing", RESTARTING)
        session = self._session_of(claim)
        if session is None or session.over:
            raise self._without_session(claim)
        app = session.roster.apps.get(claim.package)
        named = session.roster.remembers(claim.token) if claim.token else None
        if named is not None and named[0] != claim.package:
            raise InitRefused("APP_NOT_STARTED", NOT_STARTED.text, NOT_STARTED)
        if app is None or app.state in ENDED:
            raise _without_app(session.roster, claim)
        if named is not None and named[1] != app.epoch:
            raise InitRefused("", "a newer start has taken over", SUPERSEDED)
        return app

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
        """
        await self._known(package)
        return await self._live(user).roster.start(package)

    async def stop_app(self, user: UserId, package: PackageName) -> bool:
        """Stop an app as its user wants it; ``False`` if it was not running.

        Raises:
            UnknownApp: no such app is registered.
            SessionEnded: the user has no session.
        """
        await self._known(package)
        return await self._live(user).roster.stop(package)

    def app_removed(self, package: PackageName) -> None:
        """An app's registration is gone: end it for every user."""
        for session in self._users.values():
            session.roster.stop_now(package, StopCause.REMOVED)

    async def change_user_settings(
        self, user: UserId, changes: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Store ``changes`` (camelCase keys) and tell the user's apps; returns what is stored."""
        store = self.surroundings.store
        await store.put_user_settings(user, changes)
        stored = await store.user_settings(user)
        session = self._users.get(user)
        if session is not None:
            session.change_settings(dict(stored))
        return stored

    def users(self) -> list[UserSnapshot]:
        """All user sessions, by user id."""
        return [self._users[user].snapshot() for user in sorted(self._users)]

    def user(self, user: UserId) -> UserSnapshot | None:
        """One user's session, if there is one."""
        session = self._users.get(user)
        return session.snapshot() if session is not None else None

    def drain(self) -> None:
        """Take no more links, and end every session so that its peers may come back."""
        self.draining = True
        for session in list(self._users.values()):
            session.end(StopCause.SERVER_CLOSING)

    # -- lives -----------------------------------------------------------------------

    async def _obtain(self, user: UserId) -> UserSession | None:
        """The live session of ``user``, made if there is none; ``None`` while draining."""
        while (session := self._users.get(user)) is not None and session.over:
            await session.ended.wait()  # an earlier life is being wound down; that is bounded
        # No await between the look-up and the insert: at most one life per user.
        if self.draining:
            return None
        if session is None:
            session = UserSession(user, self.surroundings)
            self._users[user] = session
            self.nursery.start_soon(self._run_user, session, name=f"user {user}")
        return session

    async def _run_user(self, session: UserSession) -> None:
        """Bulkhead: whatever happens inside one user session stays inside it."""
        commands = trio.CancelScope(shield=True)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_commands, session, commands)
                try:
                    with contain(partial(self._crashed, session)):
                        await run_user(session)
                finally:
                    session.roster.wishes.queue.finish()
                    commands.deadline = trio.current_time() + self.surroundings.lifecycle.stop_s
        finally:
            del self._users[session.user]
            self._remember_ended(session)
            session.ended.set()
            session.report_over()

    def _remember_ended(self, session: UserSession) -> None:
        self._ended_tokens.update(dict.fromkeys(session.roster.tokens))
        while len(self._ended_tokens) > ENDED_TOKENS_REMEMBERED:
            self._ended_tokens.popitem(last=False)

    async def _keep_commands(self, session: UserSession, scope: trio.CancelScope) -> None:
        """Write down what the user commanded, also when the session is over before it is done."""
        with scope:
            await session.roster.wishes.queue.run()

    def _crashed(self, session: UserSession, error: BaseException) -> None:
        self.surroundings.telemetry.emit(
            Crashed(bulkhead="user session", who=session.user, error=error)
        )

    def _session_of(self, claim: AppClaim) -> UserSession | None:
        user = claim.user or user_of_session(claim.session_id, claim.package)
        return self._users.get(user) if user is not None else None

    def _live(self, user: UserId) -> UserSession:
        session = self._users.get(user)
        if session is None or session.over:
            raise SessionEnded(f"user {user} has no session")
        return session

    async def _known(self, package: PackageName) -> None:
        if await self.surroundings.store.app(package) is None:
            raise UnknownApp(f"App {package} not found")


def _without_app(roster: Roster, claim: AppClaim) -> InitRefused:
    """Why ``claim`` may not attach although its user is here."""
    if claim.token and not roster.knows_wishes:
        return InitRefused("", "what the user wants is not known yet", NOT_HERE_YET)
    if claim.token or roster.has_run(claim.package):
        return InitRefused("", "the app was stopped", APP_STOPPED)
    return InitRefused("APP_NOT_STARTED", NOT_STARTED.text, NOT_STARTED)
