"""Messages between the users of an app, and rooms in which some of them meet (protocol.md 6.12)."""

from __future__ import annotations

from typing import Any, Final

import attrs
import msgspec
import trio

from ..wire import from_app, to_app
from ..wire.message import Part
from .ability import Ability, failure, new_id
from .ears import FromServer, Off
from .hearing import Hears
from .questions import RequestFailed

DIRECT_S: Final = 15.0
"""How long the answer to a direct message is awaited (protocol.md 6.12)."""

ROOM_S: Final = 15.0
"""How long it is awaited that a room is joined."""

DIRECT: Final = "direct message"
ROOM: Final = "room"
DENIALS: Final = frozenset(
    {
        "ROOM_FULL",
        "ROOM_ID_INVALID",
        "ROOM_METADATA_TOO_LARGE",
        "TOO_MANY_ROOMS",
        "TOO_MANY_MESSAGES",
    }
)
"""Codes with which a server turns somebody away from a room."""


class OtherUser(Part, frozen=True, kw_only=True):
    """Another user who has the app running, since ``joined_at`` (ISO 8601)."""

    user_id: str
    session_id: str = ""
    joined_at: str = ""
    user_profile: Any = None


class _Discovery(msgspec.Struct):
    users: list[OtherUser]


@attrs.define(eq=False, repr=False)
class Messages(Ability):
    """Everything that goes from this user of the app to others."""

    _joining: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    """A denial does not say of which room it is: one is asked for after the other."""

    async def broadcast(self, payload: object, *, room: str | None = None) -> bool:
        """Send ``payload`` (JSON) to every other user of the app, or to the others in a room.

        Returns:
            ``False`` if there was no connection. Who gets it is not told.
        """
        return await self.tell(
            from_app.AppBroadcastMessage,
            payload=payload,
            message_id=new_id("msg"),
            sender_user_id=self.session.user,
            room_id=room,
        )

    async def send(self, user: str, payload: object, *, within_s: float = DIRECT_S) -> None:
        """Send ``payload`` (JSON) to one user; returns when it is handed over, or kept for them.

        Raises:
            RequestFailed: that user does not have the app running; or as ``Questions.ask``.
        """
        message_id = new_id("msg")
        await self.ask(
            DIRECT,
            message_id,
            from_app.AppDirectMessage,
            target_user_id=user,
            message_id=message_id,
            payload=payload,
            sender_user_id=self.session.user,
            within_s=within_s,
        )

    async def join(
        self,
        room: str,
        *,
        max_users: int | None = None,
        private: bool | None = None,
        metadata: object = None,
        within_s: float = ROOM_S,
    ) -> to_app.RoomData:
        """Join a room, and wait until that is done; the first who joins says how it is.

        Several are joined one after the other; ``within_s`` is for this one alone.

        Raises:
            RequestFailed: with ``ROOM_FULL``, ``TOO_MANY_ROOMS`` and such; or as
                ``Questions.ask``.
        """
        config = from_app.RoomConfig(max_users=max_users, is_private=private, metadata=metadata)
        async with self._joining:
            joined = await self.ask(
                ROOM,
                room,
                from_app.AppRoomJoin,
                room_id=room,
                room_config=config,
                within_s=within_s,
            )
        assert isinstance(joined, to_app.RoomData)
        return joined

    async def leave(self, room: str) -> bool:
        """Leave a room; ``False`` if there was no connection."""
        return await self.tell(from_app.AppRoomLeave, room_id=room)

    async def discover(self, *, profiles: bool = False) -> list[OtherUser]:
        """The other users who have the app running now; what is known of them if ``profiles``.

        Raises:
            RequestFailed: the server could not be asked, or refused.
        """
        body = {
            "packageName": self.session.package,
            "userId": self.session.user,
            "includeUserProfiles": profiles,
        }
        path = "/api/app-communication/discover-users"
        answer = await self.session.door().call("POST", path, body)
        try:
            return msgspec.convert(answer, _Discovery).users
        except msgspec.ValidationError:
            raise RequestFailed("BAD_ANSWER", "cloud: the answer names no users") from None

    def on_message(self, handler: Hears[to_app.AppMessageReceived]) -> Off:
        """Another user has sent something."""
        return self.session.on_message("app_message_received", handler)

    def on_user_joined(self, handler: Hears[to_app.AppUserJoined]) -> Off:
        """Another user has joined a room that this one is in."""
        return self.session.on_message("app_user_joined", handler)

    def on_user_left(self, handler: Hears[to_app.AppUserLeft]) -> Off:
        """Another user has left such a room."""
        return self.session.on_message("app_user_left", handler)

    def on_room_updated(self, handler: Hears[to_app.AppRoomUpdated]) -> Off:
        """Such a room has changed."""
        return self.session.on_message("app_room_updated", handler)

    def take(self, message: FromServer) -> None:
        """What has become of what was sent, and of rooms that are to be joined."""
        match message:
            case to_app.AppDirectMessageResponse():
                problem = failure(message.error, otherwise="the message was not delivered")
                self.settle(DIRECT, message.message_id, message if message.success else problem)
            case to_app.AppRoomUpdated(update_type="user_joined"):
                self.settle(ROOM, message.room_id, message.room_data)
            case to_app.TpaConnectionError(code=str() as code) if code in DENIALS:
                denied = RequestFailed(code, message.message)
                self.session.questions.answer_oldest(ROOM, denied)
