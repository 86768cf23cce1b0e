"""Rooms: groups that the users of one app form among themselves (protocol.md 6.12).

Pure data: the caller tells the members what has changed. A room is known by the app and its id,
so that two apps never meet in one; it is made by the first who joins, and gone with the last.
"""

from __future__ import annotations

import enum
from typing import Any, Final, TypeAlias

import attrs

from .ids import PackageName, UserId

ROOM_ID_CHARACTERS_MAX: Final = 256
ROOMS_AT_ONCE: Final = 64
"""Rooms of one app that one user may be in."""
METADATA_BYTES_MAX: Final = 4_096
"""What a room's metadata may take as JSON: every change of the room repeats it."""


class Denial(enum.Enum):
    """Why a user does not get into a room. The name is for programs, the value for people."""

    ROOM_FULL = "cloud: the room is full"
    ROOM_ID_INVALID = f"cloud: a room id is 1 to {ROOM_ID_CHARACTERS_MAX} characters"
    ROOM_METADATA_TOO_LARGE = f"cloud: a room's metadata is above {METADATA_BYTES_MAX:,} bytes"
    TOO_MANY_ROOMS = f"cloud: a user is in at most {ROOMS_AT_ONCE} rooms of an app"


@attrs.frozen(kw_only=True)
class RoomConfig:
    """How a room is. What is not positive is no bound on its users.

    ``metadata_bytes`` is how long ``metadata`` is as JSON.
    """

    max_users: float | None = None
    is_private: bool | None = None
    metadata: Any = None
    metadata_bytes: int = 0

    def admits(self, members: int) -> bool:
        """Whether somebody may join that many members."""
        bounded = self.max_users is not None and self.max_users > 0
        return not bounded or members + 1 <= (self.max_users or 0)


PLAIN: Final = RoomConfig()
"""A room of which nothing was said."""


@attrs.frozen(kw_only=True)
class Change:
    """A room after somebody joined or left it; ``members`` in the order in which they joined.

    ``news`` is false where the user was in it before.
    """

    room_id: str
    config: RoomConfig
    members: tuple[UserId, ...]
    news: bool = True


@attrs.define(eq=False)
class _Room:
    config: RoomConfig
    members: dict[UserId, None] = attrs.field(factory=dict)


_Place: TypeAlias = tuple[PackageName, str]
_Guest: TypeAlias = tuple[PackageName, UserId]


@attrs.define(eq=False)
class Rooms:
    """All rooms of all apps."""

    _rooms: dict[_Place, _Room] = attrs.field(factory=dict, init=False)
    _joined: dict[_Guest, dict[str, None]] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._rooms)

    def join(
        self, package: PackageName, user: UserId, room_id: str, config: RoomConfig = PLAIN
    ) -> Change | Denial:
        """Let ``user`` into a room; ``config`` counts only where that makes the room."""
        room = self._rooms.get((package, room_id))
        if room is not None and user in room.members:
            return self._change(room_id, room, news=False)
        if denial := self._denial(package, user, room_id, room or _Room(config)):
            return denial
        room = self._rooms.setdefault((package, room_id), _Room(config))
        room.members[user] = None
        self._joined.setdefault((package, user), {})[room_id] = None
        return self._change(room_id, room)

    def leave(self, package: PackageName, user: UserId, room_id: str) -> Change | None:
        """Take ``user`` out of a room; ``None`` if they were not in it."""
        room = self._rooms.get((package, room_id))
        if room is None or user not in room.members:
            return None
        del room.members[user]
        if not room.members:
            del self._rooms[package, room_id]
        joined = self._joined[package, user]
        del joined[room_id]
        if not joined:
            del self._joined[package, user]
        return self._change(room_id, room)

    def leave_all(self, package: PackageName, user: UserId) -> list[Change]:
        """Take ``user`` out of every room of an app."""
        changes = [self.leave(package, user, room_id) for room_id in self.of(package, user)]
        return [change for change in changes if change is not None]

    def of(self, package: PackageName, user: UserId) -> tuple[str, ...]:
        """The rooms of an app that ``user`` is in, in the order in which they were joined."""
        return tuple(self._joined.get((package, user), ()))

    def members(self, package: PackageName, room_id: str) -> tuple[UserId, ...]:
        """Who is in a room; nobody where there is none."""
        room = self._rooms.get((package, room_id))
        return tuple(room.members) if room is not None else ()

    def _denial(
        self, package: PackageName, user: UserId, room_id: str, room: _Room
    ) -> Denial | None:
        if not 0 < len(room_id) <= ROOM_ID_CHARACTERS_MAX:
            return Denial.ROOM_ID_INVALID
        if room.config.metadata_bytes > METADATA_BYTES_MAX:
            return Denial.ROOM_METADATA_TOO_LARGE
        if not room.config.admits(len(room.members)):
            return Denial.ROOM_FULL
        if len(self._joined.get((package, user), ())) >= ROOMS_AT_ONCE:
            return Denial.TOO_MANY_ROOMS
        return None

    def _change(self, room_id: str, room: _Room, *, news: bool = True) -> Change:
        return Change(room_id=room_id, config=room.config, members=tuple(room.members), news=news)
