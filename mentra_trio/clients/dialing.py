"""WebSocket connections from our side: over a socket, TLS, or any stream that a dial gives."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Generic, TypeVar

import attrs
import trio
import trio_websocket
from wsproto.utilities import LocalProtocolError

from ..concurrency.oneshot import OneShot
from ..concurrency.race import race
from ..domain.close_reasons import LINK_LOST, CloseReason
from ..domain.errors import LinkClosed
from .connecting import Cuttable as Cuttable
from .connecting import Dial as Dial
from .connecting import Target, connect
from .connecting import reset as reset
from .inbox import INBOX_MAX, Inbox
from .noticing_stream import MESSAGE_BYTES_MAX, NoticingStream
from .refusals import UpgradeRefused as UpgradeRefused
from .refusals import refused_with

T = TypeVar("T")

CONNECT_S = 10.0
"""How long connecting, and then the WebSocket handshake, may take each."""

CLOSE_S = 2.0
"""How long the orderly end of a connection may take."""

FRAMES_WAITING = 64
"""Frames that wait for the writer; one more and ``send`` waits."""

NO_STATUS = 1005
"""What a close frame without a code counts as (RFC 6455 7.1.5)."""


@attrs.define(eq=False)
class ClientLink(Generic[T]):
    """One WebSocket connection that we opened.

    Attributes:
        inbox: what has come and was not taken yet; ends with ``LinkClosed``.
    """

    inbox: Inbox[T]
    _decode: Callable[[str | bytes], T]
    _stream: NoticingStream
    _patience_s: float = CONNECT_S
    _opened: OneShot[UpgradeRefused | None] = attrs.field(factory=OneShot, init=False)
    _closed: OneShot[CloseReason] = attrs.field(factory=OneShot, init=False)
    _life: trio.CancelScope = attrs.field(init=False)
    _websocket: trio_websocket.WebSocketConnection = attrs.field(init=False)
    _outgoing: trio.MemorySendChannel[str | bytes] = attrs.field(init=False)
    _written: trio.Event = attrs.field(factory=trio.Event, init=False)

    async def send(self, frame: str | bytes) -> None:
        """Send a text or binary frame. Safe to cancel: the frame goes out whole, or not at all.

        Raises:
            LinkClosed: the connection is over.
        """
        await trio.lowlevel.checkpoint()
        reason = self._closed.peek()
        if reason is not None:
            raise LinkClosed(reason)
        try:
            await self._outgoing.send(frame)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise LinkClosed(self._closed.peek() or LINK_LOST) from None

    async def receive(self) -> T:
        """The oldest message not taken yet.

        Raises:
            LinkClosed: the connection is over, and everything that came was taken.
        """
        return await self.inbox.take()

    @property
    def close_reason(self) -> CloseReason | None:
        """Why the connection is over; ``None`` while it is not."""
        return self._closed.peek()

    async def until_closed(self) -> CloseReason:
        """Why the connection is over, as soon as it is: the code and text of whoever closed it.

        1006 if it was lost, 1005 if the peer closed it without a code.
        """
        return await self._closed.wait()

    @property
    def last_heard(self) -> float:
        """When the peer last gave a sign of life, pings included; Trio time."""
        return self._stream.heard_at

    async def close(self, code: int = 1000, text: str = "") -> None:
        """Send what waits, then close; takes at most twice ``CLOSE_S`` seconds. Idempotent.

        ``NO_STATUS`` closes without a code, and then without a text. Where this is cancelled
        the connection ends at once, without a goodbye.
        """
        if self._closed.settled:
            await trio.lowlevel.checkpoint()
            return
        self._outgoing.close()
        said_goodbye = False
        try:
            with trio.move_on_after(CLOSE_S):
                await self._written.wait()
            self._closed.settle(CloseReason(code, text))
            wire_code = code if code != NO_STATUS else None
            with trio.move_on_after(CLOSE_S):
                await self._websocket.aclose(wire_code, text or None)  # type: ignore[arg-type]
            said_goodbye = True
        finally:
            if not said_goodbye:
                self._closed.settle(CloseReason(code, text))
                self._life.cancel("the close was cancelled")

    def cut(self) -> None:
        """Let the connection fail as if the cable were cut: the peer sees a reset, no close."""
        reset(self._stream.inner)

    def __attrs_post_init__(self) -> None:
        # A close needs the reader to live, so an outer cancellation must not reach it directly:
        # it reaches the block of `open_websocket`, which then ends this scope.
        self._life = trio.CancelScope(shield=True)

    async def _hold(self, target: Target, headers: Sequence[tuple[str, str]]) -> None:
        """Own the stream to its end."""
        try:
            with self._life:
                await self._converse(target, headers)
        except* trio_websocket.ConnectionRejected as rejections:
            self._opened.settle(_refusal(rejections))
        except* (LocalProtocolError, trio.ClosedResourceError, trio.BrokenResourceError):
            pass  # its reader raises when it must answer on a connection that is closing
        finally:
            self._opened.settle(UpgradeRefused(0, b"", f"{target.authority}: connection lost"))
            self._end(LINK_LOST)
            await trio.aclose_forcefully(self._stream)

    async def _converse(self, target: Target, headers: Sequence[tuple[str, str]]) -> None:
        async with trio.open_nursery() as nursery:
            refused = await self._shake_hands(nursery, target, headers)
            if refused is None:
                nursery.start_soon(self._write, self._open_outgoing())
                self._opened.settle(None)
                await self._read()
                with trio.move_on_after(CLOSE_S):
                    await self._stream.over.wait()
            else:
                self._opened.settle(refused)
            nursery.cancel_scope.cancel("connection over")

    async def _shake_hands(
        self, nursery: trio.Nursery, target: Target, headers: Sequence[tuple[str, str]]
    ) -> UpgradeRefused | None:
        opening = partial(
            trio_websocket.wrap_client_stream,
            nursery,
            self._stream,  # type: ignore[arg-type]  # any stream will do
            target.authority,
            target.resource,
            extra_headers=[(name.encode(), value.encode()) for name, value in headers],
            max_message_size=MESSAGE_BYTES_MAX,
        )
        problem = "no answer to the upgrade"
        with trio.move_on_after(self._patience_s):
            websocket = await race(opening, self._stream.until_over)
            if websocket is not None:
                self._websocket = websocket
                return None
            problem = "the connection ended before the upgrade was answered"
        return UpgradeRefused(0, b"", f"{target.authority}{target.resource}: {problem}")

    def _open_outgoing(self) -> trio.MemoryReceiveChannel[str | bytes]:
        self._outgoing, waiting = trio.open_memory_channel[str | bytes](FRAMES_WAITING)
        return waiting

    async def _write(self, waiting: trio.MemoryReceiveChannel[str | bytes]) -> None:
        """The only sender, so that a cancelled ``send`` never leaves half a frame."""
        await trio.lowlevel.checkpoint()
        try:
            with waiting:
                async for frame in waiting:
                    await self._websocket.send_message(frame)
        except trio_websocket.ConnectionClosed:
            pass
        finally:
            self._written.set()

    async def _read(self) -> None:
        await trio.lowlevel.checkpoint()
        try:
            while True:
                self.inbox.put(self._decode(await self._websocket.get_message()))
        except trio_websocket.ConnectionClosed as closed:
            reason = closed.reason
            if reason is not None:
                self._end(CloseReason(int(reason.code), reason.reason or ""))

    def _end(self, reason: CloseReason) -> None:
        self._closed.settle(reason)
        known = self._closed.peek() or reason
        self.inbox.end(lambda: LinkClosed(known))


@asynccontextmanager
async def open_websocket(
    url: str,
    *,
    decode: Callable[[str | bytes], T],
    headers: Sequence[tuple[str, str]] = (),
    dial: Dial | None = None,
    ssl_context: ssl.SSLContext | None = None,
    inbox_max: int = INBOX_MAX,
    patience_s: float = CONNECT_S,
) -> AsyncGenerator[ClientLink[T]]:
    """A WebSocket connection to ``url`` for as long as the block runs.

    Args:
        decode: what is kept of each frame; must not raise.
        headers: sent with the upgrade.
        dial: how to connect; ``None`` is TCP.
        ssl_context: for ``wss``; ``None`` is the system's trust.
        inbox_max: messages kept while nobody takes them.
        patience_s: how long connecting, and then the WebSocket handshake, may take each.

    Raises:
        OSError: nothing answers there.
        UpgradeRefused: something answers, but does not open a WebSocket.
        trio.TooSlowError: no connection within ``patience_s`` seconds.
    """
    target = Target.of(url, "ws", "wss")
    with trio.fail_after(patience_s):
        stream = await connect(target, dial, ssl_context)
    link = ClientLink(Inbox(inbox_max), decode, NoticingStream(stream), patience_s)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link._hold, target, headers, name=f"websocket {target.authority}")
        try:
            refused = await link._opened.wait()
            if refused is None:
                try:
                    yield link
                finally:
                    with trio.move_on_after(2 * CLOSE_S, shield=True):
                        await link.close()
        finally:
            link._life.cancel("left the block")
    if refused is not None:
        raise refused


def verbatim(frame: str | bytes) -> str | bytes:
    """The ``decode`` of those who want frames as they are."""
    return frame


def _refusal(rejections: BaseExceptionGroup[trio_websocket.ConnectionRejected]) -> UpgradeRefused:
    error: BaseException = rejections
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, trio_websocket.ConnectionRejected)
    return refused_with(error.status_code, error.body or b"", error.headers)
