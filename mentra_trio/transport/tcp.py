"""Listening sockets, plain or with TLS, and the addresses at both ends."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import trio

from ..domain.errors import ConfigError

Listener = trio.abc.Listener[Any]


async def open_listeners(
    host: str,
    port: int,
    *,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> list[Listener]:
    """Listen on ``host`` and ``port``; port 0 picks a free one. With a certificate: TLS only.

    A host name with several addresses is listened to on all of them, but with port 0 only on
    the first, so that there is one port to name. The caller closes the listeners.

    Raises:
        ConfigError: the address cannot be used, or the certificate or key cannot be read.
    """
    context = None if tls_cert is None else _tls_context(tls_cert, tls_key)
    try:
        plain = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    if port == 0:
        for superfluous in plain[1:]:
            await superfluous.aclose()
        plain = plain[:1]
    if context is None:
        return list(plain)
    return [trio.SSLListener(listener, context, https_compatible=True) for listener in plain]


def bound_address(listeners: Sequence[Listener]) -> tuple[str, int]:
    """Host and port of the first listener: of its socket, or its own ``address`` (``host:port``).

    Raises:
        ValueError: none has either.
    """
    for listener in listeners:
        address = getattr(listener, "address", None)
        if isinstance(address, str):
            host, _, number = address.rpartition(":")
            return host, int(number)
        inner = getattr(listener, "transport_listener", listener)
        if isinstance(inner, trio.SocketListener):
            host, port = inner.socket.getsockname()[:2]
            return str(host), int(port)
    raise ValueError("no listener has an address")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on ``host``."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def peer_of(stream: trio.abc.Stream) -> str:
    """The address at the other end as ``host:port``; for other streams their ``peer``, if any."""
    inner: Any = getattr(stream, "transport_stream", stream)
    if isinstance(inner, trio.SocketStream):
        try:
            name = inner.socket.getpeername()
        except OSError:  # already gone
            return "unknown"
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else "local"
    return str(getattr(inner, "peer", "memory"))


def _tls_context(cert: Path, key: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        problem = error.strerror or error.reason if isinstance(error, ssl.SSLError) else error
        raise ConfigError(f"server.tls_cert: cannot use {cert}: {problem}") from None
    return context
