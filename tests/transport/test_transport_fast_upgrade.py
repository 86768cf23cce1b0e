"""An upgrade read in one go: the same for those who serve it, and no HTTP is left behind."""

from __future__ import annotations

import errno
import gc
import socket
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from mentra_trio.domain.facts import ConnectionRefused
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.http_connection import HttpConnection
from mentra_trio.transport.plain_socket import PlainSocket
from mentra_trio.transport.port import ACCEPT_AGAIN_S, Port
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.wire.tokens import mint_core_token

from .doorman import NOW, SECRET, USER, Doorman
from .raw_peer import TEXT, Facts, Peer, Rig, frame, upgrade_head

HEAD = upgrade_head("/a%20b?token=x&y", "X-User-Id: ada@example.org", "Cookie: a=b")


async def upgrade_sent_in(rig: Rig, *pieces: bytes) -> tuple[dict[str, Any], str | bytes]:
    """What a handler is told of an upgrade, and the first message behind it."""
    told: dict[str, Any] = {}
    messages: list[str | bytes] = []

    async def serve(upgrade: Upgrade) -> None:
        told.update(attrs.asdict(upgrade.target), headers=dict(upgrade.headers), peer=upgrade.peer)
        told.update(key=upgrade._key, query=upgrade.query("token"), limits=upgrade.limits)
        async with upgrade.accept() as link:
            messages.append(await link.receive())

    rig.websockets = serve
    peer = rig.connect()
    for piece in pieces:
        await peer.send(piece)
        await trio.testing.wait_all_tasks_blocked()
    await peer.rest()
    return told, messages[0]


async def test_in_one_go_or_byte_by_byte_it_is_the_same(rig: Rig, autojump_clock: Any) -> None:
    rest = frame(TEXT, b"hello")
    at_once = await upgrade_sent_in(rig, HEAD + rest)
    for pieces in ((HEAD, rest), (HEAD[:50], HEAD[50:] + rest), (HEAD[:-1], HEAD[-1:], rest)):
        assert await upgrade_sent_in(rig, *pieces) == at_once
    told, message = at_once
    assert message == "hello"
    assert told["path"] == "/a b"
    assert told["headers"]["x-user-id"] == "ada@example.org"


async def test_a_well_formed_upgrade_needs_no_other_parser(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, autojump_clock: Any
) -> None:
    def no_parser(*_: Any) -> None:
        raise AssertionError("the head was well-formed")

    monkeypatch.setattr(HttpConnection, "__init__", no_parser)
    told, message = await upgrade_sent_in(rig, HEAD + frame(TEXT, b"hello"))
    assert told
    assert message == "hello"


@pytest.mark.parametrize("cut", [0, 30])
async def test_a_websocket_that_idles_keeps_nothing_of_http(
    rig: Rig, doorman: Doorman, cut: int, autojump_clock: Any
) -> None:
    token = mint_core_token(USER, SECRET, now=NOW, ttl_s=None)
    head = upgrade_head("/glasses-ws?secret", f"Authorization: Bearer {token}")
    peer = rig.connect()
    await peer.send(head[:cut])
    await trio.testing.wait_all_tasks_blocked()
    await peer.send(head[cut:])
    await peer.until(b"\r\n\r\n")
    assert await peer.frame() == (TEXT, b"welcome")
    gc.collect()
    alive = gc.get_objects()
    assert not [one for one in alive if isinstance(one, HttpConnection)]
    [upgrade] = [one for one in alive if isinstance(one, Upgrade)]
    assert not upgrade.headers
    assert not upgrade.path
    assert not upgrade._http.take_unread()
    await peer.send(frame(TEXT, b"end"))
    await peer.rest()


async def test_who_is_turned_away_reads_why_before_the_end(
    rig: Rig, facts: Facts, autojump_clock: Any
) -> None:
    rig.limits = Limits(upgrades_per_s=0.1, upgrades_burst=1, upgrade_wait_s=0)
    port = rig.port()
    await rig.connect(port).send(HEAD)
    await trio.testing.wait_all_tasks_blocked()
    answers = []
    for pieces in ((HEAD,), (HEAD[:9], HEAD[9:])):
        peer = rig.connect(port)
        for piece in pieces:
            await peer.send(piece)
            await trio.testing.wait_all_tasks_blocked()
        answers.append(await peer.rest())
    assert answers[0] == answers[1]
    assert answers[0].startswith(b"HTTP/1.1 503")
    assert b"retry-after: 10" in answers[0]
    assert b"content-type: application/json" in answers[0]
    assert len(facts.of(ConnectionRefused)) == 2


# -- connections over sockets ------------------------------------------------------------------


def socket_pair(rig: Rig) -> tuple[Peer, PlainSocket, Port]:
    """A port that serves one end of a pair of sockets, and both ends."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    ours, theirs = (PlainSocket(end, "1.2.3.4:5") for end in ends)
    port = rig.port()
    rig.nursery.start_soon(port.serve, theirs)
    return Peer(ours), theirs, port


async def test_a_socket_is_served_and_closed(rig: Rig) -> None:
    peer, theirs, _ = socket_pair(rig)
    async with peer.stream:
        assert (await peer.request("GET", "/x"))[2] == b"hello /x"
        assert (await peer.request("GET", "/y"))[2] == b"hello /y"
    await trio.testing.wait_all_tasks_blocked()
    assert theirs.sock.fileno() < 0


async def test_what_comes_late_is_waited_for(rig: Rig) -> None:
    peer, _, _ = socket_pair(rig)
    async with peer.stream:
        await trio.testing.wait_all_tasks_blocked()
        assert (await peer.request("GET", "/x"))[2] == b"hello /x"


@pytest.mark.parametrize("said", [b"", b"GET /"])
async def test_a_socket_whose_peer_is_gone_is_closed(rig: Rig, said: bytes) -> None:
    peer, theirs, _ = socket_pair(rig)
    async with peer.stream:
        await peer.send(said)
        await peer.stream.aclose()
        await trio.testing.wait_all_tasks_blocked()
        assert theirs.sock.fileno() < 0


@pytest.mark.parametrize("asked", [False, True])
async def test_the_end_of_the_port_reaches_whoever_is_idle(rig: Rig, asked: bool) -> None:
    peer, _, port = socket_pair(rig)
    async with peer.stream:
        if asked:
            await peer.request("GET", "/x")
        await trio.testing.wait_all_tasks_blocked()
        port.closing.set()
        assert await peer.rest() == b""


@attrs.define(eq=False)
class FullListener(trio.abc.Listener[trio.abc.Stream]):
    """Has no room for the first connection."""

    stream: trio.abc.Stream
    attempts: list[float] = attrs.field(factory=list)
    closed: bool = False

    async def accept(self) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.attempts.append(trio.current_time())
        if len(self.attempts) == 1:
            raise OSError(errno.EMFILE, "too many open files")
        if len(self.attempts) == 2:
            return self.stream
        raise OSError(errno.EINVAL, "broken")

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


async def test_too_many_open_files_are_waited_out(
    rig: Rig, facts: Facts, autojump_clock: Any
) -> None:
    client, server = trio.testing.memory_stream_pair()
    listener = FullListener(server)
    with pytest.raises(OSError, match="broken"):
        await rig.port().listen(listener, rig.nursery)
    assert listener.attempts == pytest.approx([0, ACCEPT_AGAIN_S, ACCEPT_AGAIN_S])
    assert listener.closed
    assert (await Peer(client).request("GET", "/x"))[2] == b"hello /x"
    [refused] = facts.of(ConnectionRefused)
    assert refused.problem == "too many open files"
