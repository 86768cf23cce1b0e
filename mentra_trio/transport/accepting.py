"""Accepting connections a few at a time, so that nobody waits long behind a crowd.

Trio accepts one connection in each turn of its event loop. When a thousand come at once, each of
them then waits for what is done for those before it, and so does a probe that only asks whether
the server is alive.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Final

import attrs
import trio

AT_ONCE: Final = 16
"""Connections that are accepted in one turn of the event loop."""


@attrs.define(eq=False)
class EagerListener(trio.abc.Listener[trio.SocketStream]):
    """A ``trio.SocketListener`` that takes what else waits along with each connection."""

    _listener: trio.SocketListener
    _also: socket.socket = attrs.field(init=False)
    """The same socket again, for accepting without waiting."""
    _accepted: deque[trio.SocketStream] = attrs.field(factory=deque, init=False)

    def __attrs_post_init__(self) -> None:
        self._also = socket.socket(fileno=os.dup(self._listener.socket.fileno()))
        self._also.setblocking(False)

    @property
    def socket(self) -> trio.socket.SocketType:
        """What is listened on."""
        return self._listener.socket

    async def accept(self) -> trio.SocketStream:
        """The next connection; a turn of the event loop passes after every few of them."""
        if self._accepted:
            return self._accepted.popleft()
        stream = await self._listener.accept()
        while len(self._accepted) < AT_ONCE - 1:
            try:
                connection, _ = self._also.accept()
            except OSError:  # nobody else, or too many open files: for the next call to say
                break
            self._accepted.append(trio.SocketStream(trio.socket.from_stdlib_socket(connection)))
        return stream

    async def aclose(self) -> None:
        """Listen no more; who was accepted and not yet served is cut."""
        self._also.close()
        while self._accepted:
            await trio.aclose_forcefully(self._accepted.popleft())
        await self._listener.aclose()
