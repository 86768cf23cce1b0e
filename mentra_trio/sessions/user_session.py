"""Everything the server does for one user, from the first attach of the glasses to the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import attrs
import trio

from ..concurrency.loan import Loan
from ..concurrency.milestone import Milestone
from ..concurrency.offers import Offers
from ..domain.attachment import OVER, UserEvent, UserState, next_state
from ..domain.close_reasons import (
    CRASHED,
    GLASSES_REPLACED,
    RESTARTING,
    USER_SESSION_ENDED,
    CloseReason,
)
from ..domain.facts import LinkAttached, LinkEnded, UserStateChanged
from ..domain.ids import PackageName, UserId
from ..domain.lifecycle import StopCause
from ..domain.timings import STATE_CHANGE_DELAY_S
from ..domain.user_settings import complete_settings, differing
from ..ports import Link, SavedUser, SessionChange
from ..wire.codec import encode
from ..wire.to_app import AugmentosSettingsUpdate
from ..wire.to_glasses import AppStateChange, ConnectionAck
from .app_session import AppSession
from .desk import Desk
from .device import Device
from .errands import Errand, Errands
from .eyepiece import Eyepiece
from .roster import Roster
from .settings import Settings
from .snapshots import UserSnapshot
from .subsystem import Workplace
from .surroundings import Surroundings
from .wall_time import wall

GLASSES_FAREWELLS: Final = MappingProxyType(
    {
        StopCause.USER_SESSION_ENDED: USER_SESSION_ENDED,
        StopCause.SERVER_CLOSING: RESTARTING,
    }
)


@attrs.define(eq=False, repr=False)
class UserSession:
    """A user's session: state, glasses and apps. Its life is ``user_phases.run_user``."""

    user: UserId
    surroundings: Surroundings
    state: UserState = UserState.INITIALIZING
    """Begins as DISCONNECTED where the glasses have yet to come back."""
    known_before: bool = False
    """Whether a server before this one was keeping a session of this user."""
    settings: dict[str, Any] = attrs.field(factory=dict, init=False)
    """The user's MentraOS settings, complete, in the apps' names."""
    offers: Offers[Link, CloseReason] = attrs.field(init=False)
    desk: Desk = attrs.field(init=False)
    roster: Roster = attrs.field(init=False)
    announcements: Errand = attrs.field(init=False)
    living: trio.CancelScope | None = attrs.field(default=None, init=False)
    """That of the nursery in which everything of this session runs; see ``live_in``."""
    acknowledged: Milestone = attrs.field(factory=Milestone, init=False)
    recalled: Milestone = attrs.field(factory=Milestone, init=False)
    """Set when the apps that a server before this one knew of are known here."""
    ended: Milestone = attrs.field(factory=Milestone, init=False)
    _loan: Loan[Link, CloseReason] | None = attrs.field(default=None, init=False)
    _since: datetime = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        around = self.surroundings
        eyepiece = Eyepiece(around.telemetry)
        self._since = around.environment.utcnow()
        self.offers = Offers(GLASSES_REPLACED)
        errands = Errands()
        self.announcements = Errand(errands, self._announce_soon, "announcements")
        place = Workplace(
            user=self.user,
            surroundings=around,
            eyepiece=eyepiece,
            device=Device(),
            errands=errands,
            home=self,
        )
        self.desk = Desk(
            place,
            announce=self.announcements.begin,
            admits=lambda app: self.roster.compatibility.admit(app),
        )
        self.roster = Roster(self.user, around, self.desk, self._announce)
        came = self.state is UserState.INITIALIZING
        self._report_state(None, self.state, "glasses came" if came else "the server was restarted")
        self.note()

    @property
    def over(self) -> bool:
        """Whether this session takes no glasses and no app any more."""
        return self.state in OVER

    # -- the glasses ---------------------------------------------------------------

    def attach(self) -> Link:
        """Take the offered glasses, and tell them what they must know first."""
        self._loan = self.offers.take()
        link = self._loan.resource
        self.surroundings.telemetry.emit(
            LinkAttached(endpoint="glasses", user=self.user, package=None, peer=link.peer)
        )
        self.desk.eyepiece.attach(link)
        self.acknowledge()
        self.desk.glasses_attached()
        self.roster.returns.user_returned()
        return link

    def detach(self, reason: CloseReason) -> None:
        """Give the glasses' link back with ``reason``, if there is one."""
        if self._loan is None:
            return
        loan, self._loan = self._loan, None
        self.desk.eyepiece.detach()
        self.desk.glasses_detached()
        loan.give_back(reason)
        self.surroundings.telemetry.emit(
            LinkEnded(
                endpoint="glasses",
                user=self.user,
                package=None,
                peer=loan.resource.peer,
                reason=reason,
            )
        )

    def acknowledge(self) -> None:
        """Greet the glasses, for the first time or again."""
        self.desk.eyepiece.send(
            ConnectionAck(session_id=self.user, timestamp=self.surroundings.environment.timestamp())
        )
        self.acknowledged.set()

    def change_settings(self, stored: Mapping[str, Any], *, by_phone: bool = False) -> None:
        """Take over the user's settings as stored, and tell every app the full set (4.5).

        The glasses are told as well, unless it was they that changed something.
        """
        settings = complete_settings(stored)
        if not differing(self.settings, settings):
            return
        self.settings = settings
        timestamp = self.surroundings.environment.timestamp()
        for app in self.roster.apps.values():
            update = AugmentosSettingsUpdate(
                session_id=app.session_id, settings=self.settings, timestamp=timestamp
            )
            app.send(encode(update))
        self.desk.settings_changed(self.settings)
        if not by_phone:
            self.desk.part(Settings).tell_glasses()

    # -- life ------------------------------------------------------------------------

    def live_in(self, nursery: trio.Nursery) -> None:
        """Live until ``nursery`` is over; ``end`` cancels it, also one that came before this."""
        self.living = nursery.cancel_scope
        if self.over:
            self.living.cancel("ended before it began")

    def advance(self, event: UserEvent, cause: str = "") -> None:
        """Take ``event``. The only place where the state changes."""
        old, self.state = self.state, next_state(self.state, event)
        self._since = self.surroundings.environment.utcnow()
        self._report_state(old, self.state, cause or event.value.replace("_", " "))

    def report_over(self) -> None:
        """Say that the session is wound down. The last word of whoever ran it."""
        self._report_state(self.state, None, "session over")

    def _report_state(self, old: UserState | None, new: UserState | None, cause: str) -> None:
        self.surroundings.telemetry.emit(
            UserStateChanged(user=self.user, old=old, new=new, cause=cause)
        )

    def end(self, cause: StopCause) -> None:
        """End the session: whoever waits for an app is told now. Idempotent."""
        if not self.over:
            crashed = cause is StopCause.CRASHED
            self.advance(UserEvent.CRASHED if crashed else UserEvent.ENDED, cause.value)
        if self.living is not None:
            self.living.cancel(cause.value)  # first: nothing shall wake up for what follows
        self.desk.place.errands.close()
        self.roster.end(cause)
        self.recalled.set()
        reason = GLASSES_FAREWELLS.get(cause, CRASHED)
        self.detach(reason)
        self.offers.refuse(reason)

    # -- as its subsystems know it: see ``Workplace`` -----------------------------------

    @property
    def apps(self) -> Collection[AppSession]:
        """The user's app sessions at the moment."""
        return self.roster.apps.values()

    def device_changed(self) -> None:
        """See ``Workplace``."""
        self.note()
        self.desk.device_changed()

    def device_connected(self) -> None:
        """See ``Workplace``."""
        self.desk.device_connected()

    def fit(self) -> None:
        """See ``Workplace``."""
        self.roster.compatibility.glasses_changed()

    # -- what follows from changes ----------------------------------------------------

    async def _announce_soon(self) -> None:
        """Once for all that changes within a moment."""
        await trio.sleep(STATE_CHANGE_DELAY_S)
        self._announce()

    def _announce(self, error: str | None = None) -> None:
        self.desk.eyepiece.send(
            AppStateChange(
                session_id=self.user,
                error=error,
                timestamp=self.surroundings.environment.timestamp(),
            )
        )

    def snapshot(self) -> UserSnapshot:
        """What this session looks like now."""
        return UserSnapshot(
            user=self.user,
            state=self.state.value,
            since=self._since,
            connected=self.desk.eyepiece.attached,
            last_seen=wall(self.surroundings.environment, self.desk.eyepiece.last_heard),
            apps=tuple(self.roster.snapshots()),
            model_name=self.desk.device.model_name,
        )

    # -- what is written down ---------------------------------------------------------

    def note(self) -> None:
        """Have what is known of the user's glasses written down."""
        if not self.over:
            self.surroundings.keeper.note(self.user, None, self)

    def change(self) -> SessionChange:
        """See ``keeper.Remembered``."""
        return SessionChange(user=self.user, record={"device": self.desk.device.snapshot})

    def written(self, change: SessionChange) -> None:
        """See ``keeper.Remembered``."""

    def recall(self, saved: SavedUser | None, wanted: Collection[PackageName]) -> None:
        """Take over what a server before this one knew; an app that nobody wants is forgotten."""
        if saved is not None:
            device = saved.record.get("device")
            if isinstance(device, Mapping):
                self.desk.device.restore(device)
            self.roster.returns.restore(saved.apps, wanted)
        self.recalled.set()
        if self.state is UserState.INITIALIZING:
            self.advance(UserEvent.RECALLED)
