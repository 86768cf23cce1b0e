"""An accepted WebSocket, both of its ends in a test's hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from mentra_trio.concurrency.loan import Loan
from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    CloseReason,
)
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.transport.port import Port
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.transport.websocket_link import WebSocketLink

from .carriers import Wire
from .raw_peer import (
    Peer,
    Rig,
)


@attrs.define(eq=False)
class Linked:
    """An accepted WebSocket that its connection has lent to the test: the test is the session."""

    peer: Peer
    link: WebSocketLink
    wire: Wire
    loan: Loan[Any, CloseReason]
    ended: trio.Event
    heard: list[str | bytes] = attrs.field(factory=list)

    async def close(self, reason: CloseReason) -> None:
        """Have the connection close it."""
        self.loan.give_back(reason)

    async def until_failed(self) -> CloseReason | None:
        """Listen, and throw away what is heard, for an hour at most."""
        return await self.link.listen(lambda frame: None, trio.current_time() + 3600)

    async def receive(self) -> str | bytes:
        """The next message. As for ``listen``, a cancelled call loses none."""
        while not self.heard:
            reason = await self.link.listen(self._hear, trio.current_time() + 3600)
            if reason is not None and not self.heard:
                raise LinkClosed(reason)
        return self.heard.pop(0)

    def _hear(self, frame: str | bytes) -> None:
        self.heard.append(frame)
        self.link.wake()

    async def receive_closed(self) -> CloseReason:
        with pytest.raises(LinkClosed) as caught:
            await self.receive()
        return caught.value.reason

    def stall(self) -> None:
        """From now on the peer takes nothing."""
        self.wire.stall(self.link)


@asynccontextmanager
async def linked(
    rig: Rig, port: Port | None = None, *, first: int | None = None
) -> AsyncIterator[Linked]:
    ended = trio.Event()
    loans: list[Loan[WebSocketLink, CloseReason]] = []

    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept(first_message_bytes=first) as link:
            loans.append(Loan(link))
            await link.close(await link.attend(loans[0]))
        ended.set()

    rig.websockets = serve
    peer = rig.connect(port)
    await peer.open()
    yield Linked(peer, loans[0].resource, rig.wires[-1], loans[0], ended)
    loans[0].give_back(APP_STOPPED)
