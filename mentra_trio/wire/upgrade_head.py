"""The head of a WebSocket upgrade as nearly all peers write it, read in one go.

It is strict where HTTP leaves room: what is not exactly as expected is nothing to it, and the
parser of all of HTTP decides (RFC 9112; RFC 6455, 4.2.1). Whatever is read here, that parser
reads in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

HEAD_BYTES_MAX: Final = 16_384
"""A longer head is for the parser that has a limit to tell of."""

_HEAD: Final = re.compile(
    rb"GET ([\x21-\x7e]++) HTTP/1\.1\r\n"
    rb"((?:[-!#$%&'*+.^_`|~0-9A-Za-z]++:[\t\x20-\x7e]*+\r\n)++)\r\n"
)
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
"""16 bytes in base64, without a bit too many."""
_BODY: Final = frozenset({"content-length", "transfer-encoding", "expect"})
"""What announces a body, which an upgrade must not have."""


class UpgradeHead(NamedTuple):
    """A well-formed upgrade: its target as given, its headers, its key, and how long it was."""

    target: bytes
    headers: Mapping[str, str]
    """Names in lower case; none of them came twice."""
    key: bytes
    size: int
    """Bytes up to and with the empty line; what follows belongs to the WebSocket."""


def read_upgrade_head(data: bytes) -> UpgradeHead | None:
    """The upgrade that ``data`` begins with; ``None``: not complete, or not for here to say."""
    found = _HEAD.match(data, 0, HEAD_BYTES_MAX)
    if found is None:
        return None
    lines = found[2].decode("ascii").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if len(headers) != len(lines) - 1 or not _is_upgrade(headers):
        return None
    key = headers["sec-websocket-key"].encode("ascii")
    return UpgradeHead(found[1], headers, key, found.end())


def _is_upgrade(headers: Mapping[str, str]) -> bool:
    get = headers.get
    return (
        get("upgrade", "").lower() == "websocket"
        and get("sec-websocket-version") == "13"
        and "host" in headers
        and _KEY.fullmatch(get("sec-websocket-key", "")) is not None
        and "upgrade" in [word.strip(" \t") for word in get("connection", "").lower().split(",")]
        and _BODY.isdisjoint(headers)
    )
