"""Links on sockets: who gives up leaves the other task of the link, and the peer, as they were."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import attrs
import pytest
import trio
import trio.testing
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.concurrency.loan import Loan
from mentra_trio.domain.close_reasons import APP_STOPPED, CRASHED, CloseReason
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.domain.frame_counts import FrameCounts
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.outbound import Outbound
from mentra_trio.transport.plain_socket import PlainSocket
from mentra_trio.transport.socket_link import SocketLink
from mentra_trio.transport.websocket_link import WebSocketLink
from mentra_trio.wire.frames import FrameReader, encode_close, encode_message

BIG = b"x" * 100_000
"""More than the socket takes at once."""
SMALL = b"y" * 200


@attrs.define(eq=False)
class Ends:
    """A link whose peer does not read yet, and what was heard so far."""

    link: SocketLink
    peer: PlainSocket
    said: list[str] = attrs.field(factory=list)
    heard: list[str | bytes] = attrs.field(factory=list)

    def say(self, text: str) -> None:
        """As the peer; a mask of zeros is one, too."""
        self.peer.sock.send(bytes((0x81, 0x80 | len(text), 0, 0, 0, 0)) + text.encode())
        self.said.append(text)

    async def drained(self) -> bytes:
        """Everything that is sent to the peer, with the help of the connection's task."""
        got = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.link.attend, Loan(self.link))
            await trio.testing.wait_all_tasks_blocked()
            while data := self.peer.receive_nowait(65_536):
                got += data
                await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return bytes(got)


@asynccontextmanager
async def ends() -> AsyncGenerator[Ends]:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_608)
    for end in (ours, theirs):
        end.setblocking(False)
    link = SocketLink(
        peer="somebody",
        limits=Limits(),
        counts=FrameCounts(),
        outbound=Outbound(),
        reader=FrameReader(1_000, 1_000),
        socket=PlainSocket(ours, "somebody"),
        frames=[],
    )
    with ours, theirs:
        yield Ends(link, PlainSocket(theirs, "server"))


async def attend(it: Ends) -> None:
    loan: Loan[SocketLink, CloseReason] = Loan(it.link)

    async def push_and_read() -> None:
        await trio.sleep(1)
        it.link.push(SMALL)
        await trio.sleep(1)
        loan.give_back(APP_STOPPED)

    it.link.push(BIG)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(push_and_read)
        assert await it.link.attend(loan) == APP_STOPPED


async def listen(it: Ends) -> None:
    async def speak() -> None:
        for text in ("one", "two"):
            await trio.sleep(1)
            it.say(text)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(speak)
        while len(it.heard) < 2:
            await it.link.listen(it.heard.append, trio.current_time() + 0.7)


async def receive(it: Ends) -> None:
    """The peer says something while it does not read."""
    it.link.push(BIG)
    it.say("one")
    it.heard.append(await it.link.receive())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_later, it)
        it.heard.append(await it.link.receive())


async def answer_later(it: Ends) -> None:
    await trio.sleep(1)
    it.say("two")


async def until_gone(it: Ends) -> None:
    it.link.push(BIG)
    it.say("one")
    it.say("two")
    with trio.move_on_after(1):
        await it.link.until_gone()


async def all_is_sent_once(it: Ends) -> None:
    """Whatever was pushed arrives, whole and in order."""
    big, small = encode_message(BIG), encode_message(SMALL)
    assert await it.drained() in (b"", big, big + small)
    assert it.link.unsent_bytes == 0
    it.link.push("still here")
    assert await it.drained() == encode_message("still here")


async def all_is_heard_once(it: Ends) -> None:
    """What the peer said is heard by the next that listens, unless it was heard already."""
    it.say("three")
    while it.heard[-1:] != ["three"]:
        await it.link.listen(it.heard.append, trio.current_time() + 1)
    assert it.heard == it.said
    await all_is_sent_once(it)


CALLS: dict[Callable[..., object], tuple[Callable[[Ends], Awaitable[None]], ...]] = {
    SocketLink.attend: (attend, all_is_sent_once),
    WebSocketLink.listen: (listen, all_is_heard_once),
    WebSocketLink.receive: (receive, all_is_heard_once),
    WebSocketLink.until_gone: (until_gone, all_is_heard_once),
}


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__qualname__)
@cancels(*CALLS)
async def test_who_gives_up_leaves_the_link_whole(
    function: Callable[..., object], autojump_clock: MockClock
) -> None:
    call, check = CALLS[function]
    assert await cancel_at_every_moment(ends, call, check) >= 2


async def leave_by_a_bug(it: Ends) -> None:
    async def answer() -> None:
        await trio.sleep(1)
        it.peer.sock.send(b"\x88\x80\0\0\0\0")

    it.link.push(SMALL)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        with suppress(ZeroDivisionError):
            async with it.link:
                raise ZeroDivisionError


@cancels(WebSocketLink.__aexit__, WebSocketLink.close)
async def test_the_goodbye_of_a_crash_is_not_cut_short(autojump_clock: MockClock) -> None:
    async def check(it: Ends) -> None:
        with pytest.raises(LinkClosed):
            await it.link.receive()
        assert not it.link.push("too late")
        farewell = encode_close(CRASHED)
        assert farewell is not None
        assert it.peer.receive_nowait(65_536) == encode_message(SMALL) + farewell

    assert await cancel_at_every_moment(ends, leave_by_a_bug, check) >= 2
