"""A scripted server on an in-memory network: what the clients are tested against."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import msgspec
import trio

from mentra_trio.clients.inbox import Inbox
from mentra_trio.concurrency.race import race
from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.domain.timings import Limits
from mentra_trio.testing.links import Sayable, frame_of
from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.transport.port import Port
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.transport.websocket_link import WebSocketLink

CLOUD = "ws://cloud:8002"
APP_URL = f"{CLOUD}/s/t1/app-ws"
SESSION = "u-1@x.org-com.t.a"


@attrs.define(eq=False)
class Caller:
    """One connection to the stub, which the test serves."""

    at: float
    path: str
    authorization: str
    token: str | None
    _link: WebSocketLink
    farewell: CloseReason = attrs.field(default=CloseReason(1000, "test over"), init=False)
    closed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _heard: Inbox[str | bytes] = attrs.field(factory=Inbox, init=False)
    _over: trio.Event = attrs.field(factory=trio.Event, init=False)

    def say(self, *messages: Sayable) -> None:
        for message in messages:
            assert self._link.push(frame_of(message))

    async def hear(self) -> Any:
        """The next frame: JSON for text, bytes as they are."""
        with trio.fail_after(60):
            frame = await self._heard.take()
        return frame if isinstance(frame, bytes) else json.loads(frame)

    async def until_gone(self) -> CloseReason:
        """Read to the end, and say how it ended."""
        try:
            while True:
                await self._heard.take()
        except LinkClosed as closed:
            return closed.reason

    async def greet(self, **fields: Any) -> Any:
        """Take the init and acknowledge it; returns the init."""
        init = await self.hear()
        assert init["type"] == "tpa_connection_init"
        empty: dict[str, Any] = {"settings": [], "mentraosSettings": {}, "capabilities": None}
        self.say({"type": "tpa_connection_ack", "sessionId": SESSION, **empty, **fields})
        return init

    async def close(self, code: int, text: str = "") -> None:
        self.farewell = CloseReason(code, text)
        self.leave()
        await self.closed.wait()

    def leave(self) -> None:
        """End the connection without a word, if it is still there."""
        self._over.set()

    async def served(self) -> None:
        """Read, so that a close is answered; until the test has had enough of it."""
        await race(self._read, self._over.wait)

    async def _read(self) -> None:
        try:
            while True:
                self._heard.put(await self._link.receive())
        except LinkClosed as closed:
            reason = closed.reason
        self._heard.end(lambda: LinkClosed(reason))
        await self._over.wait()


@attrs.frozen
class Asked:
    """A plain request that came to the stub."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@attrs.define(eq=False)
class StubCloud:
    """Accepts everybody, or refuses with ``refuse_with``, and hands each to the test."""

    network: MemoryNetwork
    refuse_with: int | None = None
    retry_after: bytes | None = None
    refused_at: list[float] = attrs.field(factory=list)
    routes: dict[tuple[str, str], tuple[int, object]] = attrs.field(factory=dict)
    """What its HTTP routes answer, by method and path; 404 for every other."""
    asked: list[Asked] = attrs.field(factory=list)
    http_after: float = 0.0
    _send: trio.MemorySendChannel[Caller] = attrs.field(init=False)
    _receive: trio.MemoryReceiveChannel[Caller] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Caller](100)

    async def next(self, within: float = 60) -> Caller:
        with trio.fail_after(within):
            return await self._receive.receive()

    async def nobody_comes(self, within: float) -> bool:
        with trio.move_on_after(within):
            await self._receive.receive()
            return False
        return True

    def cut(self) -> None:
        self.network.cut("cloud:8002")

    async def admit(self, upgrade: Upgrade) -> None:
        if self.refuse_with is not None:
            self.refused_at.append(trio.current_time())
            more = [] if self.retry_after is None else [(b"Retry-After", self.retry_after)]
            await upgrade.reject(self.refuse_with, b'{"message":"no"}', more)
            return
        async with upgrade.accept() as link:
            caller = Caller(
                trio.current_time(),
                upgrade.path,
                upgrade.headers.get("authorization", ""),
                upgrade.query("token"),
                link,
            )
            self._send.send_nowait(caller)
            await caller.served()
            await link.close(caller.farewell)
            caller.closed.set()

    async def answer_http(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a plain request as ``routes`` say, and take note of it."""
        body = b""
        while (event := await receive()).get("more_body"):
            body += event["body"]
        body += event["body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["raw_path"].decode().partition("?")[0]
        self.asked.append(Asked(scope["method"], path, headers, body))
        await trio.sleep(self.http_after)
        status, answer = self.routes.get((scope["method"], path), (404, {"message": "no"}))
        data = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": data})

    async def post(
        self, host: str, path: str, body: object, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """POST JSON (or raw bytes) to ``host``; the status and the decoded answer."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        head += f"Content-Type: {content_type}\r\n"
        return await self._ask(host, f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    async def get(self, host: str, path: str) -> tuple[int, Any]:
        head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        return await self._ask(host, head.encode())

    async def _ask(self, host: str, request: bytes) -> tuple[int, Any]:
        async with await self.network.dial(host, 80) as stream:
            await stream.send_all(request)
            answer = b""
            while data := await stream.receive_some():
                answer += data
        head, _, content = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(content)

    async def request_session(self, host: str = "app", session_id: str = SESSION) -> Any:
        return await self.post(
            host,
            "/webhook",
            {
                "type": "session_request",
                "sessionId": session_id,
                "userId": "u-1@x.org",
                "timestamp": "2026-01-01T00:00:00.000Z",
                "mentraOSWebsocketUrl": APP_URL,
                "augmentOSWebsocketUrl": "ws://nobody/app-ws",
            },
        )


async def no_http(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def open_cloud() -> AsyncGenerator[StubCloud]:
    network = MemoryNetwork()
    cloud = StubCloud(network)
    port = Port(cloud.answer_http, cloud.admit, Limits(), RecordingTelemetry())
    async with trio.open_nursery() as nursery:
        listeners = [network.listen("cloud", 8002)]
        await nursery.start(trio.serve_listeners, port.serve, listeners)
        yield cloud
        nursery.cancel_scope.cancel("test over")
