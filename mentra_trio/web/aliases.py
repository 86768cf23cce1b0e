"""Older and newer names of the same routes (protocol.md 1.6): rewritten before they are looked up.

The second name of each pair is the one under which the routes are defined.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

ALIASES: Final = (
    ("/api/auth/", "/auth/"),
    ("/api/apps/", "/apps/"),
    ("/tpasettings/", "/appsettings/"),
    ("/api/tpa-communication/", "/api/app-communication/"),
)


class Aliases:
    """Serves ``/api/auth/x`` as ``/auth/x``, and so on; behind the prefix of an attempt as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            prefix: str = scope.get("root_path", "")
            path: str = scope["path"]
            raw: bytes = scope.get("raw_path") or path.encode()
            for alias, canonical in ALIASES:
                if path.startswith(prefix + alias):
                    path = prefix + canonical + path.removeprefix(prefix + alias)
                    rest = raw.removeprefix((prefix + alias).encode())
                    raw = (prefix + canonical).encode() + rest
                    scope = {**scope, "path": path, "raw_path": raw}
                    break
        await self._app(scope, receive, send)
