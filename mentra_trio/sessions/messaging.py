"""Messages between users of the same app, and the rooms in which they meet (protocol.md 6.12).

The socket says who speaks, whatever the message says. What is for an app that is away for a
moment is kept for it, within a bound of its own (``domain.backlog``). One that floods the others
is not heard for as long as that takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import attrs
import msgspec
import trio

from ..domain.backlog import FROM_OTHERS
from ..domain.facts import MessageRefused
from ..domain.ids import PackageName, UserId, user_id
from ..domain.lifecycle import OVER, StopCause
from ..domain.pace import Pace
from ..domain.rooms import Change, Denial, RoomConfig
from ..domain.timings import MESSAGE_UNIT_BYTES, MESSAGES_BURST, MESSAGES_PER_S
from ..wire import from_app, to_app
from ..wire.codec import encode
from .delivery import NOT_KEPT, Outcome, deliver
from .subsystem import AppHandlers, Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession

NOT_THERE: Final = "app: it does not run for that user"
TOO_FAST: Final = "cloud: too many messages, wait a moment"
NOT_IN_ROOM: Final = "cloud: not in that room"
NO_ROOM: Final = "app: it is away, and too much waits for it already"
_BOUNDS: Final = MappingProxyType({TOO_FAST: "TOO_MANY_MESSAGES", NO_ROOM: "NO_ROOM"})
"""What keeps a message from one user that is there."""


@attrs.define(eq=False, repr=False)
class Messaging(Subsystem):
    """What the apps of one user say to those of others."""

    _here: dict[PackageName, AppSession] = attrs.field(factory=dict, init=False)
    """The user's apps that others know of."""
    _paces: dict[PackageName, Pace] = attrs.field(factory=dict, init=False)

    # -- who is there ------------------------------------------------------------------

    def app_attached(self, app: AppSession) -> None:
        """Others find it from now on."""
        now = self.place.surroundings.environment.utcnow()
        self.place.surroundings.neighbours.enter(app, now)
        self._here[app.package] = app

    def apps_changed(self) -> None:
        """Whatever is over, in whatever way, is out of every room, and nobody finds it."""
        over = [package for package, app in self._here.items() if app.state in OVER]
        for package in over:
            self._leave_all(self._here.pop(package))

    def _leave_all(self, app: AppSession) -> None:
        neighbours = self.place.surroundings.neighbours
        neighbours.remove(app.package, app.user)
        self._paces.pop(app.package, None)
        changes = neighbours.rooms.leave_all(app.package, app.user)
        if app.stop_cause is StopCause.SERVER_CLOSING:
            return  # everybody leaves, and nobody has the time to hear it of everybody
        for change in changes:
            self._tell_left(app, change)

    # -- messages ----------------------------------------------------------------------

    def broadcast(self, app: AppSession, message: from_app.AppBroadcastMessage) -> None:
        """To every other user, or to the other members of a room that the app is in."""
        neighbours = self.place.surroundings.neighbours
        room, targets = message.room_id, tuple(neighbours.of(app.package))
        if room is not None:
            targets = neighbours.rooms.members(app.package, room)
            if app.user not in targets:
                self._refuse(app, "NOT_IN_ROOM", NOT_IN_ROOM)
                return
        frame = self._written(app, message.payload, message.message_id or "", room)
        if self._may(app, len(targets) - 1, frame):
            self._to(app.package, (one for one in targets if one != app.user), frame)
        else:
            self._refuse(app, "TOO_MANY_MESSAGES", TOO_FAST)

    def direct(self, app: AppSession, message: from_app.AppDirectMessage) -> None:
        """To one user; the sender is always told what has become of it."""
        problem = self._direct(app, message)
        answer = to_app.AppDirectMessageResponse(
            session_id=app.session_id,
            message_id=message.message_id,
            success=not problem,
            target_user_id=message.target_user_id,
            error=problem or None,
            timestamp=self.place.timestamp(),
        )
        app.send(encode(answer))
        if problem in _BOUNDS:
            self._report(app, _BOUNDS[problem])

    def _direct(self, app: AppSession, message: from_app.AppDirectMessage) -> str:
        frame = self._written(app, message.payload, message.message_id)
        if not self._may(app, 1, frame):
            return TOO_FAST
        try:
            target = user_id(message.target_user_id)
        except ValueError:
            return NOT_THERE
        found = self.place.surroundings.neighbours.of(app.package).get(target)
        if found is None:
            return NOT_THERE
        delivery = deliver(found.app, FROM_OTHERS, frame)
        if delivery.outcome is not Outcome.DROPPED:
            return ""
        return NO_ROOM if delivery.why == NOT_KEPT else f"app: {delivery.why}"

    def _written(
        self, app: AppSession, payload: object, message_id: str, room: str | None = None
    ) -> str:
        received = to_app.AppMessageReceived(
            payload=payload,
            message_id=message_id,
            sender_user_id=app.user,
            sender_session_id=app.session_id,
            room_id=room,
            timestamp=self.place.timestamp(),
        )
        return encode(received)

    def _to(self, package: PackageName, users: Iterable[UserId], frame: str) -> None:
        found = self.place.surroundings.neighbours.of(package)
        for user in users:
            deliver(found[user].app, FROM_OTHERS, frame)

    # -- rooms -------------------------------------------------------------------------

    def join(self, app: AppSession, message: from_app.AppRoomJoin) -> None:
        """Into a room; whoever is in it learns of it, and so does whoever does not get in."""
        rooms = self.place.surroundings.neighbours.rooms
        others = rooms.members(app.package, message.room_id)
        if not self._may(app, 2 * len(others) + 1):
            self._refuse(app, "TOO_MANY_MESSAGES", TOO_FAST)
            return
        change = rooms.join(app.package, app.user, message.room_id, _config(message.room_config))
        if isinstance(change, Denial):
            self._refuse(app, change.name, change.value)
            return
        if not change.news:
            self._tell_update(change, "user_joined", app.package, [app.user])
            return
        now = self.place.timestamp()
        joined = to_app.AppUserJoined(
            user_id=app.user,
            session_id=app.session_id,
            joined_at=now,
            room_id=change.room_id,
            timestamp=now,
        )
        self._to(app.package, others, encode(joined))
        self._tell_update(change, "user_joined", app.package, change.members)

    def leave(self, app: AppSession, message: from_app.AppRoomLeave) -> None:
        """Out of a room; those who stay learn of it."""
        rooms = self.place.surroundings.neighbours.rooms
        change = rooms.leave(app.package, app.user, message.room_id)
        if change is not None:
            self._may(app, 2 * len(change.members))  # is never refused, and yet costs
            self._tell_left(app, change)

    def _tell_left(self, app: AppSession, change: Change) -> None:
        now = self.place.timestamp()
        left = to_app.AppUserLeft(
            user_id=app.user,
            session_id=app.session_id,
            left_at=now,
            room_id=change.room_id,
            timestamp=now,
        )
        self._to(app.package, change.members, encode(left))
        self._tell_update(change, "user_left", app.package, change.members)

    def _tell_update(
        self, change: Change, kind: str, package: PackageName, users: Iterable[UserId]
    ) -> None:
        room = to_app.RoomData(
            member_count=len(change.members),
            max_users=change.config.max_users,
            is_private=change.config.is_private,
            metadata=change.config.metadata,
        )
        update = to_app.AppRoomUpdated(
            room_id=change.room_id,
            update_type=kind,
            room_data=room,
            timestamp=self.place.timestamp(),
        )
        self._to(package, users, encode(update))

    # -- bounds ------------------------------------------------------------------------

    def _may(self, app: AppSession, recipients: int, frame: str = "") -> bool:
        """Whether the app may send this; it pays for it then: by recipients and by length."""
        now = trio.current_time()
        pace = self._paces.get(app.package) or _fresh_pace()
        if not pace.admits(now):
            return False
        cost = max(1, recipients) * max(1, ceil(len(frame) / MESSAGE_UNIT_BYTES))
        self._paces[app.package] = pace.after(now, cost)
        return True

    def _refuse(self, app: AppSession, code: str, why: str) -> None:
        """Tell the app what cannot be: an error event in the SDK, which closes nothing (3.2)."""
        timestamp = self.place.timestamp()
        app.send(encode(to_app.TpaConnectionError(code=code, message=why, timestamp=timestamp)))
        self._report(app, code)

    def _report(self, app: AppSession, code: str) -> None:
        self.place.surroundings.telemetry.emit(
            MessageRefused(user=app.user, package=app.package, problem=code)
        )

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType(
        {
            from_app.AppBroadcastMessage: broadcast,
            from_app.AppDirectMessage: direct,
            from_app.AppRoomJoin: join,
            from_app.AppRoomLeave: leave,
        }
    )


def _fresh_pace() -> Pace:
    return Pace(per_s=MESSAGES_PER_S, burst=MESSAGES_BURST, wait_s=0)


def _config(asked: from_app.RoomConfig | None) -> RoomConfig:
    if asked is None:
        return RoomConfig()
    return RoomConfig(
        max_users=asked.max_users,
        is_private=asked.is_private,
        metadata=asked.metadata,
        metadata_bytes=len(msgspec.json.encode(asked.metadata)),
    )
