"""A peer that speaks to a port byte by byte, as well or as badly as a test wants."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import h11
import trio

from mentra_trio.domain.facts import Crashed, Fact
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.port import Port
from mentra_trio.transport.pump import Pump
from mentra_trio.transport.upgrade import Upgrade

from .carriers import FILLER, MemoryWire, PumpedWire, Wire

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x01\x02\x03\x04"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@attrs.define(eq=False)
class Facts:
    """A telemetry that remembers."""

    all: list[Fact] = attrs.field(factory=list)

    def emit(self, fact: Fact) -> None:
        self.all.append(fact)

    def of(self, kind: type[Fact]) -> list[Any]:
        return [fact for fact in self.all if isinstance(fact, kind)]

    @property
    def crashes(self) -> list[Any]:
        return self.of(Crashed)


@contextmanager
def facts_without_crashes() -> Iterator[Facts]:
    """Facts of one test; a contained crash fails it, unless the test has taken it out."""
    facts = Facts()
    yield facts
    assert facts.crashes == []


def upgrade_head(path: str = "/ws", *headers: str, key: bytes = KEY, version: str = "13") -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: h",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}",
        f"Sec-WebSocket-Version: {version}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | opcode])
    bit, size = (0x80 if masked else 0), len(payload)
    if size < 126:
        head += bytes([bit | size])
    elif size < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    return head + MASK + bytes(b ^ MASK[i & 3] for i, b in enumerate(payload))


def close_frame(code: int, text: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + text.encode())


@attrs.define(eq=False)
class Peer:
    """The client's end of a stream."""

    stream: trio.abc.Stream
    buffer: bytearray = attrs.field(factory=bytearray)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def _more(self) -> bool:
        try:
            data = await self.stream.receive_some(65536)
        except trio.BrokenResourceError:
            data = b""
        self.buffer += data
        return bool(data)

    async def rest(self) -> bytes:
        """Everything until the server's end of stream."""
        while await self._more():
            pass
        data, self.buffer = bytes(self.buffer), bytearray()
        return data

    async def until(self, needle: bytes) -> bytes:
        while needle not in self.buffer:
            if not await self._more():
                raise AssertionError(f"stream ended, {needle!r} not in {bytes(self.buffer)!r}")
        at = self.buffer.index(needle) + len(needle)
        data = bytes(self.buffer[:at])
        del self.buffer[:at]
        return data

    async def exactly(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not await self._more():
                raise EOFError(bytes(self.buffer))
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    async def frame(self) -> tuple[int, bytes]:
        """The next WebSocket frame of the server: opcode and payload."""
        first, size = await self.exactly(2)
        assert first & 0x80, "a server frame is never fragmented"
        assert size < 128, "a server frame is never masked"
        if size == 126:
            (size,) = struct.unpack("!H", await self.exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.exactly(8))
        return first & 0x0F, await self.exactly(size)

    async def unfilled(self) -> tuple[int, bytes]:
        """As ``frame``, without what only filled the wire."""
        while (read := await self.frame()) == (PING, FILLER):
            pass
        return read

    async def close_code(self) -> tuple[int, str]:
        """Skip to the server's close frame."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    async def open(self, path: str = "/ws", *headers: str) -> str:
        """Upgrade; the response's head."""
        await self.send(upgrade_head(path, *headers))
        head = (await self.until(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 101"), head
        return head

    async def request(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request and its whole response, on a fresh parser; keeps the connection."""
        parser = h11.Connection(h11.CLIENT)
        fields = {"host": "h", "content-length": str(len(body)), **(headers or {})}
        request = h11.Request(method=method, target=target, headers=list(fields.items()))
        data = parser.send(request) or b""
        data += (parser.send(h11.Data(data=body)) or b"") if body else b""
        await self.send(data + (parser.send(h11.EndOfMessage()) or b""))
        return await self.response(parser)

    async def response(
        self, parser: h11.Connection | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        if parser is None:
            parser = h11.Connection(h11.CLIENT)
            parser.send(h11.Request(method="GET", target="/", headers=[("host", "h")]))
            parser.send(h11.EndOfMessage())
        status, headers, body = 0, {}, b""
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if not self.buffer and not await self._more():
                    parser.receive_data(b"")
                    continue
                parser.receive_data(bytes(self.buffer))
                self.buffer.clear()
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {k.decode(): v.decode() for k, v in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                self.buffer[:0] = parser.trailing_data[0]
                return status, headers, body


async def hello_app(scope: Any, receive: Any, send: Any) -> None:
    """The plainest application: says hello, whatever it is asked."""
    body = b"hello " + scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo_app(scope: Any, receive: Any, send: Any) -> None:
    """Gives the body back, in pieces."""
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for at in range(0, len(body), 1000):
        piece = body[at : at + 1000]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def no_websockets(upgrade: Upgrade) -> None:
    await upgrade.reject(404, b"{}")


@attrs.define(eq=False)
class Rig:
    """A port and the means to connect to it, in memory or over ``wire``s of another kind."""

    nursery: trio.Nursery
    facts: Facts
    app: Any = hello_app
    websockets: Callable[[Upgrade], Awaitable[None]] = no_websockets
    limits: Limits = attrs.field(factory=Limits)
    wire: Callable[[], Wire] = MemoryWire
    open_connections: int = 0
    pumped: bool = attrs.field()
    """Whether each port has a pump."""
    wires: list[Any] = attrs.field(factory=list)
    """Of every connection so far."""
    _pumping: list[trio.CancelScope] = attrs.field(factory=list)

    @pumped.default
    def _as_the_wire_is_called(self) -> bool:
        return isinstance(self.wire, type) and issubclass(self.wire, PumpedWire)

    def port(self) -> Port:
        async def websockets(upgrade: Upgrade) -> None:
            await self.websockets(upgrade)

        pump = Pump() if self.pumped else None
        if pump is not None:
            self._pumping.append(trio.CancelScope())
            self.nursery.start_soon(self._pump, pump, self._pumping[-1])
        return Port(self.app, websockets, self.limits, self.facts, pump=pump)

    async def _pump(self, pump: Pump, scope: trio.CancelScope) -> None:
        with scope:
            await pump.run()

    def connect(self, port: Port | None = None) -> Peer:
        wire = self.wire()
        self.wires.append(wire)
        self.nursery.start_soon(self._serve, port or self.port(), wire.server)
        return Peer(wire.client)

    def discard(self) -> None:
        """End of the test."""
        for wire in self.wires:
            wire.discard()
        for scope in self._pumping:
            scope.cancel("end of the test")

    async def _serve(self, port: Port, server: trio.abc.Stream) -> None:
        self.open_connections += 1
        await port.serve(server)
        self.open_connections -= 1
