"""A link: what a session may rely on, whatever the peer does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    LINK_LOST,
    TOO_BIG,
    CloseReason,
)
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.wire.frames import Sound, encode_message

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


async def test_frames_both_ways_in_order(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        await it.peer.send(frame(TEXT, b"one") + frame(BINARY, b"\x00\x01") + frame(TEXT))
        assert [await it.receive() for _ in range(3)] == ["one", b"\x00\x01", ""]
        assert it.link.push("eins")
        assert it.link.push(b"\x02")
        assert it.link.push_encoded(encode_message("zwei"))
        assert it.link.push_audio(Sound(b"\x03\x04"))
        assert await it.peer.frame() == (TEXT, b"eins")
        assert await it.peer.frame() == (BINARY, b"\x02")
        assert await it.peer.frame() == (TEXT, b"zwei")
        assert await it.peer.frame() == (BINARY, b"\x03\x04")
        assert it.link.counts.sent == 4


async def test_nothing_is_negotiated(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig):
        peer = rig.connect()
        head = await peer.open(
            "/ws",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            "Sec-WebSocket-Protocol: mqtt, soap",
        )
    assert "extensions" not in head.lower()
    assert "protocol:" not in head.lower()


async def test_a_frame_in_the_segment_of_the_head_is_not_lost(
    rig: Rig, autojump_clock: Any
) -> None:
    got: list[str | bytes] = []

    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept() as link:
            got.append(await link.receive())
            await link.close(APP_STOPPED)

    rig.websockets = serve
    peer = rig.connect()
    head = (
        b"GET /w HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await peer.send(head + frame(TEXT, b"early"))
    await peer.until(b"\r\n\r\n")
    assert await peer.close_code() == (1000, "App stopped")
    assert got == ["early"]


@pytest.mark.parametrize("host", ["\xfc.example", "a" * 300, "..", "xn--\x80"])
async def test_odd_host_names_do_not_hurt(rig: Rig, host: str, autojump_clock: Any) -> None:
    async with linked(rig):
        peer = rig.connect()
        await peer.send(
            b"GET /w HTTP/1.1\r\nHost: " + host.encode("latin-1") + b"\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")


async def test_an_upgrade_on_a_used_connection(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig):
        peer = rig.connect()
        await peer.request("GET", "/x")
        await peer.open()


# -- liveness ----------------------------------------------------------------------


async def test_pings_are_answered_while_a_link_waits_to_be_lent(
    rig: Rig, autojump_clock: Any
) -> None:
    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept() as link:
            await link.close(await link.until_gone())

    rig.websockets = serve
    peer = rig.connect()
    await peer.open()
    await peer.send(frame(TEXT, b"x") * 100 + frame(PING, b"hb"))
    assert await peer.frame() == (PONG, b"hb")
    await peer.send(close_frame(1000, "I have to go"))
    assert await peer.close_code() == (1000, "I have to go")


async def test_any_frame_is_a_sign_of_life(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it, trio.open_nursery() as nursery:
        nursery.start_soon(it.until_failed)
        for data in (frame(PONG), frame(TEXT, b"x"), frame(PING, b"y"), frame(PONG, b"never sent")):
            await trio.sleep(5)
            await it.peer.send(data)
            await trio.testing.wait_all_tasks_blocked()
            assert it.link.last_heard == trio.current_time()
        await trio.sleep(3)
        assert it.link.last_heard == trio.current_time() - 3
        nursery.cancel_scope.cancel()


async def test_ping_sends_a_ping(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        it.link.ping()
        assert await it.peer.frame() == (PING, b"")


# -- the peer's end ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (close_frame(1000, "bye"), CloseReason(1000, "bye")),
        (close_frame(4321), CloseReason(4321, "")),
        (frame(CLOSE), CloseReason(1005, "")),
        (frame(TEXT, b"hi", masked=False), CloseReason(1002, "Protocol error")),
        (frame(3, b""), CloseReason(1002, "Protocol error")),
        (frame(PING, b"x", fin=False), CloseReason(1002, "Protocol error")),
        (frame(0, b"x"), CloseReason(1002, "Protocol error")),
        (frame(PING, b"x" * 126), CloseReason(1002, "Protocol error")),
        (b"\xc1\x80\x00\x00\x00\x00", CloseReason(1002, "Protocol error")),
        (frame(TEXT, b"\xff\xfe"), CloseReason(1007, "Text is not UTF-8")),
        (frame(TEXT, b"\xe2\x82"), CloseReason(1007, "Text is not UTF-8")),
    ],
)
async def test_messages_before_the_end_are_delivered_then_its_reason(
    rig: Rig, data: bytes, reason: CloseReason, autojump_clock: Any
) -> None:
    async with linked(rig) as it:
        await it.peer.send(frame(TEXT, b"last words") + data)
        await trio.testing.wait_all_tasks_blocked()
        assert await it.receive() == "last words"
        assert await it.receive_closed() == reason
        assert await it.until_failed() == reason
        await it.close(reason)
        code, _ = await it.peer.close_code() if reason.code != 1005 else (1005, "")
        assert code == reason.code
        await it.peer.stream.aclose()


async def test_the_peers_close_is_answered_before_the_session_lets_go(
    rig: Rig, autojump_clock: Any
) -> None:
    async with linked(rig) as it:
        await it.peer.send(close_frame(1000, "bye"))
        assert await it.receive_closed() == CloseReason(1000, "bye")
        assert await it.peer.close_code() == (1000, "bye")
        began = trio.current_time()
        await it.close(APP_STOPPED)
        assert await it.peer.rest() == b""
        assert trio.current_time() == began


@pytest.mark.parametrize(
    "data", [b"", frame(TEXT, b"abc")[:-1], frame(TEXT, b"abc")[:1], frame(TEXT, b"a", fin=False)]
)
async def test_a_peer_that_vanishes(rig: Rig, data: bytes, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        if data:
            await it.peer.send(data)
        await it.peer.stream.aclose()
        assert await it.receive_closed() == LINK_LOST
        assert await it.until_failed() == LINK_LOST


async def test_sending_into_a_broken_stream_fails_the_link(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        it.wire.cut()
        assert it.link.push("x")
        assert await it.until_failed() == LINK_LOST
        assert not it.link.push("y")


# -- the frame sequences that stop a trio-websocket server ------------------------------


async def test_ping_after_our_close(rig: Rig, facts: Facts, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        await it.close(APP_STOPPED)
        assert await it.peer.close_code() == (1000, "App stopped")
        await it.peer.send(frame(PING, b"p") + frame(TEXT, b"late") + frame(PING, b"q"))
        await trio.testing.wait_all_tasks_blocked()
        await it.peer.send(close_frame(1000))
        assert await it.peer.rest() == b""
        with trio.fail_after(1):
            await it.ended.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert rig.open_connections == 0
    assert facts.all == []


async def test_oversize_then_ping_in_one_segment(
    rig: Rig, facts: Facts, autojump_clock: Any
) -> None:
    rig.limits = Limits(message_bytes=100)
    async with linked(rig) as it:
        await it.peer.send(
            frame(TEXT, b"ok") + frame(TEXT, b"a" * 300) + frame(PING, b"p") + close_frame(1000)
        )
        assert await it.receive() == "ok"
        assert await it.receive_closed() == TOO_BIG
        await it.close(TOO_BIG)
        assert await it.peer.close_code() == (1009, "Message too big")
        await it.peer.stream.aclose()
        with trio.fail_after(1):
            await it.ended.wait()
    assert facts.all == []


async def test_two_closes_and_frames_after_a_close(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        await it.peer.send(close_frame(1000) + frame(PING, b"p") + close_frame(1001) + b"\xff" * 9)
        assert (await it.receive_closed()).code == 1000
        await it.peer.send(frame(PING, b"p") + b"garbage")
        await it.close(APP_STOPPED)
        assert await it.peer.close_code() == (1000, "")
        assert await it.peer.rest() == b""
