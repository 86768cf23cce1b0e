"""What a publisher says in RTMP, byte by byte."""

from __future__ import annotations

from typing import Any

from mentra_trio.streams import amf

GREETING = b"\3" + bytes(1536) + bytes(1536)
"""C0, C1 and C2; nobody waits for the answers here."""


def chunks(
    kind: int, body: bytes, *, timestamp: int = 0, stream: int = 4, size: int = 128
) -> bytes:
    """A message in chunks of at most ``size`` bytes."""
    extended = timestamp.to_bytes(4, "big") if timestamp >= 0xFFFFFF else b""
    field = min(timestamp, 0xFFFFFF).to_bytes(3, "big")
    first = [*field, *len(body).to_bytes(3, "big"), kind, 1, 0, 0, 0]
    out = bytes([stream]) + bytes(first) + extended + body[:size]
    for at in range(size, len(body), size):
        out += bytes([0xC0 | stream]) + extended + body[at : at + size]
    return out


def command(*values: Any) -> bytes:
    """A command, on the chunk stream for commands."""
    return chunks(20, amf.encode(*values), stream=3)


def asking(key: str) -> bytes:
    """All that is said up to the wish to publish under ``key``."""
    return (
        GREETING
        + command("connect", 1, {"app": "live", "tcUrl": "rtmp://h/live", "type": "nonprivate"})
        + command("releaseStream", 2, None, key)
        + command("FCPublish", 3, None, key)
        + command("createStream", 4, None)
        + command("publish", 5, None, key, "live")
    )
