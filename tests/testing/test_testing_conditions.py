"""What each kind of fault does to bytes and connections, through the network alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
import trio

from mentra_trio.testing.faults import (
    Bandwidth,
    Cut,
    DuplicateConnect,
    Fault,
    Latency,
    Refuse,
    Reorder,
    SlowClose,
    SlowReader,
    Stall,
)
from mentra_trio.testing.network import MemoryListener, MemoryNetwork
from mentra_trio.testing.streams import MemoryStream

Ends = tuple[MemoryStream, MemoryStream]


class Net:
    """A network with a listener at ``server:80``."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.listener: MemoryListener = self.network.listen("server", 80)
        self._opened: list[MemoryStream] = []

    async def connect(self, origin: str = "phone") -> Ends:
        """Both ends of a new connection: the dialling one first."""
        client = await self.network.dial("server", 80, origin=origin)
        server = await self.listener.accept()
        self._opened += [client, server]
        return client, server

    @asynccontextmanager
    async def during(self, fault: Fault, seed: int = 1) -> AsyncGenerator[None]:
        async with self.network.conditions.during(fault, Random(seed)):
            yield

    async def accept(self) -> MemoryStream:
        stream = await self.listener.accept()
        self._opened.append(stream)
        return stream

    async def close(self) -> None:
        for stream in self._opened:
            stream.abandon()
        await self.listener.aclose()


@pytest.fixture
async def net() -> AsyncGenerator[Net]:
    opened = Net()
    yield opened
    await opened.close()


async def seconds(job: Callable[[], Awaitable[object]]) -> float:
    """How long ``job`` takes."""
    began = trio.current_time()
    await job()
    return trio.current_time() - began


async def everything(stream: MemoryStream, size: int) -> bytes:
    received = b""
    while len(received) < size:
        received += await stream.receive_some()
    return received


