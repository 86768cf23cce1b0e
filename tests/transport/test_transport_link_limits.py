"""A link and its bounds: big messages, slow consumers, and how long a goodbye takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import trio

from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    CRASHED,
    LINK_LOST,
    SLOW_CONSUMER,
    TOO_BIG,
    CloseReason,
)
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.transport.websocket_link import FRAMES_AT_ONCE
from mentra_trio.wire.frames import Sound

from .carriers import WIRES, Wire
from .linked_peer import linked
from .raw_peer import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Facts,
    Rig,
    close_frame,
    frame,
)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Callable[[], Wire]:
    made: Callable[[], Wire] = WIRES[request.param]
    return made


# -- size limits -------------------------------------------------------------------------


async def test_the_limit_is_in_bytes(rig: Rig, autojump_clock: Any) -> None:
    rig.limits = Limits(message_bytes=100)
    async with linked(rig) as it:
        await it.peer.send(frame(TEXT, ("ü" * 50).encode()) + frame(TEXT, ("ü" * 51).encode()))
        assert await it.receive() == "ü" * 50
        assert await it.receive_closed() == TOO_BIG


async def test_fragments_count_together(rig: Rig, autojump_clock: Any) -> None:
    rig.limits = Limits(message_bytes=100)
    async with linked(rig) as it:
        piece = b"x" * 40
        await it.peer.send(frame(TEXT, piece, fin=False) + frame(0, piece, fin=False))
        await it.peer.send(frame(0, piece))
        assert await it.receive_closed() == TOO_BIG


async def test_the_first_message_may_have_a_smaller_limit(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig, first=10) as it:
        await it.peer.send(frame(TEXT, b"x" * 11))
        assert await it.receive_closed() == TOO_BIG
    async with linked(rig, first=10) as it:
        await it.peer.send(frame(TEXT, b"x" * 10) + frame(TEXT, b"x" * 1000))
        assert len(await it.receive()) == 10
        assert len(await it.receive()) == 1000


async def test_empty_fragments_count_too(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        await it.peer.send(frame(TEXT, fin=False) + frame(0, fin=False) * 1_024)
        assert await it.receive_closed() == TOO_BIG


@pytest.mark.parametrize("one", [frame(PONG), frame(TEXT, b"x", fin=False) + frame(0)])
async def test_a_flood_of_tiny_frames_lets_others_run(
    rig: Rig, one: bytes, autojump_clock: Any
) -> None:
    async with linked(rig) as it:
        turns, over = 0, False

        async def count() -> None:
            nonlocal turns
            while not over:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await it.peer.send(one * 2_000 + frame(TEXT, b"after it all"))
            while await it.receive() != "after it all":
                pass
            over = True
        assert turns >= 2_000 // FRAMES_AT_ONCE


# -- slow consumers ------------------------------------------------------------------------


async def test_push_never_blocks_and_overflow_fails_the_link(rig: Rig, autojump_clock: Any) -> None:
    rig.limits = Limits(outbox_bytes=10_000)
    async with linked(rig) as it:
        it.stall()
        room, accepted = 10_000 - it.link.unsent_bytes, 0
        while it.link.push("x" * 996):
            accepted += 1
        assert accepted == room // 1_000
        assert await it.until_failed() == SLOW_CONSUMER
        began = trio.current_time()
        await it.close(SLOW_CONSUMER)
        with trio.fail_after(6):
            await it.ended.wait()
        assert trio.current_time() - began == pytest.approx(5)


async def test_a_slow_consumer_that_reads_again_is_told_at_once(
    rig: Rig, autojump_clock: Any
) -> None:
    rig.limits = Limits(outbox_frames=100)
    async with linked(rig) as it:
        it.stall()
        it.link.push("first")
        await trio.testing.wait_all_tasks_blocked()
        while it.link.push("x"):
            pass
        await it.close(SLOW_CONSUMER)
        await trio.sleep(1)
        it.wire.go_on()
        while (read := await it.peer.unfilled()) == (TEXT, b"first"):
            pass  # was on its way already, or was not
        assert read == (CLOSE, b"\x03\xf5Slow consumer")


async def test_audio_is_dropped_from_a_lagging_peer_and_never_fails_it(
    rig: Rig, autojump_clock: Any
) -> None:
    rig.limits = Limits(audio_backlog_bytes=5_000)
    async with linked(rig) as it:
        it.stall()
        room = 5_000 - it.link.unsent_bytes
        accepted = sum(it.link.push_audio(Sound(b"x" * 996)) for _ in range(100))
        assert accepted == 1 + room // 1_000
        assert it.link.push("text still goes")
        with trio.move_on_after(10) as waiting:
            await it.until_failed()
        assert waiting.cancelled_caught


async def test_a_flood_of_pings_from_a_peer_that_never_reads(rig: Rig, autojump_clock: Any) -> None:
    rig.limits = Limits(outbox_frames=50)
    async with linked(rig) as it:
        it.stall()
        await it.peer.send(frame(PING, b"p") * 100)
        assert await it.until_failed() == SLOW_CONSUMER


async def test_a_peer_that_does_not_read_is_still_heard(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        it.stall()
        it.link.push("x" * 1000)
        await it.peer.send(frame(PING, b"p") + frame(TEXT, b"hello") + close_frame(1000, "bye"))
        assert await it.receive() == "hello"
        assert await it.receive_closed() == CloseReason(1000, "bye")


# -- our close ----------------------------------------------------------------------------


async def test_what_was_pushed_leaves_before_the_close(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        for n in range(200):
            it.link.push(json.dumps(n))
        await it.close(APP_STOPPED)
        for n in range(200):
            assert await it.peer.frame() == (TEXT, json.dumps(n).encode())
        assert await it.peer.close_code() == (1000, "App stopped")
        assert not it.link.push("too late")
        await it.peer.send(close_frame(1000))
        assert await it.peer.rest() == b""


async def test_a_peer_that_never_answers_the_close(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        began = trio.current_time()
        await it.close(APP_STOPPED)
        assert (await it.peer.rest())[2:] == b"\x03\xe8App stopped", "our end comes at once"
        assert trio.current_time() == began
        await it.ended.wait()
        assert trio.current_time() - began == pytest.approx(5)


async def test_a_peer_that_floods_after_our_close(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        await it.close(APP_STOPPED)
        for _ in range(40):
            await it.peer.send(frame(TEXT, b"x" * 100) * 20)
            await trio.sleep(0.05)
        await it.peer.send(close_frame(1000))
        with trio.fail_after(1):
            await it.ended.wait()


async def test_a_lost_link_is_closed_without_a_close_frame(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        await it.close(LINK_LOST)
        assert await it.peer.rest() == b""


async def test_a_bug_in_the_block_gives_1011_and_is_contained(
    rig: Rig, facts: Facts, autojump_clock: Any
) -> None:
    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept():
            raise ValueError("a bug")

    rig.websockets = serve
    port = rig.port()
    peer = rig.connect(port)
    await peer.open()
    assert await peer.close_code() == (CRASHED.code, CRASHED.text)
    await peer.send(close_frame(1011))
    assert await peer.rest() == b""
    await trio.testing.wait_all_tasks_blocked()
    (fact,) = facts.crashes
    assert isinstance(fact.error, ValueError)
    facts.all.clear()
    assert (await rig.connect(port).request("GET", "/x"))[0] == 200


async def test_a_cancelled_connection_ends_at_once(rig: Rig, autojump_clock: Any) -> None:
    async with trio.open_nursery() as connections:
        of_its_own = Rig(connections, rig.facts, wire=rig.wire, wires=rig.wires)
        async with linked(of_its_own) as it:
            began = trio.current_time()
            connections.cancel_scope.cancel()
            assert await it.peer.rest() == b""
    assert trio.current_time() == began


@pytest.mark.parametrize("cut", range(0, 60, 4))
async def test_the_end_of_a_peer_at_any_byte(rig: Rig, cut: int, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        data = frame(TEXT, b"hello") + frame(PING, b"p") + frame(BINARY, b"x" * 20)
        data += close_frame(1000, "bye")
        await it.peer.send(data[:cut] or b"\x81")
        await it.peer.stream.aclose()
        with pytest.raises(LinkClosed):
            while True:
                await it.receive()
        await it.close(LINK_LOST)
        with trio.fail_after(6):
            await it.ended.wait()


async def test_receive_is_safe_to_cancel(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        with trio.move_on_after(1):
            await it.receive()
        await it.peer.send(frame(TEXT, b"kept"))
        assert await it.receive() == "kept"
