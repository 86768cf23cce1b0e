"""Stands between a server and an app that it calls, and gives other answers than the app."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Final

import attrs
import h11
import trio

from .faults import Webhook
from .network import MemoryNetwork
from .streams import MemoryStream

WEBHOOK_PATH: Final = b"/webhook"
_LOST: Final = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


@attrs.frozen
class _Request:
    """A request as it came, byte for byte."""

    raw: bytes
    is_webhook: bool


@attrs.define(eq=False, kw_only=True)
class Relaying:
    """Takes connections to app servers over, for as long as a ``Webhook`` fault lasts.

    Attributes:
        over: set when the fault is over.
    """

    fault: Webhook
    over: trio.Event = attrs.field(factory=trio.Event)
    _network: MemoryNetwork
    _nursery: trio.Nursery

    def take(self, stream: MemoryStream, host: str, port: int) -> None:
        """See ``conditions.Relay``."""
        self._nursery.start_soon(self._serve, stream, host, port, name=f"relay to {host}")

    async def _serve(self, stream: MemoryStream, host: str, port: int) -> None:
        async with stream:
            with suppress(*_LOST):
                request = await _read_request(stream)
                if request is None:
                    return
                if request.is_webhook:
                    await self._mistreat(stream, request, host, port)
                else:
                    await stream.send_all(await self._ask(request, host, port))

    async def _mistreat(
        self, stream: MemoryStream, request: _Request, host: str, port: int
    ) -> None:
        """Answer as the fault wants it."""
        fault = self.fault
        match fault.answer:
            case "late":
                own = await self._ask(request, host, port) if fault.heard else _answer(503)
                await trio.sleep(fault.delay)
                await stream.send_all(_answer(fault.status) if fault.status else own)
            case "early":
                await stream.send_all(_answer(fault.status or 200))
                await stream.aclose()
                await trio.sleep(fault.delay)
                if fault.heard:
                    await self._ask(request, host, port)
            case "never":
                if fault.heard:
                    self._nursery.start_soon(self._ask_in_vain, request, host, port)
                await self.over.wait()
                stream.cut()

    async def _ask_in_vain(self, request: _Request, host: str, port: int) -> None:
        with suppress(*_LOST):
            await self._ask(request, host, port)

    async def _ask(self, request: _Request, host: str, port: int) -> bytes:
        """The app's own answer."""
        answer = b""
        async with await self._network.dial(host, port, origin="relay", directly=True) as app:
            await app.send_all(request.raw)
            while piece := await app.receive_some():
                answer += piece
        return answer


async def _read_request(stream: MemoryStream) -> _Request | None:
    """One whole request; ``None`` if the peer goes away before."""
    parser = h11.Connection(h11.SERVER)
    raw, target = b"", b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            piece = await stream.receive_some()
            raw += piece
            parser.receive_data(piece)
        elif isinstance(event, h11.Request):
            target = event.target
        elif isinstance(event, h11.EndOfMessage):
            return _Request(raw, target.endswith(WEBHOOK_PATH))
        elif isinstance(event, h11.ConnectionClosed):
            return None


def _answer(status: int) -> bytes:
    reason = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Unknown"
    head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: 2\r\nconnection: close\r\n\r\n{{}}".encode()
