"""The WebSockets that a test drives by hand: the phone's, and those of apps without an SDK."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from .running_server import RunningServer
from .timeline import Record, Timeline

OPEN_S = 5.0


@attrs.define(eq=False)
class Socket:
    """An open WebSocket; ``seen`` is all that came in.

    A text frame is recorded as the JSON object it is, a binary one as ``{"bytes": ...}``, the end
    as ``{"closed": code, "reason": ...}``.
    """

    connection: WebSocketConnection
    stream: trio.SocketStream
    seen: Timeline = attrs.field(factory=Timeline)

    async def read(self) -> None:
        """Record what comes in until the end."""
        try:
            while True:
                frame = await self.connection.get_message()
                self.seen.add({"bytes": frame} if isinstance(frame, bytes) else json.loads(frame))
        except ConnectionClosed as closed:
            reason = closed.reason
            code, text = (reason.code, reason.reason) if reason else (1006, None)
            self.seen.add({"closed": code, "reason": text})
        finally:
            await trio.aclose_forcefully(self.stream)  # the library leaves it to the collector

    async def send(self, type_: str, **fields: Any) -> None:
        """Send one message."""
        await self.connection.send_message(json.dumps({"type": type_, **fields}))

    async def send_audio(self, frame: bytes) -> None:
        """Send one binary frame."""
        await self.connection.send_message(frame)

    async def message(self, type_: str, **query: Any) -> Record:
        """The first message of that type (or number ``number``)."""
        return await self.seen.first(type=type_, **query)

    async def end(self, **query: Any) -> Record:
        """How it was closed."""
        return await self.seen.first(closed=lambda code: code is not None, **query)

    async def close(self) -> None:
        """Close it in the orderly way."""
        await self.connection.aclose()


async def open_socket(
    nursery: trio.Nursery, url: str, headers: dict[str, str] | None = None
) -> Socket:
    """Open a WebSocket that lives in ``nursery``."""
    target = urlsplit(url)
    assert target.hostname
    assert target.port
    stream = await trio.open_tcp_stream(target.hostname, target.port)
    with trio.fail_after(OPEN_S):
        connection = await wrap_client_stream(
            nursery,
            stream,
            f"{target.hostname}:{target.port}",
            target.path + (f"?{target.query}" if target.query else ""),
            extra_headers=[
                (key.encode(), value.encode()) for key, value in (headers or {}).items()
            ],
        )
    socket = Socket(connection, stream)
    nursery.start_soon(socket.read)
    return socket


async def open_phone(nursery: trio.Nursery, server: RunningServer, user: str) -> Socket:
    """Connect the phone of ``user`` and wait until the server has greeted it."""
    headers = {"Authorization": f"Bearer {server.token(user)}"}
    phone = await open_socket(nursery, f"{server.websocket_url}/glasses-ws", headers)
    await phone.message("connection_ack")
    return phone
