"""Listening sockets, plain or with TLS, and the addresses at both ends."""

from __future__ import annotations

import resource
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import trio

from ..domain.errors import ConfigError
from .accepting import EagerListener

Listener = trio.abc.Listener[Any]

CONNECTIONS_MAX: Final = 20_000
"""So many connections at once, at most, whatever the operating system allows."""


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
    context = None if tls_cert is None else tls_context(tls_cert, tls_key)
    try:
        plain = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    except ValueError:  # the name cannot even be looked up: an empty or overlong part, a NUL
        raise ConfigError(f"cannot listen on {host[:80]!r}: that is not a host name") from None
    if port == 0:
        for superfluous in plain[1:]:
            superfluous.socket.close()  # without a checkpoint, at which the first could be lost
        plain = plain[:1]
    eager = [EagerListener(listener) for listener in plain]
    if context is None:
        return list(eager)
    return [trio.SSLListener(listener, context, https_compatible=True) for listener in eager]


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
        if isinstance(inner, EagerListener | trio.SocketListener):
            host, port = inner.socket.getsockname()[:2]
            return str(host), int(port)
    raise ValueError("no listener has an address")


def room_for_connections() -> int:
    """How many connections to accept at once.

    One file in eight that this process may open is kept for calls to apps and for the store.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    return max(1, min(CONNECTIONS_MAX, files - files // 8))


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


def tls_context(cert: Path, key: Path | None) -> ssl.SSLContext:
    """What a server speaks TLS with; nobody is ever asked for a password.

    Raises:
        ConfigError: the certificate or its key cannot be used; one line that says which and why.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _check_readable("server.tls_cert", cert)
    if key is not None:
        _check_readable("server.tls_key", key)

    def no_password() -> str:  # otherwise OpenSSL asks for it on the terminal
        raise ConfigError(f"server.tls_key: {key or cert} needs a password; remove it")

    try:
        context.load_cert_chain(cert, key, no_password)
    except ssl.SSLError as error:
        raise ConfigError(_tls_problem(cert, key, error)) from None
    return context


def _check_readable(setting: str, file: Path) -> None:
    """OpenSSL does not tell which of two files it cannot read."""
    try:
        file.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{setting}: cannot read {file}: {error.strerror}") from None


def _tls_problem(cert: Path, key: Path | None, error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"server.tls_key: {key or cert} is not the key of the certificate in {cert}"
    if key is None:
        return f"server.tls_cert: {cert} does not hold a certificate chain and its key in PEM"
    return f"server.tls_cert: {cert} is not a certificate chain in PEM, or {key} not a key in PEM"
