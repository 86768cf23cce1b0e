"""The far end of a webhook call: a network in memory, and app servers of every behaviour."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import attrs
import h11
import pytest
import trio
import trio.testing

from mentra_trio.domain.errors import WebhookFailed
from mentra_trio.domain.ids import app_session_id, package_name, user_id
from mentra_trio.ports import SessionCall, StopCall
from mentra_trio.webhooks.client import HttpWebhooks

USER, PACKAGE = user_id("ann@example.com"), package_name("com.example.captions")
SESSION = app_session_id(USER, PACKAGE)
URL = "http://app.example:7010"

Behaviour: TypeAlias = Callable[[trio.abc.Stream], Awaitable[None]]


def session_call(url: str = URL) -> SessionCall:
    return SessionCall(
        url=url,
        user=USER,
        package=PACKAGE,
        session_id=SESSION,
        websocket_url="wss://cloud.example/app-ws",
        timestamp="2026-01-31T12:00:00.000Z",
    )


def stop_call() -> StopCall:
    return StopCall(
        url=URL,
        user=USER,
        package=PACKAGE,
        session_id=SESSION,
        reason="user_disabled",
        timestamp="2026-01-31T12:00:00.000Z",
    )


@attrs.define(eq=False)
class Network:
    """Dials streams in memory; the far end of each is served by ``behaviour``."""

    behaviour: Behaviour
    nursery: trio.Nursery
    dialled: list[tuple[str, int]] = attrs.field(factory=list)
    near_ends: list[trio.abc.Stream] = attrs.field(factory=list)
    ended: int = 0

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        near, far = trio.testing.memory_stream_pair()
        self.dialled.append((host, port))
        self.near_ends.append(near)
        self.nursery.start_soon(self._serve, far)
        return near

    async def _serve(self, far: trio.abc.Stream) -> None:
        async with far:
            try:
                await self.behaviour(far)
                while await far.receive_some():
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
        self.ended += 1


@asynccontextmanager
async def network(behaviour: Behaviour) -> AsyncGenerator[Network, None]:
    async with trio.open_nursery() as nursery:
        yield Network(behaviour, nursery)
        await trio.sleep(5)  # the far ends may be busy with their own delays
        assert not nursery.child_tasks, "a connection was left open"


def client(net: Network, **changes: Any) -> HttpWebhooks:
    settings: dict[str, Any] = {"connect_s": 5.0, "read_s": 30.0, "dial": net.dial}
    return HttpWebhooks(allow_private_networks=False, **(settings | changes))


async def read_request(stream: trio.abc.Stream) -> tuple[h11.Request, bytes]:
    connection = h11.Connection(h11.SERVER)
    head: list[h11.Request] = []
    body = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            head.append(event)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return head[0], body
        elif isinstance(event, h11.ConnectionClosed):
            raise trio.BrokenResourceError
        else:
            connection.receive_data(bytes(await stream.receive_some()))


def answering(
    raw: bytes, *, after: float = 0, seen: list[tuple[h11.Request, bytes]] | None = None
) -> Behaviour:
    async def behaviour(stream: trio.abc.Stream) -> None:
        request = await read_request(stream)
        if seen is not None:
            seen.append(request)
        await trio.sleep(after)
        await stream.send_all(raw)

    return behaviour


def status(code: int, body: bytes = b"{}", extra: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {code} Whatever\r\nContent-Length: {len(body)}\r\n".encode()
    return head + extra + b"\r\n" + body


class Delivered:
    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self) -> None:
        self.times.append(trio.current_time())


async def failure(call: Callable[[], Awaitable[None]]) -> WebhookFailed:
    with pytest.raises(WebhookFailed) as caught:
        await call()
    assert "\n" not in str(caught.value)
    return caught.value
