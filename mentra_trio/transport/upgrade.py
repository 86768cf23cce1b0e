"""A request to become a WebSocket: recognised and checked before anything answers it.

No compression and no subprotocol can ever be negotiated: whoever asks for some is answered as if
nothing had been asked (RFC 6455, 4.2.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qs

import attrs
import h11
import trio

from ..domain.frame_counts import FrameCounts
from ..domain.timings import Limits
from ..wire.frames import FrameReader
from ..wire.upgrade_head import UpgradeHead
from .http_connection import (
    HandedOver,
    Headers,
    HttpConnection,
    Refusal,
    Target,
    header_values,
    split_target,
    tokens,
)
from .outbound import Outbound
from .outbox import Outbox
from .plain_socket import PlainSocket
from .pump import Pump
from .socket_link import SocketLink
from .stream_link import StreamLink, writing
from .websocket_link import WebSocketLink

_KEY_BYTES: Final = 16
_VERSION: Final = b"13"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_QUERY_FIELDS_MAX: Final = 100
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_NOTHING_ASKED: Final = Target(path="", raw_path=b"", query=b"")


@attrs.define(eq=False, kw_only=True)
class Upgrade:
    """A well-formed upgrade request that waits for its answer: ``accept`` or ``reject``."""

    target: Target
    headers: Mapping[str, str]
    """Names in lower case; of a repeated header the first."""
    _http: HandedOver
    _key: bytes
    outbound: Outbound = attrs.field(factory=Outbound, init=False)
    """Through which what is pushed to several links at once is sent."""
    pump: Pump | None = attrs.field(default=None, init=False)
    """Who reads for it while it is lent, if anybody does."""
    under_way: trio.Semaphore | None = attrs.field(default=None, init=False)
    """What this upgrade holds a part of until it is opened."""

    def opened(self) -> None:
        """What is left to do waits for the peer: another upgrade may have its turn."""
        if self.under_way is not None:
            self.under_way.release()
            self.under_way = None

    def forget(self) -> None:
        """Drop what was asked for: whoever serves the link for hours needs none of it."""
        self.target, self.headers = _NOTHING_ASKED, _NO_HEADERS

    @property
    def path(self) -> str:
        """The path, percent-decoded, without the query."""
        return self.target.path

    @property
    def peer(self) -> str:
        """The address of the other end, for logs."""
        return self._http.peer

    @property
    def limits(self) -> Limits:
        """What the port allows a peer."""
        return self._http.limits

    def query(self, name: str) -> str | None:
        """The first value of a query parameter; ``None`` also where there are absurdly many."""
        try:
            fields = parse_qs(self.target.query.decode("latin-1"), max_num_fields=_QUERY_FIELDS_MAX)
        except ValueError:
            return None
        return fields.get(name, [None])[0]

    async def reject(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Answer with an HTTP error instead; ``body`` is JSON. The connection ends after it."""
        self.opened()  # a peer that does not go would keep others waiting
        head = [(b"content-type", b"application/json"), *headers]
        await self._http.refuse(status, body, head)

    def accept(
        self, counts: FrameCounts | None = None, *, first_message_bytes: int | None = None
    ) -> AbstractAsyncContextManager[WebSocketLink]:
        """The link, for as long as the block runs; the block closes it with its reason.

        ``counts`` is raised with every message. ``first_message_bytes`` bounds the peer's first
        message, where that is less than any.
        """
        self.opened()
        most = self.limits.message_bytes
        reader = FrameReader(first_message_bytes or most, most)
        reader.feed(self._http.take_unread(), 0)  # what came with the request is for later
        stream, welcome = self._http.stream, switching_protocols(self._key)
        common: dict[str, Any] = {
            "peer": self.peer,
            "limits": self.limits,
            "counts": counts or FrameCounts(),
            "outbound": self.outbound,
            "reader": reader,
        }
        if isinstance(stream, PlainSocket):
            return SocketLink(**common, socket=stream, frames=[welcome], pump=self.pump)
        outbox = Outbox(self.limits.outbox_bytes, self.limits.outbox_frames)
        outbox.put(welcome)
        return writing(StreamLink(**common, stream=stream, outbox=outbox))


def switching_protocols(key: bytes) -> bytes:
    """The answer that opens a WebSocket to the peer whose ``Sec-WebSocket-Key`` is ``key``."""
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def upgrade_of(head: UpgradeHead, http: HandedOver) -> Upgrade:
    """The upgrade in ``head``, on the stream of ``http``."""
    target = split_target(head.target)
    return Upgrade(target=target, headers=head.headers, http=http, key=head.key)


def wants_websocket(request: h11.Request) -> bool:
    """Whether the peer asks for a WebSocket, well-formed or not."""
    return b"websocket" in tokens(request, b"upgrade")


async def read_upgrade(http: HttpConnection, request: h11.Request) -> Upgrade | Refusal | None:
    """The upgrade that ``request`` asks for, or why it cannot be had (RFC 6455, 4.2.1).

    ``None`` if the peer is gone.
    """
    if (problem := _problem(request)) is not None:
        return problem
    rest = await http.next_body_event()
    if rest is None or isinstance(rest, Refusal):
        return rest
    if not isinstance(rest, h11.EndOfMessage):
        return Refusal(400, "an upgrade request has no body")
    headers: dict[str, str] = {}
    for name, value in request.headers:
        headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
    return Upgrade(
        target=split_target(request.target),
        headers=headers,
        http=http.hand_over(),
        key=header_values(request, b"sec-websocket-key")[0],
    )


def _problem(request: h11.Request) -> Refusal | None:
    if request.method != b"GET" or request.http_version < b"1.1":
        return Refusal(400, "an upgrade is a GET in HTTP/1.1")
    if b"upgrade" not in tokens(request, b"connection"):
        return Refusal(400, "'Connection: Upgrade' is missing")
    if header_values(request, b"sec-websocket-version") != [_VERSION]:
        return Refusal(426, "only WebSocket version 13 is spoken here")
    keys = header_values(request, b"sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        return Refusal(400, "'Sec-WebSocket-Key' is not 16 bytes in base64")
    return None


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False
