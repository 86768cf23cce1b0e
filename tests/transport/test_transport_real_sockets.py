"""The port on real loopback sockets, plain and with TLS: what memory streams cannot show."""

from __future__ import annotations

import resource
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import attrs
import pytest
import trio
import trustme
from cryptography.hazmat.primitives import serialization

from mentra_trio.domain.close_reasons import APP_STOPPED, SLOW_CONSUMER
from mentra_trio.domain.errors import ConfigError, LinkClosed
from mentra_trio.domain.facts import ConnectionRefused
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.tcp import bound_address, open_listeners, room_for_connections
from mentra_trio.transport.upgrade import Upgrade

from .raw_peer import (
    TEXT,
    Facts,
    Peer,
    Rig,
    close_frame,
    frame,
    upgrade_head,
)

pytestmark = pytest.mark.real_sockets


async def echo(upgrade: Upgrade) -> None:
    async with upgrade.accept() as link:
        try:
            while (message := await link.receive()) != "end":
                link.push(message)
            await link.close(APP_STOPPED)
        except LinkClosed as closed:
            await link.close(closed.reason)


@attrs.define(eq=False)
class Server:
    address: tuple[str, int]
    client_tls: ssl.SSLContext | None
    streams: list[trio.abc.Stream] = attrs.field(factory=list)

    async def dial(self) -> Peer:
        """A connection without TLS, whatever the server expects."""
        stream = await trio.open_tcp_stream(*self.address)
        self.streams.append(stream)
        return Peer(stream)

    async def connect(self) -> Peer:
        stream = (await self.dial()).stream
        if self.client_tls is not None:
            stream = trio.SSLStream(
                stream, self.client_tls, server_hostname="localhost", https_compatible=True
            )
        return Peer(stream)


@pytest.fixture(params=["plain", "tls"])
async def server(
    request: pytest.FixtureRequest, rig: Rig, nursery: trio.Nursery, tmp_path: Path
) -> AsyncIterator[Server]:
    rig.websockets, rig.limits = echo, Limits(close_s=0.5, outbox_bytes=1_000_000)
    certificate, client = None, None
    if request.param == "tls":
        authority = trustme.CA()
        certificate = tmp_path / "cert.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
            str(certificate)
        )
        client = ssl.create_default_context()
        authority.configure_trust(client)
    listeners = await open_listeners("127.0.0.1", 0, tls_cert=certificate)
    nursery.start_soon(trio.serve_listeners, rig.port().serve, listeners)
    server = Server(bound_address(listeners), client)
    yield server
    for stream in server.streams:
        await trio.aclose_forcefully(stream)
    nursery.cancel_scope.cancel()


async def test_requests_and_messages(server: Server) -> None:
    peer = await server.connect()
    assert (await peer.request("GET", "/x"))[2] == b"hello /x"
    await peer.open()
    await peer.send(frame(TEXT, b"x" * 200_000))
    assert await peer.frame() == (TEXT, b"x" * 200_000)
    await peer.send(frame(TEXT, b"end"))
    assert await peer.close_code() == (1000, "App stopped")
    await peer.send(close_frame(1000))
    assert await peer.rest() == b""


async def test_a_reset_at_any_time_hurts_nobody_else(server: Server, facts: Facts) -> None:
    good = await server.connect()
    await good.open()
    script = upgrade_head() + frame(TEXT, b"hello") + frame(9, b"p") + frame(TEXT, b"x" * 50)
    for cut in (0, 10, len(upgrade_head()), len(upgrade_head()) + 3, len(script) - 1, len(script)):
        bad = await server.connect()
        await bad.send(script[:cut])
        if cut >= len(upgrade_head()):
            await bad.until(b"\r\n\r\n")
        transport: Any = getattr(bad.stream, "transport_stream", bad.stream)
        transport.socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(bad.stream)
    await good.send(frame(TEXT, b"still here"))
    assert await good.frame() == (TEXT, b"still here")
    assert facts.crashes == []


async def test_garbage_instead_of_a_handshake(server: Server, facts: Facts) -> None:
    peer = await server.dial()
    await peer.send(b"\x00\xffgarbage\r\n\r\n")
    answer = await peer.rest()
    assert answer.startswith(b"HTTP/1.1 400") or server.client_tls is not None
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert len(facts.of(ConnectionRefused)) == 1


