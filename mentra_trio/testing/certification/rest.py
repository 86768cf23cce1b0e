"""What the SDK asks a cloud over HTTP while it starts: enough to let it go on (protocol.md 1.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import msgspec

Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]


async def answer_rest(scope: Event, receive: Receive, send: Send) -> None:
    """An ASGI app: an empty store, every permission, no settings, and 404 for the rest."""
    if scope["type"] != "http":
        return
    status, body = _answer(str(scope["path"]))
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})


def _answer(path: str) -> tuple[int, dict[str, Any]]:
    if "/api/sdk/simple-storage/" in path:
        return 200, {"success": True, "data": {}}
    if "/api/public/permissions/" in path:
        granted = [{"type": "ALL", "description": "certification"}]
        package = path.rpartition("/")[2]
        return 200, {"packageName": package, "permissions": granted}
    if "/appsettings/" in path:
        return 200, {"success": True, "settings": []}
    return 404, {"success": False, "code": "NOT_FOUND", "message": "not part of a certification"}
