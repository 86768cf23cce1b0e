"""A stream over one accepted TCP connection: the socket itself, and Trio's waiting for it.

``trio.SocketStream`` goes through a socket object of its own, three context managers and a few
coroutines for every call. Here the socket is the standard library's, not blocking, and whoever
knows how to do without a task switch (a link that joins frames, a door that reads one head) uses
it directly. See decision 0031.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import Final

import attrs
import trio
from trio.lowlevel import (
    cancel_shielded_checkpoint,
    checkpoint,
    checkpoint_if_cancelled,
    notify_closing,
    wait_readable,
    wait_writable,
)

RECEIVE_BYTES: Final = 65_536
"""What is read at once where the caller names no number."""
NOTSENT_LOWAT_BYTES: Final = 131_072
"""What the kernel takes for a peer beyond what is on its way. Without a bound it swallows
megabytes for one that never reads, and nobody notices that it is slow."""
_TCP_NOTSENT_LOWAT: Final[int | None] = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_CLOSED: Final = frozenset({errno.EBADF, errno.ENOTSOCK})


def tune(sock: socket.socket) -> None:
    """No waiting for more to send (RFC 896), and no great heaps in the kernel; for TCP only."""
    with suppress(OSError):  # not a TCP socket, or already gone
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _TCP_NOTSENT_LOWAT is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)


def is_tuned(sock: socket.socket) -> bool:
    """Whether ``tune`` has nothing to do; many kernels pass options on from who listens."""
    try:
        if not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY):
            return False
        return (
            _TCP_NOTSENT_LOWAT is None
            or sock.getsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT) == NOTSENT_LOWAT_BYTES
        )
    except OSError:
        return False


@attrs.define(eq=False)
class PlainSocket(trio.abc.HalfCloseableStream):
    """A connected stream socket as a Trio stream; it behaves as ``trio.SocketStream`` does.

    Attributes:
        sock: connected and not blocking; owned by this stream.
        peer: the address at the other end, for logs.
    """

    sock: socket.socket
    peer: str
    _sending: bool = attrs.field(default=False, init=False)
    """Whether a task is sending: half of its data may be on the wire."""
    _at_end: bool = attrs.field(default=False, init=False)
    """Whether the peer has been told that no more follows."""

    def receive_nowait(self, max_bytes: int) -> bytes | None:
        """What has come, at most so many bytes; ``b""`` at the peer's end, ``None`` for nothing.

        Raises:
            ClosedResourceError: this end was closed.
            BrokenResourceError: the connection is broken.
        """
        try:
            return self.sock.recv(max_bytes)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise stream_error(error) from error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """See ``trio.abc.ReceiveStream``; with a task switch, but without waiting for one's turn
        at the kernel, where something has come already."""
        if max_bytes is None:
            max_bytes = RECEIVE_BYTES
        if max_bytes < 1:
            raise ValueError("max_bytes must be >= 1")
        await checkpoint_if_cancelled()
        data = self.receive_nowait(max_bytes)
        if data is not None:
            await cancel_shielded_checkpoint()
            return data
        while data is None:
            await wait_readable(self.sock)
            data = self.receive_nowait(max_bytes)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """See ``trio.abc.SendStream``."""
        if self._at_end:
            raise trio.ClosedResourceError("can't send data after sending EOF")
        self._begin_sending()
        try:
            await checkpoint_if_cancelled()
            sent = self._send(data)
            if sent == len(data):
                await cancel_shielded_checkpoint()
                return
            with memoryview(data) as view:
                while sent < len(view):
                    await wait_writable(self.sock)
                    with view[sent:] as rest:
                        sent += self._send(rest)
        finally:
            self._sending = False

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        try:
            return self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise stream_error(error) from error

    def _begin_sending(self) -> None:
        if self._sending:
            raise trio.BusyResourceError("another task is currently sending data on this socket")
        self._sending = True

    async def wait_send_all_might_not_block(self) -> None:
        """See ``trio.abc.SendStream``."""
        self._begin_sending()
        try:
            if self.sock.fileno() < 0:
                raise trio.ClosedResourceError("this socket was already closed")
            await wait_writable(self.sock)
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        """See ``trio.abc.HalfCloseableStream``."""
        self._begin_sending()
        try:
            await checkpoint()
            if not self._at_end:
                self.sock.shutdown(socket.SHUT_WR)
                self._at_end = True
        except OSError as error:
            raise stream_error(error) from error
        finally:
            self._sending = False

    def close(self) -> None:
        """Close the socket now; whoever waits for it gets a ``ClosedResourceError``. Idempotent."""
        if self.sock.fileno() >= 0:
            notify_closing(self.sock)
            self.sock.close()

    async def aclose(self) -> None:
        """``close``, as a stream is closed."""
        self.close()
        await checkpoint()


def stream_error(error: OSError) -> trio.BrokenResourceError | trio.ClosedResourceError:
    """What a Trio stream raises for what the operating system says."""
    if error.errno in _CLOSED:
        return trio.ClosedResourceError("this socket was already closed")
    return trio.BrokenResourceError(f"socket connection broken: {error}")
