"""Accepting connections a few at a time, so that nobody waits long behind a crowd.

Trio accepts one connection in each turn of its event loop. When a thousand come at once, each of
them then waits for what is done for those before it, and so does a probe that only asks whether
the server is alive.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from socket import socket as RawSocket
from typing import Final

import attrs
import trio

from .plain_socket import PlainSocket, is_tuned, tune

AT_ONCE: Final = 16
"""Connections that are accepted in one turn of the event loop."""
_ONLY_THIS_ONE: Final = frozenset(
    getattr(errno, name)
    for name in (
        *("EPERM", "ECONNABORTED", "EPROTO", "ENETDOWN", "ENOPROTOOPT", "EHOSTDOWN", "ENONET"),
        *("EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "ENOSR", "ESOCKTNOSUPPORT"),
        *("EPROTONOSUPPORT", "ETIMEDOUT", "ECONNRESET"),
    )
    if hasattr(errno, name)
)
"""Errors of ``accept`` that say something of one connection, and nothing of the next: those that
``trio.SocketListener`` passes over (accept(2), "Error handling")."""


@attrs.define(eq=False)
class EagerListener(trio.abc.Listener[PlainSocket]):
    """A listening socket that takes what else waits along with each connection."""

    _listener: trio.SocketListener
    _sock: RawSocket = attrs.field(init=False)
    """The same socket again, as the standard library has it."""
    _accepted: deque[PlainSocket] = attrs.field(factory=deque, init=False)
    _tuned: bool | None = attrs.field(default=None, init=False)
    """Whether connections have their options from who listens; not known before the first."""

    def __attrs_post_init__(self) -> None:
        self._sock = RawSocket(fileno=os.dup(self._listener.socket.fileno()))
        self._sock.setblocking(False)
        tune(self._sock)

    @property
    def socket(self) -> trio.socket.SocketType:
        """What is listened on."""
        return self._listener.socket

    async def accept(self) -> PlainSocket:
        """The next connection; a turn of the event loop passes after every few of them.

        Raises:
            ClosedResourceError: this listener was closed.
            OSError: too many files are open, or there is no memory.
        """
        while not self._accepted:
            if self._sock.fileno() < 0:
                raise trio.ClosedResourceError("this listener was already closed")
            await trio.lowlevel.wait_readable(self._sock)
            self._take()
        return self._accepted.popleft()

    def _take(self) -> None:
        """Accept who waits, at most so many.

        Raises:
            OSError: as ``accept``; not while somebody was accepted, who comes first.
        """
        for _ in range(AT_ONCE):
            try:
                connection, address = self._sock.accept()
            except BlockingIOError:  # nobody else
                return
            except OSError as error:
                if error.errno in _ONLY_THIS_ONE:
                    continue
                if self._accepted:  # for the next call to say
                    return
                raise
            self._accepted.append(self._connected(connection, address))

    def _connected(self, connection: RawSocket, address: object) -> PlainSocket:
        connection.setblocking(False)
        if self._tuned is None:
            self._tuned = is_tuned(connection)
        if not self._tuned:
            tune(connection)
        peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else "local"
        return PlainSocket(connection, peer)

    async def aclose(self) -> None:
        """Listen no more; who was accepted and not yet served is cut."""
        while self._accepted:
            self._accepted.popleft().close()
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()
        await self._listener.aclose()
