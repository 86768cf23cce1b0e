"""What an app says about itself when it connects, and why it may not attach.

After a 1008 an app that had an ack takes itself for alive and never comes back (protocol.md
2.8). So it is used only where this runtime cannot have had one, or must not come back.
"""

from __future__ import annotations

import attrs

from ..domain.close_reasons import (
    APP_STOPPED,
    NOT_HERE_YET,
    NOT_STARTED,
    STALE_TOKEN,
    SUPERSEDED,
)
from ..domain.errors import InitRefused
from ..domain.facts import FalseResurrection
from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import ENDED, RESTING, AppEvent, StopCause
from ..ports import Link
from .app_session import AppSession
from .arrivals import Arrival
from .reconnect_tokens import is_current
from .roster import Roster


@attrs.frozen(kw_only=True)
class AppClaim:
    """What an app whose key was verified says about itself when it connects.

    Attributes:
        package: verified by the key.
        session_id: as the app presents it; used only where nothing better names the user.
        user: from a header, where there was one.
        token: the start attempt that the URL's path names, where it names one.
        reconnect: whether it says that it was here before (seed 003).
        reconnect_token: with which it shows that; empty where it has none.
        resumes: whether it says so in the words of SDK v3 (protocol.md, appendix A).
    """

    package: PackageName
    session_id: str
    user: UserId | None
    token: str | None = attrs.field(repr=False)
    reconnect: bool = False
    reconnect_token: str = attrs.field(default="", repr=False)
    resumes: bool = False

    def arrival(self, link: Link, serial: int | None) -> Arrival:
        """The app at the door of its session."""
        return Arrival(
            link=link,
            serial=serial,
            reconnect=self.reconnect or bool(self.reconnect_token) or self.resumes,
            resumes=self.resumes,
        )


def admit(roster: Roster, claim: AppClaim) -> tuple[AppSession, int | None]:
    """The session that ``claim`` may attach to, revived if it is at rest, and its attempt.

    Raises:
        InitRefused: never started, over, of an attempt that a later one has replaced, or with a
            reconnect token that is not the latest.

    Source: protocol.md 2.3, 2.5, 2.9.
    """
    named = roster.book.find(claim.token) if claim.token else None
    if named is not None and named[0] != claim.package:
        raise InitRefused("APP_NOT_STARTED", NOT_STARTED.text, NOT_STARTED)
    serial = named[1] if named is not None else None
    app, rest = roster.apps.get(claim.package), roster.resting.get(claim.package)
    if app is None and rest is not None and not rest.record.quarantined:
        _check_attempt(roster, claim, serial, rest.record.floor)
        _check_token(claim, rest.record.reconnect_hash)
        app = roster.revive(rest, AppEvent.LINK_ATTACHED)
    if app is None or app.state in ENDED:
        raise _without_app(roster, claim)
    _check_attempt(roster, claim, serial, app.floor)
    _check_token(claim, app.reconnect_hash)
    return app, serial


def about_to_change(app: AppSession | None) -> bool:
    """Whether another session, or a rest, is about to take the place of ``app``."""
    if app is None:
        return False
    crashed = app.state in ENDED and app.stop_cause is StopCause.CRASHED
    return crashed or app.state in RESTING


def _check_attempt(roster: Roster, claim: AppClaim, serial: int | None, floor: int) -> None:
    """A later attempt was delivered: this is a late socket of a runtime that was replaced.

    Or the app itself has said that this attempt has failed.
    """
    if serial is None or serial >= floor:
        return
    app = roster.apps.get(claim.package)
    if app is not None and app.attempt is not None and app.attempt.serial == serial:
        raise InitRefused("", "the start that it comes of has failed", APP_STOPPED)
    known = app is not None and serial in {app.runtime, app.former}
    if app is not None and known and serial not in app.replaced:
        app.replaced.add(serial)
        roster.surroundings.telemetry.emit(
            FalseResurrection(user=roster.user, package=claim.package)
        )
    raise InitRefused("", "a newer start has taken over", SUPERSEDED)


def _check_token(claim: AppClaim, reconnect_hash: str) -> None:
    if claim.reconnect_token and not is_current(claim.reconnect_token, reconnect_hash):
        raise InitRefused("STALE_RECONNECT_TOKEN", STALE_TOKEN.text, STALE_TOKEN)


def _without_app(roster: Roster, claim: AppClaim) -> InitRefused:
    """Why ``claim`` may not attach although its user is here."""
    if claim.token and not roster.knows_wishes:
        return InitRefused("", "what the user wants is not known yet", NOT_HERE_YET)
    if claim.token or roster.has_run(claim.package):
        return InitRefused("", "the app was stopped", APP_STOPPED)
    return InitRefused("APP_NOT_STARTED", NOT_STARTED.text, NOT_STARTED)
