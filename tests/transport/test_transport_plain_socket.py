"""The stream over a plain socket: what a Trio stream must do, and what this one does besides."""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from mentra_trio.transport.plain_socket import (
    NOTSENT_LOWAT_BYTES,
    PlainSocket,
    is_tuned,
    tune,
)
from mentra_trio.transport.tcp import bound_address, open_listeners, peer_of

Pair = tuple[PlainSocket, PlainSocket]
pytestmark = pytest.mark.real_sockets


def plain(sock: socket.socket) -> PlainSocket:
    sock.setblocking(False)
    return PlainSocket(sock, "somebody")


async def unix_pair() -> Pair:
    ours, theirs = socket.socketpair()
    return plain(ours), plain(theirs)


async def tcp_pair() -> Pair:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    return plain(ours), plain(theirs)


async def clogged_pair() -> Pair:
    ours, theirs = await unix_pair()
    for end in (ours, theirs):
        with pytest.raises(BlockingIOError):
            while True:
                end.sock.send(bytes(65_536))
    return ours, theirs


async def clogged_tcp_pair() -> Pair:
    """Small buffers, so that a reader that empties them makes room at once."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        sender = socket.socket()
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
        sender.connect(listening.getsockname())
        theirs, _ = listening.accept()
    ours, other = plain(sender), plain(theirs)
    while True:  # what is on its way to the peer's buffer makes room for more
        with trio.move_on_after(0.05) as full:
            await ours.send_all(bytes(4_096))
        if full.cancelled_caught:
            return ours, other


@pytest.mark.parametrize("pair", [unix_pair, tcp_pair])
async def test_is_a_half_closeable_stream(pair: Callable[[], Awaitable[Pair]]) -> None:
    await trio.testing.check_half_closeable_stream(pair, clogged_pair)


async def test_a_stream_over_tcp_waits_for_room_as_any_other() -> None:
    sender, receiver = await clogged_tcp_pair()
    got = bytearray()
    async with sender, receiver, trio.open_nursery() as nursery:

        async def send() -> None:
            await sender.send_all(b"x" * 500_000)
            await sender.send_eof()

        nursery.start_soon(send)
        async for piece in receiver:
            got += piece
    assert got.endswith(b"x" * 500_000)


async def test_what_has_come_is_had_without_waiting() -> None:
    ours, theirs = await unix_pair()
    async with ours, theirs:
        assert ours.receive_nowait(10) is None
        await theirs.send_all(b"hello")
        assert ours.receive_nowait(4) == b"hell"
        assert ours.receive_nowait(4) == b"o"
        await theirs.aclose()
        assert ours.receive_nowait(4) == b""
        ours.close()
        ours.close()
        with pytest.raises(trio.ClosedResourceError):
            ours.receive_nowait(4)


async def test_a_reset_connection_is_broken() -> None:
    ours, theirs = await tcp_pair()
    async with ours:
        theirs.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        with pytest.raises(trio.BrokenResourceError) as caught:
            await ours.receive_some(1)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(trio.BrokenResourceError):
            await ours.send_all(b"x")
            await ours.send_all(b"x")


async def test_a_cancelled_send_lets_the_next_one_begin() -> None:
    ours, theirs = await clogged_pair()
    async with ours, theirs:
        with trio.move_on_after(0.01):
            await ours.send_all(b"x")
        with trio.move_on_after(0.01) as waiting:
            await ours.send_all(b"x")
        assert waiting.cancelled_caught, "and not a BusyResourceError"


async def test_after_the_end_nothing_follows() -> None:
    ours, theirs = await unix_pair()
    async with ours, theirs:
        await ours.send_eof()
        await ours.send_eof()
        with pytest.raises(trio.ClosedResourceError):
            await ours.send_all(b"x")


async def test_an_accepted_connection_has_its_options_and_its_address() -> None:
    [listener] = await open_listeners("127.0.0.1", 0)
    async with listener:
        client = await trio.open_tcp_stream(*bound_address([listener]))
        accepted = await listener.accept()
        async with client, accepted:
            assert isinstance(accepted, PlainSocket)
            sock = accepted.sock
            assert sock.gettimeout() == 0, "it never blocks the event loop"
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            if hasattr(socket, "TCP_NOTSENT_LOWAT"):
                kept = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
                assert kept == NOTSENT_LOWAT_BYTES
            host, port = client.socket.getsockname()
            assert peer_of(accepted) == f"{host}:{port}"


def test_whether_a_socket_is_tuned() -> None:
    with socket.socket() as one:
        assert not is_tuned(one)
        tune(one)
        assert is_tuned(one)
    assert not is_tuned(one), "closed"
    tune(one)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        tune(ours)
        assert not is_tuned(ours), "no TCP"
