"""Asks the application as the port does: with the path as it was sent, and with any bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import attrs
import trio
from starlette.types import ASGIApp


@attrs.frozen
class Asked:
    """What the application answered: of an endless answer the first piece."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def media(self) -> str:
        """The media type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0]


async def ask(
    app: ASGIApp,
    method: str,
    target: str,
    headers: Mapping[str, bytes],
    body: bytes = b"",
    *,
    endless: bool = False,
) -> Asked:
    """What is answered to that request. Of an ``endless`` answer only the beginning is read."""
    raw, _, query = target.encode("ascii").partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw.decode("ascii")),
        "raw_path": raw,
        "query_string": query,
        "root_path": "",
        "headers": [(name.encode(), value) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": None,
        "state": {},
    }
    parts: list[dict[str, Any]] = []
    pieces = iter([{"type": "http.request", "body": body, "more_body": False}])
    reading = trio.CancelScope()

    async def receive() -> Any:
        return next(pieces, None) or await trio.sleep_forever()

    async def send(message: Any) -> None:
        parts.append(message)
        if endless and message.get("body"):
            reading.cancel("enough was read")

    with reading:
        await app(scope, receive, send)
    return Asked(
        parts[0]["status"],
        {name.decode(): value.decode() for name, value in parts[0]["headers"]},
        b"".join(part.get("body", b"") for part in parts[1:]),
    )
