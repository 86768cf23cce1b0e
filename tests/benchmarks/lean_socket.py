"""A WebSocket client that costs almost nothing, so that the load never is the bottleneck.

It masks with a key of zeros, so a frame is made once and sent many times, and it looks only at
the headers of what comes back.
"""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
READ_BYTES = 262_144
TIME_LIMIT_S = 10.0


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A final client frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, 0x80 | size])
    else:
        head = bytes([0x80 | opcode, 0x80 | 126]) + size.to_bytes(2, "big")
    return head + bytes(4) + payload


class LeanSocket:
    """One client connection, blocking, with a time limit on every operation."""

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        target = urlsplit(url)
        assert target.hostname
        self.socket = socket.create_connection((target.hostname, target.port), TIME_LIMIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        path = target.path + (f"?{target.query}" if target.query else "")
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {target.hostname}:{target.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while b"\r\n\r\n" not in self._unread:
            self._receive()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ConnectionError(head.decode())
        self._came_with_handshake = bool(self._unread)

    def _receive(self) -> None:
        chunk = self.socket.recv(READ_BYTES)
        if not chunk:
            raise ConnectionError("closed by the server")
        self._unread += chunk

    def send(self, data: bytes) -> None:
        """Send frames that were made before."""
        self.socket.sendall(data)

    def _frames(self) -> Iterator[tuple[int, int, int]]:
        """Opcode, start and end of every whole frame that was read; forgets them afterwards."""
        data, position = self._unread, 0
        while position + 2 <= len(data):
            size, start = data[position + 1] & 127, position + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            elif size == 127:
                size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
            if start + size > len(data):
                break
            yield data[position] & 15, start, start + size
            position = start + size
        self._unread = data[position:]

    def count(self, wanted: bytes) -> int:
        """Read once; how many whole text frames had ``wanted`` near their beginning."""
        if self._came_with_handshake:
            self._came_with_handshake = False
        else:
            self._receive()
        found = 0
        data = self._unread
        for opcode, start, end in self._frames():
            if opcode == TEXT:
                found += wanted in data[start : start + 40]
            elif opcode == PING:
                self.send(frame(data[start:end], PONG))
            elif opcode == CLOSE:
                raise ConnectionError(f"closed: {data[start:end]!r}")
        return found

    def until(self, wanted: bytes, number: int = 1) -> None:
        """Read until that many text frames with ``wanted`` near their beginning have come."""
        while number > 0:
            number -= self.count(wanted)

    def close(self) -> None:
        """End it without ceremony."""
        self.socket.close()
