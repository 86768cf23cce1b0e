"""An accepted WebSocket, both of its ends in a test's hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    CloseReason,
)
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.transport.websocket_link import WebSocketLink

from .raw_peer import (
    Peer,
    Rig,
)


@attrs.define(eq=False)
class Linked:
    """An accepted WebSocket: the peer, and the server's link to it."""

    peer: Peer
    link: WebSocketLink
    rig: Rig
    let_go: trio.Event
    ended: trio.Event
    reason: CloseReason = APP_STOPPED

    async def close(self, reason: CloseReason) -> None:
        self.reason = reason
        self.let_go.set()

    async def until_failed(self) -> CloseReason | None:
        """Listen, and throw away what is heard, for an hour at most."""
        return await self.link.listen(lambda frame: None, trio.current_time() + 3600)

    async def receive_closed(self) -> CloseReason:
        with pytest.raises(LinkClosed) as caught:
            await self.link.receive()
        return caught.value.reason


@asynccontextmanager
async def linked(rig: Rig, *, first: int | None = None) -> AsyncIterator[Linked]:
    let_go, ended = trio.Event(), trio.Event()
    links: list[WebSocketLink] = []
    made: list[Linked] = []

    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept(first_message_bytes=first) as link:
            links.append(link)
            await let_go.wait()
            await link.close(made[0].reason)
        ended.set()

    rig.websockets = serve
    peer = rig.connect()
    await peer.open()
    made.append(Linked(peer, links[0], rig, let_go, ended))
    yield made[0]
    let_go.set()
