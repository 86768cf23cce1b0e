"""Connections for the HTTP client: one look-up, every address checked, no second look-up.

What is connected to is exactly the address that was checked, so a name that resolves
differently a moment later (DNS rebinding) gains nothing. The name itself still goes into the
TLS handshake and the ``Host`` header.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import attrs
import httpcore
import trio

from ..domain.errors import WebhookFailed, WebhookFailure
from ..domain.public_addresses import is_public
from ..domain.timings import WIND_DOWN_S
from .look_up import Address, LookUp

ANSWER_BYTES_MAX: Final = 65_536
"""So much of an answer is read, head and body together."""

Dial: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Opens a stream to a host and port; raises ``OSError`` where that fails."""


@attrs.frozen(kw_only=True)
class CheckedDial:
    """Resolves once, refuses private addresses unless they are allowed, then connects.

    Raises:
        WebhookFailed: UNRESOLVED, BLOCKED (one private address among public ones suffices), or
            REFUSED when no address accepts.
    """

    allow_private_networks: bool
    look_up: LookUp = attrs.field(factory=LookUp)

    async def __call__(self, host: str, port: int) -> trio.abc.Stream:
        try:
            found = await self.look_up(host, port)
        except (OSError, ValueError):
            raise _failed(WebhookFailure.UNRESOLVED, f"{host} does not resolve") from None
        if not self.allow_private_networks:
            for _, address in found:
                if not is_public(str(address[0])):
                    raise _failed(
                        WebhookFailure.BLOCKED,
                        f"{host} is at a private address, which is not allowed here"
                        " (webhooks.allow_private_networks)",
                    )
        return await _connect_to_one(found, host, port)


async def _connect_to_one(found: list[Address], host: str, port: int) -> trio.abc.Stream:
    """The first address that accepts. Each may take its share of the time that is left."""
    problem = "no address"
    for number, (family, address) in enumerate(found):
        left = trio.current_effective_deadline() - trio.current_time()
        with trio.move_on_after(left / (len(found) - number)):
            try:
                return await _connect(family, address)
            except OSError as error:
                problem = _plain(error)
                continue
        problem = "no answer"
    raise _failed(WebhookFailure.REFUSED, f"cannot connect to {host}:{port}: {problem}")


async def _connect(family: int, address: tuple[Any, ...]) -> trio.abc.Stream:
    connection = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return trio.SocketStream(connection)


@asynccontextmanager
async def open_connections(dial: Dial) -> AsyncGenerator[Connections, None]:
    """The network of one call; every stream that it opened is closed with the block.

    So nothing is left over, whatever the HTTP library does when a call is cancelled.
    """
    connections = Connections(dial)
    try:
        yield connections
    finally:
        with trio.move_on_after(WIND_DOWN_S, shield=True):
            for stream in connections.opened:
                await trio.aclose_forcefully(stream)


@attrs.define(eq=False)
class Connections(httpcore.AsyncNetworkBackend):
    """The network as ``httpcore`` sees it."""

    dial: Dial
    opened: list[trio.abc.Stream] = attrs.field(factory=list, init=False)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A stream to ``host``; the caller's scope bounds the time, so ``timeout`` is not used."""
        try:
            stream = await self.dial(host, port)
        except (OSError, trio.BrokenResourceError) as error:
            text = f"cannot connect to {host}:{port}: {_plain(error)}"
            raise _failed(WebhookFailure.REFUSED, text) from None
        self.opened.append(stream)
        return _Connection(stream)


@attrs.define(eq=False)
class _Connection(httpcore.AsyncNetworkStream):
    """A Trio stream as ``httpcore`` uses it. Time limits are the caller's scopes."""

    stream: trio.abc.Stream
    _unread: int = attrs.field(default=ANSWER_BYTES_MAX, init=False)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._unread <= 0:
            raise httpcore.ReadError("answer too long")
        try:
            data = await self.stream.receive_some(min(max_bytes, self._unread))
            self._unread -= len(data)
            return bytes(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore.ReadError("connection broken") from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await self.stream.send_all(buffer)  # nothing but a checkpoint if it is empty
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise httpcore.WriteError("connection broken") from error

    async def aclose(self) -> None:
        # httpcore closes under a shield: an orderly goodbye to a silent peer would never end.
        await trio.aclose_forcefully(self.stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        secured = trio.SSLStream(
            self.stream, ssl_context, server_hostname=server_hostname, https_compatible=True
        )
        try:
            await secured.do_handshake()
        except trio.BrokenResourceError as error:
            text = f"no TLS with {server_hostname}: {_plain(error.__cause__ or error)}"
            raise _failed(WebhookFailure.REFUSED, text) from None
        return _Connection(secured)


def _failed(failure: WebhookFailure, message: str) -> WebhookFailed:
    return WebhookFailed(failure, message, delivered=False)


def _plain(error: BaseException) -> str:
    """What went wrong, in the words of the operating system or of TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return error.reason or "TLS error"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return "connection broken"
