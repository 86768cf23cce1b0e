from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import trio
import trustme
from stub_cloud import CLOUD, StubCloud, no_http, open_cloud

from mentra_trio.clients.dialing import (
    FRAMES_WAITING,
    NO_STATUS,
    ClientLink,
    UpgradeRefused,
    open_websocket,
    verbatim,
)
from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.domain.timings import Limits
from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.testing.streams import memory_stream_pair
from mentra_trio.transport.plain_socket import PlainSocket
from mentra_trio.transport.port import Port
from mentra_trio.transport.upgrade import Upgrade

Frame = str | bytes


@pytest.fixture
async def cloud() -> AsyncGenerator[StubCloud]:
    async with open_cloud() as opened:
        yield opened


async def echo(upgrade: Upgrade) -> None:
    """Send back what comes, until the peer leaves."""
    async with upgrade.accept() as link:
        try:
            while True:
                link.push(await link.receive())
        except LinkClosed as closed:
            await link.close(closed.reason)


@asynccontextmanager
async def echo_server(listener: trio.abc.Listener[trio.abc.Stream]) -> AsyncGenerator[None]:
    port = Port(no_http, echo, Limits(), RecordingTelemetry())
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, port.serve, [listener])
        yield
        nursery.cancel_scope.cancel("test over")


async def exchange(link: ClientLink[Frame]) -> None:
    await link.send("text ü")
    await link.send(b"\0\xff")
    assert await link.receive() == "text ü"
    assert await link.receive() == b"\0\xff"


@pytest.mark.real_sockets
async def test_over_tcp_and_a_reset_is_a_reset() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with echo_server(listener):
        async with open_websocket(f"ws://127.0.0.1:{port}/x", decode=verbatim) as link:
            await exchange(link)
        assert link.close_reason == CloseReason(1000, "")
        async with open_websocket(f"ws://127.0.0.1:{port}/x", decode=verbatim) as link:
            await exchange(link)
            link.cut()
            assert (await link.until_closed()).code == 1006


async def test_over_tls_in_memory(autojump_clock: object) -> None:
    network = MemoryNetwork()
    authority = trustme.CA()
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("server").configure_cert(server_side)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    listener = trio.SSLListener(network.listen("server", 443), server_side, https_compatible=True)
    async with echo_server(listener):
        async with open_websocket(
            "wss://server/x", decode=verbatim, dial=network.dial, ssl_context=trusting
        ) as link:
            await exchange(link)
            link.cut()
            assert (await link.until_closed()).code == 1006
        with pytest.raises(UpgradeRefused, match="server: the certificate is not trusted: ") as no:
            async with open_websocket("wss://server/x", decode=verbatim, dial=network.dial):
                pass
        assert isinstance(no.value.__cause__, ssl.SSLCertVerificationError)
        assert no.value.__cause__.verify_message in str(no.value)
        assert no.value.status == 0


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "TLS handshake failed: wrong version number"),
        (b"", "TLS handshake"),
    ],
)
async def test_a_server_that_does_not_speak_tls(
    answer: bytes, problem: str, autojump_clock: object
) -> None:
    network = MemoryNetwork()

    async def plain(stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some()
            if answer:
                await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, plain, [network.listen("server", 443)])
        with pytest.raises(UpgradeRefused, match=problem):
            async with open_websocket("wss://server/", decode=verbatim, dial=network.dial):
                pass
        nursery.cancel_scope.cancel("test over")


async def test_a_server_that_hangs_in_the_tls_handshake(autojump_clock: object) -> None:
    network = MemoryNetwork()
    async with network.listen("server", 443) as listener:
        with pytest.raises(trio.TooSlowError):
            async with open_websocket("wss://server/", decode=verbatim, dial=network.dial):
                pass
        await (await listener.accept()).aclose()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"message":"no\\n way","fix":"go away","more":1}', "HTTP 418: no way: go away"),
        (b'{"message":7}', "HTTP 418"),
        (b"[1]", "HTTP 418"),
        (b"\xff", "HTTP 418"),
    ],
)
async def test_a_refusal_says_what_its_body_says(
    body: bytes, text: str, autojump_clock: object
) -> None:
    network = MemoryNetwork()

    async def refuse(upgrade: Upgrade) -> None:
        await upgrade.reject(418, body)

    port = Port(no_http, refuse, Limits(), RecordingTelemetry())
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, port.serve, [network.listen("server", 80)])
        with pytest.raises(UpgradeRefused) as caught:
            async with open_websocket("ws://server/", decode=verbatim, dial=network.dial):
                pass
        assert (caught.value.status, caught.value.body, str(caught.value)) == (418, body, text)
        nursery.cancel_scope.cancel("test over")


