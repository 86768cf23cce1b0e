"""A request to become a WebSocket: recognised and checked before anything answers it.

trio-websocket waits for ever on a head that it does not like, and trips over odd host names.
So it gets a head that we write ourselves, with nothing but the key of the peer in it; no
compression and no subprotocol can ever be negotiated.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs

import attrs
import h11
import trio

from ..domain.frame_counts import FrameCounts
from ..domain.timings import Limits
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
from .replayed_stream import ReplayedStream
from .websocket_link import WebSocketLink, open_link

_KEY_BYTES: Final = 16
_VERSION: Final = b"13"
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

    @asynccontextmanager
    async def accept(
        self, counts: FrameCounts | None = None, *, first_message_bytes: int | None = None
    ) -> AsyncGenerator[WebSocketLink, None]:
        """The link, for as long as the block runs; the block closes it with its reason.

        ``counts`` is raised with every message. ``first_message_bytes`` bounds the peer's first
        message, where that is less than any.
        """
        stream: trio.abc.Stream = self._http.stream
        if unread := self._http.take_unread():
            stream = ReplayedStream(stream, unread)
        async with open_link(
            stream,
            canonical_head(self._key),
            peer=self.peer,
            limits=self.limits,
            counts=counts,
            first_message_bytes=first_message_bytes,
        ) as link:
            self.opened()
            yield link


def canonical_head(key: bytes) -> bytes:
    """An upgrade request that offers nothing beyond the protocol itself."""
    return (
        b"GET / HTTP/1.1\r\nHost: link\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
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
