"""FLV: the container in which a publisher's messages are handed on, tag by tag.

Source: Adobe, "Video File Format Specification", version 10, annex E.
"""

from __future__ import annotations

from typing import Final

HEADER: Final = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
"""Of a file with sound and picture, and the size of the tag before the first: none."""
AUDIO: Final = 8
VIDEO: Final = 9
SCRIPT: Final = 18
HEAD_BYTES: Final = 11
"""Of a tag, before its body."""


def tag(kind: int, timestamp: int, body: bytes) -> bytes:
    """One tag; ``timestamp`` in milliseconds, of which 32 bits count."""
    size, moment = len(body), timestamp & 0xFFFFFFFF
    head = bytes([kind]) + size.to_bytes(3, "big") + (moment & 0xFFFFFF).to_bytes(3, "big")
    head += bytes([moment >> 24]) + bytes(3)
    return head + body + (len(head) + size).to_bytes(4, "big")


def moment_of(tag: bytes) -> int:
    """When a tag is shown, in milliseconds."""
    return tag[7] << 24 | int.from_bytes(tag[4:7], "big")