async def test_a_connection_that_ends_during_the_handshake(autojump_clock: object) -> None:
    network = MemoryNetwork()
    async with trio.open_nursery() as nursery:

        async def hang_up(stream: trio.abc.Stream) -> None:
            async with stream:
                await stream.receive_some()

        await nursery.start(trio.serve_listeners, hang_up, [network.listen("server", 80)])
        with pytest.raises(UpgradeRefused, match="ended before the upgrade was answered") as caught:
            async with open_websocket("ws://server/", decode=verbatim, dial=network.dial):
                pass
        assert caught.value.status == 0
        nursery.cancel_scope.cancel("test over")


async def test_a_server_that_never_answers_is_given_up(autojump_clock: object) -> None:
    network = MemoryNetwork()
    async with network.listen("server", 80) as listener:
        with pytest.raises(UpgradeRefused, match="no answer to the upgrade"):
            async with open_websocket("ws://server/", decode=verbatim, dial=network.dial):
                pass
        assert trio.current_time() == pytest.approx(10)
        await (await listener.accept()).aclose()
        network.black_hole("server:80")
        with pytest.raises(trio.TooSlowError):
            async with open_websocket("ws://server/", decode=verbatim, dial=network.dial):
                pass


async def test_no_websocket_address() -> None:
    with pytest.raises(ValueError, match="is not a ws:// or wss:// address"):
        async with open_websocket("http://server/", decode=verbatim):
            pass


async def test_what_waits_is_sent_before_the_close(
    cloud: StubCloud, autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery:
        heard: list[object] = []

        async def serve() -> None:
            caller = await cloud.next()
            for _ in range(50):
                heard.append(await caller.hear())  # noqa: PERF401
            heard.append(await caller.until_gone())
            caller.leave()

        nursery.start_soon(serve)
        async with open_websocket(CLOUD, decode=verbatim, dial=cloud.network.dial) as link:
            for number in range(50):
                await link.send(str(number))
            await link.close(4000, "done")
            await link.close(4001, "a second close is none")
    assert heard == [*range(50), CloseReason(4000, "done")]


async def test_a_cancelled_block_closes_in_order(cloud: StubCloud, autojump_clock: object) -> None:
    """A cancellation from outside must not look like a lost connection to the peer."""
    async with trio.open_nursery() as nursery:
        seen: list[CloseReason] = []

        async def serve() -> None:
            caller = await cloud.next()
            seen.append(await caller.until_gone())
            caller.leave()

        nursery.start_soon(serve)
        with trio.move_on_after(1):
            async with open_websocket(CLOUD, decode=verbatim, dial=cloud.network.dial):
                await trio.sleep_forever()
    assert seen == [CloseReason(1000, "")]


async def test_a_cancelled_send_leaves_the_stream_whole(autojump_clock: object) -> None:
    network = MemoryNetwork(capacity=1024)
    async with (
        echo_server(network.listen("server", 80)),
        open_websocket("ws://server/", decode=verbatim, dial=network.dial) as link,
    ):
        network.connections[0].stall()
        with trio.move_on_after(1) as waiting:
            for _ in range(FRAMES_WAITING * 2):
                await link.send("x" * 1000)
        assert waiting.cancelled_caught
        network.connections[0].client.resume()
        await link.send("last")
        while await link.receive() != "last":
            pass


async def test_a_stalled_peer_cannot_hold_up_the_end(
    cloud: StubCloud, autojump_clock: object
) -> None:
    async with open_websocket(CLOUD, decode=verbatim, dial=cloud.network.dial) as link:
        caller = await cloud.next()
        cloud.network.connections[0].stall()
        began = trio.current_time()
    assert trio.current_time() - began <= 4
    assert link.close_reason == CloseReason(1000, "")
    caller.leave()


async def test_only_streams_that_we_know_can_be_cut() -> None:
    from mentra_trio.clients.dialing import reset

    client, server = memory_stream_pair()
    async with client, server:
        stapled = trio.StapledStream(client, client)
        with pytest.raises(TypeError, match="cannot reset a StapledStream"):
            reset(stapled)


async def test_a_reset_of_an_accepted_connection() -> None:
    from mentra_trio.clients.dialing import reset

    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = await trio.open_tcp_stream(*listening.getsockname())
        accepted, _ = listening.accept()
    accepted.setblocking(False)
    reset(PlainSocket(accepted, "somebody"))
    async with client:
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()


async def test_a_close_without_a_code(cloud: StubCloud, autojump_clock: object) -> None:
    async with open_websocket(CLOUD + "/app-ws", decode=verbatim, dial=cloud.network.dial) as link:
        caller = await cloud.next()
        await link.close(NO_STATUS)
        assert await caller.until_gone() == CloseReason(NO_STATUS, "")
        caller.leave()


async def test_how_long_a_handshake_may_take(autojump_clock: object) -> None:
    network = MemoryNetwork()
    async with network.listen("silent", 80):
        began = trio.current_time()
        with pytest.raises(UpgradeRefused):
            async with open_websocket(
                "ws://silent", decode=verbatim, dial=network.dial, patience_s=100
            ):
                raise AssertionError("nobody answers")
        assert trio.current_time() - began == 100
