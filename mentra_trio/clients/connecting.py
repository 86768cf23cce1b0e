"""Streams to a peer that a URL names: over TCP and TLS, or whatever a dial gives."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

import attrs
import trio

from ..transport.plain_socket import PlainSocket
from .refusals import UpgradeRefused, tls_problem

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Connects to a host and port; replaces look-up and TCP in tests."""

_PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {"ws": 80, "http": 80, "wss": 443, "https": 443}
)


@runtime_checkable
class Cuttable(Protocol):
    """A stream of a simulated network: it can be reset."""

    def cut(self) -> None:
        """Reset the connection: both ends fail at once."""
        ...


@attrs.frozen(kw_only=True)
class Target:
    """A ``ws``, ``wss``, ``http`` or ``https`` URL, taken apart."""

    host: str
    port: int
    tls: bool
    authority: str
    resource: str

    @classmethod
    def of(cls, url: str, *schemes: str) -> Target:
        """What ``url`` names.

        Raises:
            ValueError: it is no URL of one of ``schemes``.
        """
        parts = urlsplit(url)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(
                f"{url!r} is not a {'://, '.join(schemes[:-1])}:// or {schemes[-1]}:// address"
            )
        return cls(
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            tls=parts.scheme in {"wss", "https"},
            authority=parts.netloc.rpartition("@")[2],
            resource=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        )


async def connect(
    target: Target, dial: Dial | None, ssl_context: ssl.SSLContext | None
) -> trio.abc.Stream:
    """A stream to ``target``, with TLS where it wants that.

    Raises:
        OSError: nothing answers there, or there can be no such host.
        UpgradeRefused: the TLS handshake failed; the text says why.
    """
    try:
        stream = await (dial or trio.open_tcp_stream)(target.host, target.port)
    except UnicodeError:
        raise OSError(f"{target.authority} is no name of a host") from None
    if not target.tls:
        return stream
    context = ssl_context or ssl.create_default_context()
    secure = trio.SSLStream(stream, context, server_hostname=target.host, https_compatible=True)
    try:
        await secure.do_handshake()  # here, and not with the first bytes: its errors have names
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        problem = f"{target.authority}: {tls_problem(error.__cause__)}"
        raise UpgradeRefused(0, b"", problem) from error.__cause__
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secure


def reset(stream: trio.abc.Stream) -> None:
    """Close a connection so that the peer sees a reset.

    Raises:
        TypeError: it is no stream that we know how to reset.
    """
    while isinstance(stream, trio.SSLStream):
        stream = stream.transport_stream
    lingering = struct.pack("ii", 1, 0)  # on, for no time: a close sends RST
    if isinstance(stream, PlainSocket):
        stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
        stream.close()
    elif isinstance(stream, trio.SocketStream):
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
        stream.socket.close()
    elif isinstance(stream, Cuttable):
        stream.cut()
    else:
        raise TypeError(f"cannot reset a {type(stream).__name__}")
