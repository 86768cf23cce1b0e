"""Bodies of requests on a port: wanted and not, whole and broken, and in what pieces."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from mentra_trio.domain.timings import Limits

from .raw_peer import Peer, Rig, echo_app


async def test_chunked_bodies_both_ways(rig: Rig, autojump_clock: Any) -> None:
    rig.app = echo_app
    peer = rig.connect()
    await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(3):
        await peer.send(b"5\r\nabcde\r\n")
    await peer.send(b"0\r\n\r\n")
    status, headers, body = await peer.response()
    assert (status, headers["transfer-encoding"], body) == (200, "chunked", b"abcde" * 3)


async def test_100_continue_is_sent_when_the_body_is_wanted(rig: Rig, autojump_clock: Any) -> None:
    rig.app = echo_app
    peer = rig.connect()
    await peer.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    )
    assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    await peer.send(b"abc")
    assert (await peer.response())[2] == b"abc"


async def test_a_body_with_two_lengths_ends_the_connection(rig: Rig, autojump_clock: Any) -> None:
    rig.app = echo_app
    peer = rig.connect()
    await peer.send(
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
    )
    answer = await peer.rest()
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_declared_body_above_the_limit_gets_413_unread(
    rig: Rig, autojump_clock: Any
) -> None:
    rig.limits = Limits(body_bytes=1000)
    peer = rig.connect()
    await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n")
    assert (await peer.rest()).startswith(b"HTTP/1.1 413")


async def test_a_chunked_body_above_the_limit_gets_413(rig: Rig, autojump_clock: Any) -> None:
    rig.limits, rig.app = Limits(body_bytes=1000), echo_app
    peer = rig.connect()
    await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(3):
        await peer.send(b"190\r\n" + b"a" * 400 + b"\r\n")
    assert (await peer.rest()).startswith(b"HTTP/1.1 413")


async def test_a_body_that_stalls_gets_408(rig: Rig, autojump_clock: Any) -> None:
    rig.app = echo_app
    peer = rig.connect()
    await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
    began = trio.current_time()
    assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 408")
    assert trio.current_time() - began == pytest.approx(30)


async def test_an_unread_small_body_does_not_end_the_connection(
    rig: Rig, autojump_clock: Any
) -> None:
    peer = rig.connect()
    assert (await peer.request("POST", "/a", b"x" * 5000))[0] == 200
    assert (await peer.request("GET", "/b"))[2] == b"hello /b"


async def test_a_body_that_was_not_asked_for_ends_the_connection_at_once(
    rig: Rig, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.send(
        b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    )
    status, headers, _ = await peer.response()
    assert (status, headers["connection"]) == (200, "close")
    assert await peer.rest() == b""
    assert trio.current_time() == 0


async def test_tiny_chunks_of_an_unwanted_body_let_others_run(
    rig: Rig, autojump_clock: Any
) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    peer = rig.connect()
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await peer.send(head + b"1\r\nx\r\n" * 1_000 + b"0\r\n\r\n")
        assert (await peer.response())[0] == 200
        assert (await peer.request("GET", "/y"))[0] == 200
        assert turns > 1_000 // 32
        nursery.cancel_scope.cancel()


async def test_a_response_that_nobody_takes_ends_the_connection(
    rig: Rig, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await trio.testing.wait_all_tasks_blocked()
    rig.wires[-1].server.send_stream.send_all_hook = trio.sleep_forever
    await peer.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await trio.sleep(29)
    assert rig.open_connections == 1
    await trio.sleep(2)
    assert rig.open_connections == 0


async def test_peer_sees_the_answer_although_it_is_still_sending(
    rig: Rig, autojump_clock: Any
) -> None:
    rig.limits = Limits(body_bytes=10)
    peer: Peer = rig.connect()
    await peer.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + b"x" * 9000)
    assert (await peer.rest()).startswith(b"HTTP/1.1 413")
