"""The HTTP side of an app written in Python: the routes that the server calls, as ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import attrs
import msgspec
import trio

from .camera import Photo
from .connecting import Target
from .photo_upload import PHOTO_BYTES_MAX, UPLOAD_BYTES_MAX, PhotoFailure, read_upload
from .tools import ToolFailed

Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
Answer: TypeAlias = tuple[int, dict[str, Any]]

BODY_BYTES_MAX: Final = 102_400
"""As the SDK's own web server (protocol.md 1.5)."""

BODY_S: Final = 60.0
"""How long the whole body of a request may take: twice as long as a photo is awaited."""

UPLOADS_AT_ONCE: Final = 16
"""So many photos are received at the same time."""

UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)

SUCCESS: Final[Answer] = (200, {"status": "success"})
NOT_CONNECTED: Final[Answer] = (500, {"status": "error", "message": "Failed to connect"})
NOT_STOPPED: Final[Answer] = (
    500,
    {"status": "error", "message": "Failed to process stop request"},
)
UNKNOWN_REQUEST: Final[Answer] = (
    400,
    {"status": "error", "message": "Unknown webhook request type"},
)
NO_SETTINGS: Final[Answer] = (
    400,
    {"status": "error", "message": "Missing userId or settings array in request body"},
)
HELLO: Final[Answer] = (200, {"status": "success", "reply": "Hello, world!"})
NO_TOOL: Final[Answer] = (400, {"status": "error", "message": "Not a tool call"})
NOT_FOUND: Final[Answer] = (404, {"status": "error", "message": "Not found"})
TOO_LARGE: Final[Answer] = (413, {"status": "error", "message": "Body too large"})
TOO_SLOW: Final[Answer] = (408, {"status": "error", "message": "Body too slow"})
BUSY: Final[Answer] = (503, {"status": "error", "message": "Too many uploads at the same time"})


class AppServing(Protocol):
    """What stands behind the routes."""

    package: str

    async def start(self, *, session_id: str, user: str, url: str) -> bool:
        """Open a session; whether it was acknowledged and the author's handler succeeded."""
        ...

    async def stop(self, *, session_id: str, reason: str) -> bool:
        """End a session, if there is one; whether the author's ``on_stop`` succeeded."""
        ...

    def settings_changed(self, user: str, settings: Sequence[Any]) -> int:
        """Tell every session of ``user``; how many there are."""
        ...

    async def call_tool(
        self, tool_id: str, parameters: Mapping[str, Any], user: str, timestamp: Any
    ) -> str | None:
        """Have the author's ``on_tool`` answer; raises ``ToolFailed`` if it failed."""
        ...

    def photo_came(self, result: Photo | PhotoFailure) -> bool:
        """Hand over a photo, or why there is none; ``False`` if nobody waits for it."""
        ...

    @property
    def session_count(self) -> int:
        """How many sessions there are."""
        ...


class _Webhook(msgspec.Struct, rename="camel"):
    """A webhook's body, as far as it is read."""

    type: str = ""
    session_id: str = ""
    user_id: str = ""
    reason: str = ""
    mentraos_websocket_url: str = msgspec.field(default="", name="mentraOSWebsocketUrl")
    augmentos_websocket_url: str = msgspec.field(default="", name="augmentOSWebsocketUrl")


class _Settings(msgspec.Struct, rename="camel"):
    user_id_for_settings: str = ""
    settings: list[Any] | None = None


class _Tool(msgspec.Struct, rename="camel"):
    tool_id: str = ""
    user_id: str = ""
    tool_parameters: dict[str, Any] | None = None
    timestamp: Any = None


