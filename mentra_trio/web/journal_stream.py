"""The journal as it is written, as Server-Sent Events: one fact in each ``data`` line."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec
import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ..concurrency.race import race
from ..domain.ids import user_id
from .answers import bad_request
from .identity import for_admin
from .services import services_of

ALIVE_S: Final = 15.0
"""So often something is said, so that nobody in between takes the connection for dead."""
ALIVE: Final = b": alive\n\n"
EVENT_STREAM: Final = "text/event-stream"
_HEADERS: Final[Mapping[str, str]] = MappingProxyType({"cache-control": "no-store"})

_BAD_USER: Final = bad_request("'user' is not a user id")


class Following(Protocol):
    """What ``Services.follow`` gives: see ``telemetry.followers.Follower``."""

    async def next(self) -> list[dict[str, Any]]:
        """What has come since the last call, at least one entry."""
        ...


class JournalStream(Response):
    """An answer that goes on until the peer is gone (then it is cancelled), or the server ends."""

    def __init__(self, following: AbstractContextManager[Following], closing: trio.Event) -> None:
        super().__init__(media_type=EVENT_STREAM, headers=_HEADERS)
        del self.headers["content-length"]
        self._following, self._closing = following, closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Nothing here is a generator: cancellation has to end it at once."""
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        with self._following as follower:
            await send({"type": "http.response.body", "body": ALIVE, "more_body": True})
            while not self._closing.is_set():
                body = ALIVE
                with trio.move_on_after(ALIVE_S):
                    body = await race(partial(self._news, follower), self._until_closing)
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _news(self, follower: Following) -> bytes:
        entries = await follower.next()
        return b"".join(b"data: " + msgspec.json.encode(entry) + b"\n\n" for entry in entries)

    async def _until_closing(self) -> bytes:
        await self._closing.wait()
        return ALIVE


@for_admin
async def follow(request: Request) -> Response:
    """Facts as they come, of ``?user=`` or of everybody."""
    services, wanted = services_of(request), request.query_params.get("user")
    try:
        user = user_id(wanted) if wanted is not None else None
    except ValueError:
        return _BAD_USER.answer()
    if request.method == "HEAD":  # whose answer has an end
        return Response(media_type=EVENT_STREAM, headers=_HEADERS)
    return JournalStream(services.follow(user), services.closing)


ROUTES: Final = (Route("/api/admin/journal", follow),)
