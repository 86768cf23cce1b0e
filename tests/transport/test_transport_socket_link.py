"""A link on a socket: what is sent when, in how many pieces, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from mentra_trio.domain.close_reasons import CloseReason

from .carriers import SocketWire, Wire
from .linked_peer import linked
from .raw_peer import TEXT, Rig, close_frame, frame


@pytest.fixture
def wire() -> Callable[[], Wire]:
    return SocketWire


async def test_last_words_are_heard_although_nothing_can_be_sent_any_more(
    rig: Rig, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    heard: list[str | bytes] = []
    reasons: list[CloseReason | None] = []
    async with linked(rig) as it:

        async def use() -> None:
            reasons.append(await it.link.listen(heard.append, trio.current_time() + 60))

        nursery.start_soon(use)
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(it.wire, SocketWire)
        it.wire.client.sock.send(frame(TEXT, b"last words") + close_frame(1000, "bye"))
        it.wire.client.close()
        it.link.push("to nobody")
        it.link.flush()  # in the same turn: the socket is broken before anybody could read
        assert not it.link.push("x")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == ["last words"]
        assert reasons == [CloseReason(1000, "bye")]