async def test_the_answer_to_an_oversize_message_arrives(server: Server) -> None:
    peer = await server.connect()
    await peer.open()

    async def send() -> None:
        with suppress(trio.BrokenResourceError):
            await peer.send(frame(TEXT, b"x" * 3_000_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        assert (await peer.close_code())[0] == 1009
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("size", [100_000, 5_000_000])
async def test_an_unwanted_body_does_not_cost_the_answer(server: Server, size: int) -> None:
    for _ in range(3):
        peer = await server.connect()
        status, _, body = await peer.request("POST", "/x", b"y" * size)
        assert (status, body) == (200, b"hello /x")


async def test_a_peer_that_never_reads_fails_its_link(rig: Rig) -> None:
    rig.limits = Limits(close_s=0.5, outbox_bytes=1_000_000)
    failed = trio.Event()

    async def flood(upgrade: Upgrade) -> None:
        async with upgrade.accept() as link:
            for _ in range(10_000):
                if not link.push("x" * 10_000):
                    break
                await trio.lowlevel.checkpoint()
            assert await link.listen(lambda frame: None, trio.current_time()) == SLOW_CONSUMER
            failed.set()
            await link.close(SLOW_CONSUMER)

    rig.websockets = flood
    port = rig.port()
    listeners = await open_listeners("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, port.serve, listeners)
        stream = await trio.open_tcp_stream(*bound_address(listeners))
        await Peer(stream).open()
        await failed.wait()
        await stream.aclose()
        nursery.cancel_scope.cancel()


async def test_addresses_that_cannot_be_used(tmp_path: Path) -> None:
    listeners = await open_listeners("127.0.0.1", 0)
    _, port = bound_address(listeners)
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}"):
        await open_listeners("127.0.0.1", port)
    for listener in listeners:
        await listener.aclose()
    with pytest.raises(ConfigError, match="tls_cert"):
        await open_listeners("127.0.0.1", 0, tls_cert=tmp_path / "missing.pem")
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(ConfigError, match="tls_cert"):
        await open_listeners("127.0.0.1", 0, tls_cert=tmp_path / "junk.pem")


async def test_port_0_of_a_name_gives_one_address() -> None:
    listeners = await open_listeners("localhost", 0)
    assert len(listeners) == 1
    for listener in listeners:
        await listener.aclose()


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "a\0b"])
async def test_a_host_that_is_no_name(host: str) -> None:
    with pytest.raises(ConfigError, match="cannot listen on"):
        await open_listeners(host, 0)


async def test_tls_files_that_cannot_be_used(tmp_path: Path) -> None:
    issued, other = (trustme.CA().issue_cert("localhost") for _ in range(2))
    cert, key, foreign = (tmp_path / name for name in ("cert.pem", "key.pem", "foreign.pem"))
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    other.private_key_pem.write_to_path(foreign)
    locked, junk = tmp_path / "locked.pem", tmp_path / "junk.pem"
    locked.write_bytes(encrypted(key.read_bytes()))
    junk.write_text("junk")

    async def problem(cert: Path, key: Path | None) -> str:
        with pytest.raises(ConfigError) as caught:
            await open_listeners("127.0.0.1", 0, tls_cert=cert, tls_key=key)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    missing = tmp_path / "missing.pem"
    no_file = f"cannot read {missing}: No such file or directory"
    assert await problem(missing, key) == f"server.tls_cert: {no_file}"
    assert await problem(cert, missing) == f"server.tls_key: {no_file}"
    assert "Is a directory" in await problem(tmp_path, key)
    assert "is not the key of the certificate" in await problem(cert, foreign)
    assert "needs a password" in await problem(cert, locked)
    for pair in ((junk, key), (cert, junk), (junk, None)):
        assert "in PEM" in await problem(*pair)


def encrypted(key: bytes) -> bytes:
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )


def test_files_are_left_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def room(files: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
        return room_for_connections()

    assert room(1_024) == 896
    assert room(1_000_000) == room(resource.RLIM_INFINITY) == 20_000
    assert room(1) == 1
