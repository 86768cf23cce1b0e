"""What a plain request is told where a WebSocket is spoken: a browser's, or a proxy's that lost
the upgrade."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .answers import Problem

PATHS: Final = ("/glasses-ws", "/ws/client", "/app-ws", "/ws/miniapp")
"""As in protocol.md 1.1; upgrades on them never come here."""

_UPGRADE: Final = Problem(
    status=426,
    code="UPGRADE_REQUIRED",
    message="this is a WebSocket endpoint",
    why="the request came without 'Upgrade: websocket' and 'Connection: Upgrade'",
    fix="connect with a WebSocket client; a proxy in between must pass the upgrade on",
)


async def upgrade_required(request: Request) -> Response:
    """426, with what is to be asked for instead (RFC 9110, 15.5.22)."""
    answer = _UPGRADE.answer()
    answer.headers.update({"upgrade": "websocket", "sec-websocket-version": "13"})
    return answer


ROUTES: Final = tuple(Route(path, upgrade_required) for path in PATHS)
