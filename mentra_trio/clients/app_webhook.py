"""The HTTP side of an app written in Python: the routes that the server calls, as ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import attrs
import msgspec

Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
Answer: TypeAlias = tuple[int, dict[str, Any]]

BODY_BYTES_MAX: Final = 102_400
"""As the SDK's own web server (protocol.md 1.5)."""

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
NOT_FOUND: Final[Answer] = (404, {"status": "error", "message": "Not found"})
TOO_LARGE: Final[Answer] = (413, {"status": "error", "message": "Body too large"})


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


@attrs.frozen
class WebhookEndpoint:
    """An ASGI app with ``/webhook``, ``/settings`` and ``/health``, answering as the SDK does."""

    serving: AppServing

    async def __call__(self, scope: Event, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3.0)."""
        if scope["type"] != "http":
            return
        status, body = await self._answer(scope["method"], scope["path"], receive)
        await respond(send, status, body)

    async def _answer(self, method: str, path: str, receive: Receive) -> Answer:
        if (method, path) == ("GET", "/health"):
            return 200, {
                "status": "healthy",
                "app": self.serving.package,
                "activeSessions": self.serving.session_count,
            }
        if method != "POST" or path not in {"/webhook", "/settings"}:
            return NOT_FOUND
        data = await read_body(receive)
        if data is None:
            return TOO_LARGE
        return await self._webhook(data) if path == "/webhook" else self._settings(data)

    async def _webhook(self, data: bytes) -> Answer:
        try:
            call = msgspec.json.decode(data, type=_Webhook)
        except msgspec.MsgspecError:
            return UNKNOWN_REQUEST
        if call.type == "session_request":
            url = call.mentraos_websocket_url or call.augmentos_websocket_url
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
        except msgspec.MsgspecError:
            call = _Settings()
        if not call.user_id_for_settings or call.settings is None:
            return NO_SETTINGS
        told = self.serving.settings_changed(call.user_id_for_settings, call.settings)
        message = "Settings updated successfully"
        return 200, {"status": "success", "message": message, "sessionsUpdated": told}


async def read_body(receive: Receive) -> bytes | None:
    """The request's body; ``None`` if it is larger than any webhook."""
    data = b""
    while True:
        event = await receive()
        data += bytes(event.get("body", b""))
        if len(data) > BODY_BYTES_MAX:
            return None
        if not event.get("more_body", False):
            return data


async def respond(send: Send, status: int, body: dict[str, Any]) -> None:
    """Answer a request with JSON."""
    data = msgspec.json.encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(data)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
