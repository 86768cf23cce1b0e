"""Another cloud: it greets every app that comes and does nothing else."""

from __future__ import annotations

import json
from functools import partial

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from .timeline import Timeline


@attrs.define(eq=False)
class OtherCloud:
    """``seen`` holds what apps say, each message with the ``session`` of its socket."""

    port: int = attrs.field(default=0, init=False)
    seen: Timeline = attrs.field(factory=Timeline, init=False)
    _connections: dict[str, WebSocketConnection] = attrs.field(factory=dict, init=False)

    @property
    def url(self) -> str:
        """Where an app is to connect to."""
        return f"ws://127.0.0.1:{self.port}/app-ws"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            listen = partial(serve_websocket, self._greet, "127.0.0.1", 0, ssl_context=None)
            server = await nursery.start(listen)
            self.port = server.port
            task_status.started()

    async def _greet(self, request: WebSocketRequest) -> None:
        connection = await request.accept()
        try:
            init = json.loads(await connection.get_message())
            session: str = init["sessionId"]
            self._connections[session] = connection
            await connection.send_message(json.dumps({"type": "tpa_connection_ack"}))
            self.seen.add(init | {"session": session})
            while True:
                message = json.loads(await connection.get_message())
                self.seen.add(message | {"session": session})
        except ConnectionClosed:
            pass

    async def end(self, session: str, code: int, reason: str) -> None:
        """Close the latest socket of ``session``."""
        await self._connections[session].aclose(code, reason)