@attrs.define(eq=False)
class WebhookEndpoint:
    """An ASGI app with the routes of an app server, answering as the SDK does.

    They are ``/webhook``, ``/settings``, ``/tool``, ``/photo-upload`` and ``/health``.
    """

    serving: AppServing
    _uploads: int = attrs.field(default=0, init=False)

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3.0)."""
        if scope["type"] != "http":
            return
        status, body = await self._answer(scope, receive)
        await respond(send, status, body)

    async def _answer(self, scope: Event, receive: Receive) -> Answer:
        match (scope["method"], scope["path"]):
            case ("GET", "/health"):
                return self._health()
            case ("GET", "/tool"):
                return HELLO
            case ("POST", "/webhook"):
                data = await read_body(receive)
                return data if isinstance(data, tuple) else await self._webhook(data)
            case ("POST", "/settings"):
                data = await read_body(receive)
                return data if isinstance(data, tuple) else self._settings(data)
            case ("POST", "/tool"):
                data = await read_body(receive)
                return data if isinstance(data, tuple) else await self._tool(data)
            case ("POST", "/photo-upload"):
                return await self._upload(scope, receive)
            case _:
                return NOT_FOUND

    def _health(self) -> Answer:
        return 200, {
            "status": "healthy",
            "app": self.serving.package,
            "activeSessions": self.serving.session_count,
        }

    async def _webhook(self, data: bytes) -> Answer:
        try:
            call = msgspec.json.decode(data, type=_Webhook)
        except UNREADABLE:
            return UNKNOWN_REQUEST
        if call.type == "session_request":
            url = call.mentraos_websocket_url or call.augmentos_websocket_url
            if not _may_be_a_server(url):
                return NOT_CONNECTED
            started = await self.serving.start(
                session_id=call.session_id, user=call.user_id, url=url
            )
            return SUCCESS if started else NOT_CONNECTED
        if call.type == "stop_request":
            stopped = await self.serving.stop(session_id=call.session_id, reason=call.reason)
            return SUCCESS if stopped else NOT_STOPPED
        return UNKNOWN_REQUEST

    def _settings(self, data: bytes) -> Answer:
        try:
            call = msgspec.json.decode(data, type=_Settings)
        except UNREADABLE:
            call = _Settings()
        if not call.user_id_for_settings or call.settings is None:
            return NO_SETTINGS
        told = self.serving.settings_changed(call.user_id_for_settings, call.settings)
        message = "Settings updated successfully"
        return 200, {"status": "success", "message": message, "sessionsUpdated": told}

    async def _tool(self, data: bytes) -> Answer:
        try:
            call = msgspec.json.decode(data, type=_Tool)
        except UNREADABLE:
            return NO_TOOL
        parameters = call.tool_parameters or {}
        try:
            reply = await self.serving.call_tool(
                call.tool_id, parameters, call.user_id, call.timestamp
            )
        except ToolFailed as failed:
            return 500, {"status": "error", "message": str(failed)}
        return 200, {"status": "success", "reply": reply}

    async def _upload(self, scope: Event, receive: Receive) -> Answer:
        """Whoever finds the port may upload: so only a few at once, and not for ever."""
        if self._uploads >= UPLOADS_AT_ONCE:
            return BUSY
        self._uploads += 1
        try:
            data = await read_body(receive, UPLOAD_BYTES_MAX)
        finally:
            self._uploads -= 1
        return data if isinstance(data, tuple) else self._photo(scope, data)

    def _photo(self, scope: Event, data: bytes) -> Answer:
        headers = {bytes(name).lower(): bytes(value) for name, value in scope["headers"]}
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        result = read_upload(content_type, data)
        if isinstance(result, str):
            return 400, {"success": False, "error": result}
        if isinstance(result, Photo) and result.size > PHOTO_BYTES_MAX:
            return TOO_LARGE
        if not self.serving.photo_came(result):
            return 404, {"success": False, "error": "no photo is awaited under that requestId"}
        told = {"requestId": result.request_id, "message": "Photo received successfully"}
        return 200, {"success": True, **told}


def _may_be_a_server(url: str) -> bool:
    try:
        Target.of(url, "ws", "wss")
    except ValueError:
        return False
    return True


async def read_body(receive: Receive, most: int = BODY_BYTES_MAX) -> bytes | Answer:
    """The request's body; or what to answer if it has more than ``most`` bytes, or has not come
    within ``BODY_S`` seconds."""
    data = bytearray()
    with trio.move_on_after(BODY_S):
        while True:
            event = await receive()
            data += event.get("body", b"")
            if len(data) > most:
                return TOO_LARGE
            if not event.get("more_body", False):
                return bytes(data)
    return TOO_SLOW


async def respond(send: Send, status: int, body: dict[str, Any]) -> None:
    """Answer a request with JSON."""
    data = msgspec.json.encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(data)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
