"""HTTP on a port: what a peer asks, well or badly, and what it gets."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
import trio

from mentra_trio.domain.facts import ConnectionRefused
from mentra_trio.transport.http_connection import split_target

from .raw_peer import Facts, Rig, echo_app, upgrade_head


async def test_one_connection_serves_many_requests(rig: Rig, autojump_clock: Any) -> None:
    peer = rig.connect()
    for path in ("/a", "/b", "/c%20d"):
        status, _, body = await peer.request("GET", path)
        assert status == 200
        assert body == b"hello " + path.replace("%20", " ").encode()
    assert rig.open_connections == 1


async def test_pipelined_requests_are_answered_in_order(rig: Rig, autojump_clock: Any) -> None:
    peer = rig.connect()
    one = b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n"
    await peer.send(b"".join(one % n for n in range(5)))
    for n in range(5):
        assert await peer.until(b"hello /%d" % n)


async def test_head_has_no_body(rig: Rig, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.send(b"HEAD /x HTTP/1.1\r\nHost: h\r\n\r\nGET /y HTTP/1.1\r\nHost: h\r\n\r\n")
    head = await peer.until(b"\r\n\r\n")
    assert b"content-length: 8" in head
    assert (await peer.response())[2] == b"hello /y"


async def test_http_1_0_ends_after_the_answer(rig: Rig, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.send(b"GET /x HTTP/1.0\r\n\r\n")
    assert (await peer.rest()).endswith(b"hello /x")


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x01garbage\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_garbage_gets_400(rig: Rig, facts: Facts, head: bytes, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.send(head)
    answer = await peer.rest()
    assert answer.startswith(b"HTTP/1.1 400")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is False
    assert len(facts.of(ConnectionRefused)) == 1


@pytest.mark.parametrize("rest", [b"\x03\x01\x02\x00\x01\x00", b"\x03" + b"\r\n\r\n" * 9])
async def test_tls_on_a_plain_port_is_named(
    rig: Rig, facts: Facts, rest: bytes, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.send(b"\x16" + rest)
    assert (await peer.rest()).startswith(b"HTTP/1.1 400")
    [refused] = facts.of(ConnectionRefused)
    assert refused.problem == (
        "TLS spoken to a plain port (the app SDK does this once per start; harmless)"
    )
    other = rig.connect()
    await other.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n\x16\x03")
    await other.rest()
    assert "not valid HTTP" in facts.of(ConnectionRefused)[-1].problem, "only the first byte counts"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /ws?token=SECRET&x=\xe9 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization : Bearer SECRET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: SECRET\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nSECRET\r\n",
    ],
)
async def test_what_cannot_be_parsed_is_not_repeated(
    rig: Rig, facts: Facts, request_bytes: bytes, autojump_clock: Any
) -> None:
    rig.app = echo_app
    peer = rig.connect()
    await peer.send(request_bytes)
    answer = await peer.rest()
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    for told in (repr(facts.all), answer.decode()):
        assert "secret" not in told.lower()
        assert "xe9" not in told


@pytest.mark.parametrize("after", [b"\x00\x01 garbage\r\n\r\n", b"GET / HT"])
async def test_a_bad_request_after_a_head_request(
    rig: Rig, after: bytes, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.send(b"HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n")
    await peer.until(b"\r\n\r\n")
    await peer.send(after)
    answer = await peer.rest()
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 408"))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is False


async def test_a_long_head_gets_431(rig: Rig, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.send(b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000)
    assert (await peer.rest()).startswith(b"HTTP/1.1 431")


async def test_a_slow_head_gets_408_after_its_time(rig: Rig, autojump_clock: Any) -> None:
    peer = rig.connect()
    began = trio.current_time()
    await peer.send(b"GET / HTTP/1.1\r\nX:")
    for _ in range(8):
        await trio.sleep(1)
        await peer.send(b"a")
    assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 408")
    assert trio.current_time() - began == pytest.approx(10)


async def test_an_idle_connection_ends(rig: Rig, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.request("GET", "/")
    began = trio.current_time()
    assert await peer.rest() == b""
    assert trio.current_time() - began == pytest.approx(75)


async def test_a_connection_that_asks_for_nothing_ends_sooner(
    rig: Rig, autojump_clock: Any
) -> None:
    peer = rig.connect()
    assert await peer.rest() == b""
    assert trio.current_time() == pytest.approx(10)


async def test_connections_beyond_the_bound_are_closed_at_once(
    rig: Rig, facts: Facts, autojump_clock: Any
) -> None:
    port = rig.port()
    port.connections_max = 2
    first, second = rig.connect(port), rig.connect(port)
    await first.request("GET", "/")
    assert await rig.connect(port).rest() == b""
    assert trio.current_time() == 0
    assert len(facts.of(ConnectionRefused)) == 1
    await second.stream.aclose()
    await trio.sleep(1)
    assert (await rig.connect(port).request("GET", "/"))[0] == 200


async def test_a_peer_that_hangs_up_cancels_the_application(rig: Rig, autojump_clock: Any) -> None:
    cancelled = trio.Event()

    async def slow_app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await trio.sleep(1000)
        finally:
            cancelled.set()

    rig.app = slow_app
    peer = rig.connect()
    await peer.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await trio.sleep(1)
    assert not cancelled.is_set()
    await peer.stream.aclose()
    with trio.fail_after(1):
        await cancelled.wait()


async def test_a_crash_in_the_application_is_told_and_contained(
    rig: Rig, facts: Facts, autojump_clock: Any
) -> None:
    async def crash(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("a bug")

    rig.app = crash
    peer = rig.connect()
    assert (await peer.request("GET", "/"))[0] == 500
    assert await peer.rest() == b""
    (fact,) = facts.crashes
    assert fact.bulkhead == "connection"
    assert isinstance(fact.error, ValueError)
    facts.all.clear()


async def test_closing_ends_idle_connections_and_finishes_requests(
    rig: Rig, autojump_clock: Any
) -> None:
    async def slow_app(scope: Any, receive: Any, send: Any) -> None:
        await trio.sleep(2)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    rig.app = slow_app
    port = rig.port()
    idle, busy = rig.connect(port), rig.connect(port)
    await busy.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await trio.sleep(1)
    port.closing.set()
    began = trio.current_time()
    assert await idle.rest() == b""
    assert trio.current_time() == began
    status, headers, body = await busy.response()
    assert (status, headers["connection"], body) == (200, "close", b"done")
    assert await busy.rest() == b""


async def test_an_upgrade_while_closing_gets_503(rig: Rig, autojump_clock: Any) -> None:
    port = rig.port()
    peer = rig.connect(port)
    await trio.testing.wait_all_tasks_blocked()
    await peer.send(upgrade_head()[:20])
    await trio.testing.wait_all_tasks_blocked()
    port.closing.set()
    await peer.send(upgrade_head()[20:])
    assert (await peer.rest()).startswith(b"HTTP/1.1 503")


async def test_other_upgrades_are_plain_requests(rig: Rig, autojump_clock: Any) -> None:
    peer = rig.connect()
    headers = {"upgrade": "h2c", "connection": "upgrade"}
    assert (await peer.request("GET", "/x", headers=headers))[2] == b"hello /x"
    assert (await peer.request("GET", "/y"))[2] == b"hello /y"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (upgrade_head(version="8"), b"426"),
        (upgrade_head(key=b"short"), b"400"),
        (upgrade_head(key=b"!!!!"), b"400"),
        (upgrade_head().replace(b"Connection: keep-alive, Upgrade\r\n", b""), b"400"),
        (upgrade_head().replace(b"GET", b"POST"), b"400"),
        (upgrade_head().replace(b"HTTP/1.1", b"HTTP/1.0"), b"400"),
        (upgrade_head("/ws", "Content-Length: 3") + b"abc", b"400"),
        (upgrade_head("/ws", f"Sec-WebSocket-Key: {'A' * 22}=="), b"400"),
        (upgrade_head(), b"404"),
    ],
)
async def test_bad_upgrades_get_an_answer_and_never_hang(
    rig: Rig, head: bytes, status: bytes, autojump_clock: Any
) -> None:
    peer = rig.connect()
    await peer.send(head)
    answer = await peer.rest()
    assert answer.split(b" ")[1] == status


async def test_half_a_handshake_then_silence_or_the_end(rig: Rig, autojump_clock: Any) -> None:
    silent, gone = rig.connect(), rig.connect()
    await silent.send(upgrade_head()[:-2])
    await gone.send(upgrade_head()[:-2])
    await gone.stream.aclose()
    await trio.sleep(1)
    assert rig.open_connections == 1
    await trio.sleep(15)
    assert rig.open_connections == 0


async def test_one_bad_peer_does_not_touch_another(rig: Rig, autojump_clock: Any) -> None:
    port = rig.port()
    good, bad = rig.connect(port), rig.connect(port)
    assert (await good.request("GET", "/1"))[0] == 200
    await bad.send(b"\xff" * 100 + b"\r\n\r\n")
    await bad.rest()
    assert (await good.request("GET", "/2"))[0] == 200


@pytest.mark.parametrize("cut", range(0, len(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), 3))
async def test_the_end_of_a_peer_at_any_byte(rig: Rig, cut: int, autojump_clock: Any) -> None:
    peer = rig.connect()
    await peer.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[:cut])
    await peer.stream.aclose()
    await trio.sleep(1)
    assert rig.open_connections == 0


def test_targets() -> None:
    assert attrs.astuple(split_target(b"/a%2Fb?c=d?e")) == ("/a/b", b"/a%2Fb", b"c=d?e")
    assert attrs.astuple(split_target(b"http://h:1/a?b")) == ("/a", b"/a", b"b")
    assert split_target(b"http://h").path == "/"
    assert split_target(b"/%ff").path == "/\ufffd"
