from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial

import pytest
import trio
import trio.testing

from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.streams import CAPACITY, MemoryStream, Travel, memory_stream_pair


@pytest.fixture
async def pair() -> AsyncGenerator[tuple[MemoryStream, MemoryStream]]:
    client, server = memory_stream_pair()
    yield client, server
    client.abandon()
    server.abandon()


Pair = tuple[MemoryStream, MemoryStream]


async def test_it_is_a_stream_like_any_other() -> None:
    async def make() -> Pair:
        return memory_stream_pair()

    async def make_clogged() -> Pair:
        client, server = memory_stream_pair(Travel(window=1))
        await client.send_all(b"x")
        await server.send_all(b"x")
        return client, server

    await trio.testing.check_half_closeable_stream(make, make_clogged)


async def test_bytes_arrive_in_order_after_the_latency(autojump_clock: object) -> None:
    client, server = memory_stream_pair(Travel(latency=0.5))
    async with client, server:
        await client.send_all(b"one ")
        await trio.sleep(0.2)
        await client.send_all(b"two")
        assert await server.receive_some() == b"one "
        assert trio.current_time() == pytest.approx(0.5)
        assert await server.receive_some() == b"two"
        assert trio.current_time() == pytest.approx(0.7)
        await client.send_eof()
        assert await server.receive_some() == b""
        assert trio.current_time() == pytest.approx(1.2)


async def test_a_sender_waits_for_room(pair: Pair, autojump_clock: object) -> None:
    client, server = pair
    await client.send_all(b"x" * CAPACITY)
    with trio.move_on_after(5) as waiting:
        await client.send_all(b"y")
    assert waiting.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.send_all, b"y")
        assert await server.receive_some(1) == b"x"


async def test_a_cut_fails_both_ends_at_once(pair: Pair, autojump_clock: object) -> None:
    client, server = pair
    await client.send_all(b"lost")

    async def fails(receive: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails, partial(client.receive_some))
        await trio.testing.wait_all_tasks_blocked()
        client.cut()
    await fails(partial(server.receive_some))
    await fails(partial(server.send_all, b"x"))
    await fails(partial(client.send_all, b"x"))


async def test_a_stalled_connection_swallows_everything(pair: Pair, autojump_clock: object) -> None:
    client, server = pair
    client.stall()
    await client.send_all(b"late")
    await client.aclose()
    with trio.move_on_after(1000) as waiting:
        await server.receive_some()
    assert waiting.cancelled_caught
    await server.send_all(b"nobody refuses it")
    server.resume()
    assert await server.receive_some() == b"late"
    assert await server.receive_some() == b""


async def test_sending_to_a_closed_peer_is_refused(pair: Pair) -> None:
    client, server = pair
    await server.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(b"x")


async def test_closing_wakes_ones_own_tasks(pair: Pair) -> None:
    client, _ = pair
    async with trio.open_nursery() as nursery:

        async def receive() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await client.receive_some()

        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()


async def test_dialling_a_name(autojump_clock: object) -> None:
    network = MemoryNetwork(latency=0.1)
    listener = network.listen("server", 8002)
    client = await network.dial("server", 8002)
    server = await listener.accept()
    async with client, server, listener:
        await client.send_all(b"hello")
        assert await server.receive_some() == b"hello"
        assert [one.address for one in network.open_to("server:8002")] == ["server:8002"]
    assert network.open_to("server:8002") == []


async def test_who_cannot_be_dialled(autojump_clock: object) -> None:
    network = MemoryNetwork()
    listener = network.listen("server", 80)
    with pytest.raises(socket.gaierror):
        await network.dial("nobody", 80)
    with pytest.raises(ConnectionRefusedError):
        await network.dial("server", 81)
    network.black_hole("server:80")
    with trio.move_on_after(3600) as waiting:
        await network.dial("server", 80)
    assert waiting.cancelled_caught
    with pytest.raises(OSError, match="in use"):
        network.listen("server", 80)
    await listener.aclose()
    with pytest.raises(ConnectionRefusedError):
        await MemoryNetwork.dial(network, "server", 81)
    await network.listen("server", 80).aclose()


async def test_closing_a_listener_resets_who_was_not_accepted(autojump_clock: object) -> None:
    network = MemoryNetwork()
    listener = network.listen("server", 80)
    client = await network.dial("server", 80)
    await listener.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()
    await client.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()


async def test_free_ports_differ(autojump_clock: object) -> None:
    network = MemoryNetwork()
    first, second = network.listen("server"), network.listen("server")
    assert first.port != second.port
    await first.aclose()
    await second.aclose()


async def test_cutting_a_host_hits_both_directions_and_nobody_else(autojump_clock: object) -> None:
    network = MemoryNetwork()
    async with network.listen("app", 80), network.listen("server", 80) as listener:
        inward = await network.dial("app", 80, origin="server")
        outward = await network.dial_from("app")("server", 80)
        bystander = await network.dial_from("phone")("server", 80)
        network.cut_host("app")
        for stream in (inward, outward):
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")
        await bystander.send_all(b"x")
        for stream in (inward, outward, bystander):
            await stream.aclose()
        for _ in range(2):
            await (await listener.accept()).aclose()