async def test_latency_is_added_while_it_lasts(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    async with net.during(Latency(seconds=2)):
        await client.send_all(b"a")
        assert await seconds(server.receive_some) == 2
        assert await seconds(net.connect) == 2, "connecting takes longer, too"
    await client.send_all(b"a")
    assert await seconds(server.receive_some) == 0


async def test_nothing_is_sent_as_nothing(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    async with net.during(Latency(seconds=2)):
        await client.send_all(b"")
    await client.send_all(b"")
    await client.send_all(b"x")
    assert await server.receive_some() == b"x"


async def test_jitter_keeps_the_order_and_follows_from_the_seed(
    net: Net, autojump_clock: object
) -> None:
    async def course() -> list[float]:
        client, server = await net.connect()
        arrivals = []
        async with net.during(Latency(seconds=0, jitter=1), seed=5):
            for number in range(5):
                await client.send_all(bytes([number]))
            began = trio.current_time()
            for number in range(5):
                assert await server.receive_some(1) == bytes([number])
                arrivals.append(round(trio.current_time() - began, 6))
        return arrivals

    first = await course()
    assert first == sorted(first)
    assert 0 < first[0] < first[-1] < 1
    assert await course() == first


async def test_connections_overtake_each_other_but_not_themselves(
    net: Net, autojump_clock: object
) -> None:
    pairs = [await net.connect() for _ in range(6)]
    arrived: list[int] = []

    async def receive(number: int) -> None:
        assert await everything(pairs[number][1], 2) == b"12"
        arrived.append(number)

    async with net.during(Reorder(seconds=3)), trio.open_nursery() as nursery:
        for number, (client, _) in enumerate(pairs):
            nursery.start_soon(receive, number)
            await client.send_all(b"1")
            await client.send_all(b"2")
    assert sorted(arrived) == list(range(6))
    assert arrived != list(range(6))


async def test_attempts_to_connect_overtake_each_other(net: Net, autojump_clock: object) -> None:
    dialled: list[int] = []

    async def dial(number: int) -> None:
        await net.connect(f"phone {number}")
        dialled.append(number)

    async with net.during(Reorder(seconds=3)), trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(dial, number)
            await trio.sleep(0.001)
    assert sorted(dialled) == list(range(6))
    assert dialled != list(range(6))


async def test_few_bytes_pass(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    async with net.during(Bandwidth(bytes_per_s=100)):
        await client.send_all(b"x" * 500)
        began = trio.current_time()
        assert len(await server.receive_some()) < 100, "it comes in pieces"
        await everything(server, 400)
        assert 4 <= trio.current_time() - began <= 5
        await client.send_all(b"x" * 5_000)
        await trio.sleep(1)
    assert await seconds(lambda: everything(server, 4_900)) == 0, "the rest is there at once"


async def test_a_slow_reader_holds_its_sender_up_and_nobody_else(
    net: Net, autojump_clock: object
) -> None:
    client, server = await net.connect()
    async with net.during(SlowReader(where="server", bytes_per_s=100, window=1_000)):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(everything, server, 2_000)
            took = await seconds(lambda: client.send_all(b"x" * 2_000))
        assert 9 <= took <= 11, "a thousand bytes had to be read first"
        await server.send_all(b"y" * 2_000)
        assert await seconds(lambda: everything(client, 2_000)) == 0


async def test_the_reader_of_a_way_is_who_was_dialled(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    async with net.during(SlowReader(where="phone -> server", bytes_per_s=10)):
        await client.send_all(b"x" * 10)
        assert await seconds(lambda: everything(server, 10)) == pytest.approx(1)
        await server.send_all(b"x" * 10)
        assert await seconds(lambda: everything(client, 10)) == 0


async def test_a_stall_swallows_and_gives_back(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    other, other_server = await net.connect("somebody else")
    async with net.during(Stall(where="phone")):
        await client.send_all(b"late")
        await client.aclose()
        with trio.move_on_after(100) as waiting:
            await server.receive_some()
        assert waiting.cancelled_caught
        await other.send_all(b"well")
        assert await other_server.receive_some() == b"well"
    assert await server.receive_some() == b"late"
    assert await server.receive_some() == b""


async def test_attempts_to_connect_wait_for_the_end_of_a_stall(
    net: Net, autojump_clock: object
) -> None:
    async with trio.open_nursery() as nursery, net.during(Stall()):
        nursery.start_soon(net.connect)
        await trio.sleep(10)
        assert net.network.connections == []
    assert len(net.network.connections) == 1


async def test_what_does_not_heal_stays_for_ever_but_new_connections_work(
    net: Net, autojump_clock: object
) -> None:
    client, server = await net.connect()
    async with net.during(Stall(heals=False)):
        await client.send_all(b"lost")
    with trio.move_on_after(1_000) as waiting:
        await server.receive_some()
    assert waiting.cancelled_caught
    client, server = await net.connect()
    await client.send_all(b"well")
    assert await server.receive_some() == b"well"


async def test_a_stall_within_a_stall_ends_with_the_longer_one(
    net: Net, autojump_clock: object
) -> None:
    client, server = await net.connect()
    async with net.during(Stall()):
        async with net.during(Stall(where="phone")):
            await client.send_all(b"x")
        with trio.move_on_after(1) as waiting:
            await server.receive_some()
        assert waiting.cancelled_caught
    assert await server.receive_some() == b"x"


async def test_a_cut_resets_what_is_there_and_what_comes(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    async with net.during(Cut(where=1)):
        for end in (client, server):
            with pytest.raises(trio.BrokenResourceError):
                await end.receive_some()
    async with net.during(Cut(where="phone")):
        client, _ = await net.connect()
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"x")
    client, server = await net.connect()
    await client.send_all(b"well")
    assert await server.receive_some() == b"well"


async def test_a_slow_close_is_late_and_what_was_sent_is_not(
    net: Net, autojump_clock: object
) -> None:
    client, server = await net.connect()
    async with net.during(SlowClose(seconds=5)):
        await client.send_all(b"bye")
        await client.aclose()
        assert await seconds(server.receive_some) == 0
        await server.send_all(b"are you still there?")
        assert await seconds(server.receive_some) == 5
        with pytest.raises(trio.BrokenResourceError):
            await server.send_all(b"no")


async def test_the_end_is_late_no_longer_than_the_bytes_before_it(
    net: Net, autojump_clock: object
) -> None:
    client, server = await net.connect()
    async with net.during(Latency(seconds=600)):
        await client.send_all(b"bye")
        await client.aclose()
        await trio.sleep(1)
    assert await server.receive_some() == b"bye"
    assert await server.receive_some() == b""
    assert trio.current_time() == 1


async def test_a_sender_that_waits_learns_of_a_slow_close(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    async with net.during(SlowClose(seconds=5)):
        await server.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"x" * 100_000)
        assert trio.current_time() == 5


async def test_connecting_is_refused_or_hangs(net: Net, autojump_clock: object) -> None:
    async with net.during(Refuse(where="server")):
        with pytest.raises(ConnectionRefusedError):
            await net.connect()
    async with trio.open_nursery() as nursery, net.during(Refuse(hangs=True)):
        nursery.start_soon(net.connect)
        await trio.sleep(60)
        assert net.network.connections == []
    assert len(net.network.connections) == 1


@pytest.mark.parametrize("copy_first", [True, False])
async def test_who_connects_gets_there_twice(
    copy_first: bool, net: Net, autojump_clock: object
) -> None:
    fault = DuplicateConnect(copy_first=copy_first, apart=2)
    async with net.during(fault):
        client = await net.network.dial("server", 80, origin="phone")
        copy, original = await net.accept(), await net.accept()
        await client.send_all(b"hello")
        first, second = (copy, original) if copy_first else (original, copy)
        assert await seconds(lambda: everything(first, 5)) == 0
        assert await seconds(lambda: everything(second, 5)) == 2
        await copy.send_all(b"nobody listens" * 10_000)
        await original.send_all(b"welcome")
        assert await client.receive_some() == b"welcome"
    assert await copy.receive_some() == b"", "the copy ends with the fault"
    await client.send_all(b"more")
    assert await original.receive_some() == b"more"
    await client.aclose()


async def test_a_fault_can_name_a_connection_that_is_still_to_be_made(
    net: Net, autojump_clock: object
) -> None:
    async with net.during(Latency(where=2, seconds=7)):
        assert await seconds(net.connect) == 0
        assert await seconds(net.connect) == 7
        assert await seconds(net.connect) == 0


async def test_faults_add_up(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    async with net.during(Latency(seconds=1)), net.during(Latency(seconds=2)):
        await client.send_all(b"x")
        assert await seconds(server.receive_some) == 3


async def test_a_host_vanishes_and_comes_back(net: Net, autojump_clock: object) -> None:
    client, server = await net.connect()
    net.network.vanish("server")
    await client.send_all(b"into the void")
    server.abandon()
    with trio.move_on_after(1_000) as waiting:
        await client.receive_some()
    assert waiting.cancelled_caught, "no end, no reset"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(net.network.dial, "server", 80)
        await trio.sleep(10)
        net.listener = net.network.listen("server", 80)
        connected = await net.accept()
    assert connected.is_open
    net.network.connections[-1].client.abandon()


async def test_a_host_that_crashed_refuses(net: Net, autojump_clock: object) -> None:
    client, _ = await net.connect()
    net.network.crash("server")
    with pytest.raises(trio.BrokenResourceError):
        await client.receive_some()
    with pytest.raises(ConnectionRefusedError):
        await net.network.dial("server", 80)
