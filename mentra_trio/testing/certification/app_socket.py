"""One connection that an app opened: what came over it, and everything that may be done to it."""

from __future__ import annotations

from typing import Any

import attrs
import msgspec
import trio

from ...clients.dialing import reset
from ...concurrency.oneshot import OneShot
from ...domain.close_reasons import CloseReason
from ...transport.tcp import peer_of
from ...transport.websocket_link import WebSocketLink
from ...wire.from_app import SubscriptionUpdate, TpaConnectionInit


class Wire(trio.abc.Stream):
    """The bytes of a connection, which may be cut, or stalled as when a network is gone."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self._inner = inner
        self._cut = trio.Event()
        self.peer = peer_of(inner)
        """The address at the other end."""
        self.stalled = False
        """Whether nothing passes any more, without the other end being told."""

    def stall(self) -> None:
        """From now on read nothing, send nothing, and tell nobody."""
        self.stalled = True

    def cut(self) -> None:
        """Reset the connection: the other end fails at once."""
        if not self._cut.is_set():
            self._cut.set()
            reset(self._inner)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """What came; never returns while stalled."""
        data = b"" if self.stalled else await self._inner.receive_some(max_bytes)
        if self.stalled:
            await self._cut.wait()
            raise trio.BrokenResourceError("cut")
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send ``data``, or swallow it while stalled."""
        if self.stalled:
            await trio.lowlevel.checkpoint()
        else:
            await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Until there is room."""
        await self._inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the connection, stalled or not."""
        self._cut.set()
        await self._inner.aclose()


@attrs.frozen
class Heard:
    """One message of the app, at its Trio time, as text where it was text."""

    at: float
    type: str
    text: str


@attrs.define(eq=False, kw_only=True)
class AppSocket:
    """One WebSocket of the app.

    Attributes:
        number: counted over the whole lifecycle, from 1.
        person: whose session it belongs to, counted from 0; read off the URL that it came by.
        init: how the app introduced itself; ``None`` as long as it has not.
        acked: whether it was told that it is accepted.
        subscriptions: the latest list, ``None`` before the first.
        heard: every other message, in order.
        end: why it is over; ``None`` while it is not.
        farewell: set by us when we end it.
    """

    number: int
    person: int
    wire: Wire
    link: WebSocketLink
    init: TpaConnectionInit | None = None
    acked: bool = False
    subscriptions: frozenset[str] | None = None
    heard: list[Heard] = attrs.field(factory=list)
    end: CloseReason | None = None
    farewell: OneShot[CloseReason] = attrs.field(factory=OneShot)

    @property
    def live(self) -> bool:
        """Whether it is an accepted connection over which something may pass."""
        return self.acked and self.end is None and not self.wire.stalled

    def told(self, update: SubscriptionUpdate) -> None:
        """Take in the app's list of subscriptions."""
        self.subscriptions = frozenset(_stream_of(entry) for entry in update.subscriptions)


def _stream_of(entry: Any) -> str:
    """The text of a subscription; of an object, such as that for locations, its JSON."""
    return entry if isinstance(entry, str) else msgspec.json.encode(entry, order="sorted").decode()
