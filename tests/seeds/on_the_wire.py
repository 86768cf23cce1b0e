"""An app server and an HTTP client that know nothing but the bytes: what goes over the wire."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

import attrs
import msgspec
import trio

from mentra_trio.clients.dialing import ClientLink, open_websocket, verbatim
from mentra_trio.testing.world import APP_PORT, SERVER_HOST, SERVER_PORT, World

PACKAGE = "com.t.a"
KEY = "the-key"
Frame = str | bytes


@attrs.define(eq=False)
class PlainAppServer:
    """Answers every request with 200, and notes what the webhooks said."""

    world: World
    package: str = PACKAGE
    bodies: list[dict[str, Any]] = attrs.field(factory=list, init=False)

    async def register(self, **more: Any) -> None:
        """Have it registered, and answering from now on."""
        url = f"http://{self.package}:{APP_PORT}"
        await self.world.server.apps.add(
            self.package, url=url, api_key=KEY, permissions=["ALL"], **more
        )

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        listener = self.world.network.listen(self.package, APP_PORT)
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self._answer, [listener])
            task_status.started()

    async def _answer(self, stream: trio.abc.Stream) -> None:
        request = b""
        while not (body := request.partition(b"\r\n\r\n")[2]).endswith(b"}"):
            if request.startswith(b"GET ") and b"\r\n\r\n" in request:
                break
            request += await stream.receive_some()
        if request.startswith(b"POST /webhook "):
            self.bodies.append(msgspec.json.decode(body))
        await stream.send_all(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
        )
        await stream.aclose()

    def connect(self, url: str) -> AbstractAsyncContextManager[ClientLink[Frame]]:
        """The WebSocket that an app opens when it is called."""
        dial = self.world.network.dial_from(self.package)
        return open_websocket(url, decode=verbatim, dial=dial)

    def init(self, session_id: str, key: str = KEY) -> str:
        """What it says first."""
        return msgspec.json.encode(
            {
                "type": "tpa_connection_init",
                "sessionId": session_id,
                "packageName": self.package,
                "apiKey": key,
            }
        ).decode()


async def heard(link: ClientLink[Frame], message_type: str) -> dict[str, Any]:
    """The next message of that type; what comes before it is thrown away."""
    while True:
        frame = await link.inbox.take()
        message: dict[str, Any] = msgspec.json.decode(frame)
        if message["type"] == message_type:
            return message


async def ask(world: World, method: str, path: str, bearer: str = "") -> tuple[int, bytes]:
    """Status and body of one HTTP request to the server."""
    head = [f"{method} {path} HTTP/1.1", f"Host: {SERVER_HOST}", "Connection: close"]
    if bearer:
        head.append(f"Authorization: Bearer {bearer}")
    if method == "POST":
        head.append("Content-Length: 0")
    answer = b""
    async with await world.network.dial(SERVER_HOST, SERVER_PORT) as stream:
        await stream.send_all("\r\n".join((*head, "", "")).encode())
        async for chunk in stream:
            answer += chunk
    status, _, rest = answer.partition(b"\r\n")
    return int(status.split()[1]), rest.partition(b"\r\n\r\n")[2]
