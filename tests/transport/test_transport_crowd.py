"""When many come at once: who waits, who is told to come again, and who is not kept waiting."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from mentra_trio.domain.timings import CROWD_LASTS_S, Limits
from mentra_trio.transport.accepting import AT_ONCE, EagerListener
from mentra_trio.transport.port import Port
from mentra_trio.transport.upgrade import Upgrade

from .raw_peer import Facts, Peer, Rig, upgrade_head

NARROW = Limits(upgrades_per_s=2, upgrades_burst=2, upgrade_wait_s=1.0, upgrades_under_way=100)


@attrs.define(eq=False)
class Door:
    """Opens every WebSocket, and notes when."""

    opened_at: list[float] = attrs.field(factory=list)

    async def __call__(self, upgrade: Upgrade) -> None:
        self.opened_at.append(trio.current_time())
        async with upgrade.accept() as link:
            await link.receive()


@attrs.define(eq=False)
class Crowd:
    """Those who come to one narrow port."""

    rig: Rig
    door: Door
    port: Port

    async def ask(self) -> Peer:
        """Somebody asks for a WebSocket."""
        peer = self.rig.connect(self.port)
        await peer.send(upgrade_head("/app-ws"))
        return peer


@pytest.fixture
async def crowd(nursery: trio.Nursery, facts: Facts) -> Crowd:
    door = Door()
    rig = Rig(nursery, facts, websockets=door, limits=NARROW)
    return Crowd(rig, door, rig.port())


async def test_they_are_let_in_one_after_the_other_and_the_rest_is_told_when_to_come_again(
    crowd: Crowd, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    peers = [await crowd.ask() for _ in range(6)]
    await trio.sleep(0.1)
    refused = [await peer.rest() for peer in peers[4:]]
    assert [head.split()[1] for head in refused] == [b"503", b"503"]
    assert all(b"retry-after: 2" in head for head in refused), "rounded up from 1.5 s"
    body = json.loads(refused[0].partition(b"\r\n\r\n")[2])
    assert body["message"] == "too many are connecting at once"
    await trio.sleep(2)
    assert [round(at - began, 2) for at in crowd.door.opened_at] == [0, 0, 0.5, 1.0]


async def test_a_plain_request_waits_for_nobody(crowd: Crowd, autojump_clock: MockClock) -> None:
    for _ in range(4):
        await crowd.ask()
    began = trio.current_time()
    peer = crowd.rig.connect(crowd.port)
    await peer.send(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await peer.rest()).startswith(b"HTTP/1.1 200")
    assert trio.current_time() == began


async def test_it_is_known_that_there_is_a_crowd(crowd: Crowd, autojump_clock: MockClock) -> None:
    for _ in range(2):
        await crowd.ask()
    await trio.sleep(0.01)
    assert crowd.port.crowded_until.value == 0, "two are no crowd"
    await crowd.ask()
    await trio.sleep(0.01)
    until = crowd.port.crowded_until.value
    assert CROWD_LASTS_S < until - trio.current_time() < CROWD_LASTS_S + 1


async def test_who_is_turned_away_and_does_not_go_keeps_nobody_waiting(
    nursery: trio.Nursery, facts: Facts, autojump_clock: MockClock
) -> None:
    door = Door()

    async def strict(upgrade: Upgrade) -> None:
        if upgrade.path == "/app-ws":
            await door(upgrade)
        else:
            await upgrade.reject(401, b"{}")

    limits = Limits(upgrades_under_way=2)
    crowd = Crowd(rig := Rig(nursery, facts, websockets=strict, limits=limits), door, rig.port())
    for _ in range(4):
        peer = rig.connect(crowd.port)
        await peer.send(upgrade_head("/other"))
    began = trio.current_time()
    await crowd.ask()
    await trio.sleep(5)
    assert door.opened_at == [began]


async def test_who_waits_while_the_server_closes_is_told_so_at_once(
    crowd: Crowd, autojump_clock: MockClock
) -> None:
    peers = [await crowd.ask() for _ in range(4)]
    await trio.sleep(0.1)
    began = trio.current_time()
    crowd.port.closing.set()
    assert (await peers[3].rest()).startswith(b"HTTP/1.1 503")
    assert trio.current_time() == began


async def test_the_end_waits_for_plain_requests_only(rig: Rig, autojump_clock: MockClock) -> None:
    answering = trio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        answering.set()
        await trio.sleep(3)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    rig.app = slow
    port = rig.port()
    peer = rig.connect(port)
    began = trio.current_time()
    await peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await answering.wait()
    port.closing.set()
    await port.until_quiet()
    assert trio.current_time() - began == 3
    await port.until_quiet()


@pytest.mark.real_sockets
async def test_connections_are_accepted_a_few_at_a_time() -> None:
    [plain] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listener = EagerListener(plain)
    port = listener.socket.getsockname()[1]
    clients = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(AT_ONCE + 4)]
    accepted = [await listener.accept() for _ in clients]
    for number, (one, other) in enumerate(zip(clients, accepted, strict=True)):
        await one.send_all(bytes([number]))
        assert await other.receive_some(1) == bytes([number]), "in the order in which they came"
    for resource in (*clients, *accepted, listener):
        await resource.aclose()


@pytest.mark.real_sockets
async def test_who_was_accepted_and_not_served_is_cut_when_the_listener_closes() -> None:
    [plain] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listener = EagerListener(plain)
    port = listener.socket.getsockname()[1]
    early = await trio.open_tcp_stream("127.0.0.1", port)
    late = await trio.open_tcp_stream("127.0.0.1", port)
    served = await listener.accept()
    await listener.aclose()
    assert await late.receive_some(1) == b""
    with pytest.raises(trio.ClosedResourceError):
        await listener.accept()
    for stream in (early, late, served):
        await stream.aclose()
