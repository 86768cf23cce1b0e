"""An app server without an SDK: it answers webhooks and does nothing else."""

from __future__ import annotations

import json
from functools import partial

import attrs
import h11
import trio

from .timeline import Timeline

CHUNK = 65_536


@attrs.define(eq=False)
class StubApp:
    """Answers every webhook with 200; ``calls`` holds the bodies."""

    port: int = attrs.field(default=0, init=False)
    calls: Timeline = attrs.field(factory=Timeline, init=False)

    @property
    def url(self) -> str:
        """Where the server finds its webhook."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_listeners, self._answer, listeners))
            task_status.started()

    async def _answer(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER)
        body = b""
        async with stream:
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(await stream.receive_some(CHUNK))
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.ConnectionClosed):
                    return
            self.calls.add(json.loads(body))
            head = h11.Response(
                status_code=200, headers=[("Content-Length", "2"), ("Connection", "close")]
            )
            for part in (head, h11.Data(data=b"{}"), h11.EndOfMessage()):
                await stream.send_all(connection.send(part) or b"")
