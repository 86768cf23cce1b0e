"""A link on a socket: what is sent when, in how many pieces, and by whom."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    SLOW_CONSUMER,
    CloseReason,
)
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.socket_link import BATCH_BYTES
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.transport.websocket_link import FRAMES_AT_ONCE
from mentra_trio.wire.frames import Sound, encode_frame, encode_message

from .carriers import SocketWire, Wire
from .linked_peer import Linked, linked
from .raw_peer import BINARY, CLOSE, PING, PONG, TEXT, Facts, Rig, close_frame, frame


class CountingSocket(socket.socket):
    """Remembers how much was to be sent each time."""

    sizes: list[int]

    def send(self, data: Any, flags: int = 0, /) -> int:
        self.__dict__.setdefault("sizes", []).append(len(data))
        return super().send(data, flags)


def sends(it: Linked) -> list[int]:
    """Sizes of what was sent since the last call."""
    assert isinstance(it.wire, SocketWire)
    kept: list[int] = it.wire.server.sock.__dict__.setdefault("sizes", [])
    sizes = list(kept)
    kept.clear()
    return sizes


@pytest.fixture
def wire() -> Callable[[], Wire]:
    return partial(SocketWire, kind=CountingSocket)


@pytest.fixture(params=[False, True], ids=["alone", "pump"])
async def rig(
    nursery: trio.Nursery,
    facts: Facts,
    wire: Callable[[], Wire],
    request: pytest.FixtureRequest,
) -> AsyncIterator[Rig]:
    rig = Rig(nursery, facts, wire=wire, pumped=request.param)
    yield rig
    rig.discard()


async def use(it: Linked, handle: Callable[[str | bytes], CloseReason | None]) -> None:
    await it.link.listen(handle, trio.current_time() + 3_600)


# -- one send per link and turn -----------------------------------------------------------------


@pytest.mark.parametrize("messages", [1, 50, FRAMES_AT_ONCE, FRAMES_AT_ONCE + 1])
async def test_what_follows_from_one_read_leaves_in_one_piece_per_link(
    rig: Rig, nursery: trio.Nursery, messages: int, autojump_clock: Any
) -> None:
    port = rig.port()
    async with linked(rig, port) as glasses, linked(rig, port) as one, linked(rig, port) as two:
        apps = (one, two)

        def fan_out(message: str | bytes) -> None:
            glasses.link.push("yes")
            for app in apps:
                app.link.push_encoded(encode_message(f"it said {message!s}"))
                app.link.push_audio(Sound(b"sound"))

        nursery.start_soon(use, glasses, fan_out)
        await trio.testing.wait_all_tasks_blocked()
        for it in (glasses, *apps):
            sends(it)
        await glasses.peer.send(frame(TEXT, b"x") * messages + frame(PING, b"p"))
        await trio.testing.wait_all_tasks_blocked()
        turns = (messages + FRAMES_AT_ONCE) // FRAMES_AT_ONCE
        assert len(sends(glasses)) == turns, "the pong is sent with the rest"
        for app in apps:
            assert len(sends(app)) == -(-messages // FRAMES_AT_ONCE)
            for _ in range(messages):
                assert await app.peer.frame() == (TEXT, b"it said x")
                assert await app.peer.frame() == (BINARY, b"sound")
        nursery.cancel_scope.cancel()


async def test_what_is_pushed_at_any_other_time_needs_no_event(
    rig: Rig, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    async with linked(rig) as it:
        nursery.start_soon(it.until_failed)
        await trio.testing.wait_all_tasks_blocked()
        for turn in range(3):
            sends(it)
            it.link.push("a")
            it.link.push("b")
            assert sends(it) == [], "not before this turn is over"
            await trio.testing.wait_all_tasks_blocked()
            assert sends(it) == [6], turn
            read = [await it.peer.frame() for _ in range(2)]
            assert read == [(TEXT, b"a"), (TEXT, b"b")]
            it.link.ping()
            assert sends(it) == [2], "a ping has nothing to wait for"
            assert await it.peer.frame() == (PING, b"")
        assert trio.current_time() == 0
        nursery.cancel_scope.cancel()


async def test_what_was_pushed_before_the_link_was_lent_is_sent(
    rig: Rig, autojump_clock: Any
) -> None:
    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept() as link:
            link.push("before it listens")
            assert await link.receive() == "one"
            link.push("before it waits")
            await link.close(await link.until_gone())

    rig.websockets = serve
    peer = rig.connect()
    await peer.open()
    assert await peer.frame() == (TEXT, b"before it listens")
    await peer.send(frame(TEXT, b"one"))
    assert await peer.frame() == (TEXT, b"before it waits")
    await peer.send(close_frame(1000))
    assert (await peer.close_code())[0] == 1000


async def test_a_heap_is_sent_in_batches(rig: Rig, autojump_clock: Any) -> None:
    async with linked(rig) as it:
        sends(it)
        texts = [b"%d" % n * 20_000 for n in range(1, 10)] * 4
        for text in texts:
            it.link.push_encoded(encode_frame(TEXT, text))
        for text in texts:
            assert await it.peer.frame() == (TEXT, text)
        sizes = sends(it)
        assert max(sizes) <= BATCH_BYTES
        it.link.push(bytes(2 * BATCH_BYTES))
        await it.peer.frame()
        assert max(sends(it)) > BATCH_BYTES, "one frame alone may be larger"


# -- short writes, at every place at which they may end -------------------------------------------


class StingySocket(socket.socket):
    """Takes as many bytes as it was told, time after time; nothing where that is none."""

    def send(self, data: Any, flags: int = 0, /) -> int:
        portions: list[int] = self.__dict__.setdefault("portions", [])
        most = portions.pop(0) if portions else len(data)
        if not most:
            raise BlockingIOError
        return super().send(data[:most], flags)


def stingy(it: Linked, portions: list[int]) -> None:
    assert isinstance(it.wire, SocketWire)
    it.wire.server.sock.__dict__["portions"] = list(portions)


@pytest.mark.parametrize("first", range(20))
@pytest.mark.parametrize("second", [1, 2, 3])
async def test_a_frame_that_was_cut_is_completed_before_the_next(
    rig: Rig, first: int, second: int, autojump_clock: Any
) -> None:
    rig.wire = partial(SocketWire, kind=StingySocket)
    async with linked(rig) as it:
        stingy(it, [first, second, 0, second])
        for text in ("one", "two", "three"):  # 17 bytes in all
            it.link.push(text)
        it.link.flush()
        assert it.link.unsent_bytes == max(0, 17 - first)
        for said in (b"one", b"two", b"three"):
            assert await it.peer.frame() == (TEXT, said)
        assert it.link.unsent_bytes == 0


Deed = tuple[str, int]
DEEDS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["push", "audio"]), st.integers(0, 70_000)),
        st.tuples(st.just("push"), st.integers(0, 200)),
        st.tuples(st.just("read"), st.integers(1, 20_000)),
        st.tuples(st.sampled_from(["ask", "ping", "turn", "flush"]), st.just(0)),
    ),
    max_size=40,
)


@given(deeds=DEEDS, portions=st.lists(st.integers(0, 3_000), max_size=30), end=st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_is_pushed_and_however_it_is_read_arrives_whole_and_in_order(
    deeds: list[Deed], portions: list[int], end: bool
) -> None:
    trio.run(push_and_read, deeds, portions, end, clock=MockClock(autojump_threshold=0))


async def push_and_read(deeds: list[Deed], portions: list[int], end: bool) -> None:
    wire = partial(SocketWire, kind=StingySocket, buffer_bytes=4_608)
    limits = Limits(audio_backlog_bytes=100_000)
    async with trio.open_nursery() as nursery:
        rig = Rig(nursery, Facts(), wire=wire, limits=limits)
        async with linked(rig) as it:
            stingy(it, portions)
            nursery.start_soon(it.until_failed)
            wanted = [one for deed in deeds if (one := await do(it, *deed)) is not None]
            if end:
                await it.close(APP_STOPPED)
                wanted.append((CLOSE, b"\x03\xe8App stopped"))
            for number, one in enumerate(wanted):
                assert await it.peer.frame() == one, number
            await trio.testing.wait_all_tasks_blocked()
            assert it.link.unsent_bytes == 0
            assert not it.peer.buffer
            await it.peer.stream.aclose()
        rig.discard()


async def do(it: Linked, what: str, size: int) -> tuple[int, bytes] | None:
    """Do one deed; the frame that the peer shall read because of it."""
    payload = b"x" * size
    if what == "push":
        return (BINARY, payload) if it.link.push(payload) else None
    if what == "audio":
        return (BINARY, payload) if it.link.push_audio(Sound(payload)) else None
    if what == "ping":
        it.link.ping()
        return PING, b""
    if what == "ask":
        await it.peer.send(frame(PING, b"?"))
        await trio.testing.wait_all_tasks_blocked()
        return PONG, b"?"
    if what == "flush":
        it.link.flush()
    elif what == "read":
        assert isinstance(it.wire, SocketWire)
        it.peer.buffer += it.wire.client.receive_nowait(size) or b""
    else:
        await trio.lowlevel.checkpoint()
    return None


# -- peers that do not read ---------------------------------------------------------------------


async def test_a_link_given_back_while_its_peer_does_not_read(
    rig: Rig, autojump_clock: Any
) -> None:
    async with linked(rig) as it:
        it.stall()
        it.link.push("last words")
        await trio.testing.wait_all_tasks_blocked()
        await it.close(APP_STOPPED)
        await trio.sleep(4)
        assert await it.peer.unfilled() == (TEXT, b"last words")
        assert await it.peer.close_code() == (1000, "App stopped")
        await it.peer.send(close_frame(1000))
        assert await it.peer.rest() == b""
        assert trio.current_time() == pytest.approx(4)


@pytest.mark.parametrize("ports", [1, 2])
async def test_a_blocked_link_costs_nothing_while_its_peer_does_not_read(
    rig: Rig, nursery: trio.Nursery, ports: int, autojump_clock: Any
) -> None:
    one, other = (rig.port() for _ in range(2))
    async with linked(rig, one) as it, linked(rig, one if ports == 1 else other) as glasses:
        it.stall()

        def pass_on(message: str | bytes) -> None:
            it.link.push("x")

        nursery.start_soon(use, glasses, pass_on)
        await trio.testing.wait_all_tasks_blocked()
        sends(it)
        for _ in range(10):
            await glasses.peer.send(frame(TEXT, b"x"))
            await trio.testing.wait_all_tasks_blocked()
        assert sends(it) == [], "the connection's task waits until there is room"
        for _ in range(10):
            assert await it.peer.unfilled() == (TEXT, b"x")
        nursery.cancel_scope.cancel()


async def test_more_than_a_peer_takes_at_once_is_sent_as_it_reads(
    rig: Rig, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    port = rig.port()
    async with linked(rig, port) as it, linked(rig, port) as glasses:

        def pass_on(message: str | bytes) -> None:
            it.link.push("x" * 2_000_000)

        nursery.start_soon(use, glasses, pass_on)
        await glasses.peer.send(frame(TEXT, b"go"))
        await trio.testing.wait_all_tasks_blocked()
        assert it.link.unsent_bytes > 0
        assert await it.peer.frame() == (TEXT, b"x" * 2_000_000)
        nursery.cancel_scope.cancel()


async def test_the_frame_that_was_begun_is_completed_for_a_slow_consumer(
    rig: Rig, autojump_clock: Any
) -> None:
    rig.wire = partial(SocketWire, buffer_bytes=4_608)
    rig.limits = Limits(outbox_bytes=150_000)
    async with linked(rig) as it:
        it.link.push(bytes(100_000))
        await trio.testing.wait_all_tasks_blocked()
        while it.link.push("x" * 1_000):
            pass
        assert 0 < it.link.unsent_bytes < 100_000
        await it.close(SLOW_CONSUMER)
        assert await it.peer.frame() == (BINARY, bytes(100_000))
        assert await it.peer.frame() == (CLOSE, b"\x03\xf5Slow consumer")


async def test_an_echo_of_big_messages_before_the_link_is_lent(
    rig: Rig, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    """Each end waits for the other to read; so the server reads while it cannot send."""

    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept() as link:
            for _ in range(12):
                assert link.push(await link.receive())
            await link.close(APP_STOPPED)

    rig.websockets = serve
    peer = rig.connect()
    await peer.open()
    sizes = [300_000, 7, 250_000] * 4
    nursery.start_soon(peer.send, b"".join(frame(BINARY, b"x" * size) for size in sizes))
    await trio.testing.wait_all_tasks_blocked()
    for size in sizes:
        assert await peer.frame() == (BINARY, b"x" * size)
    assert await peer.close_code() == (1000, "App stopped")


async def test_one_that_waits_to_be_lent_is_heard_although_it_does_not_read(
    rig: Rig, autojump_clock: Any
) -> None:
    gone: list[CloseReason] = []

    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept() as link:
            for _ in range(100):
                link.push("x" * 10_000)
            gone.append(await link.until_gone())
            await link.close(gone[0])

    rig.websockets = serve
    peer = rig.connect()
    await peer.open()
    await peer.send(frame(PING, b"p"))
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(100):
        assert await peer.frame() == (TEXT, b"x" * 10_000)
    assert await peer.frame() == (PONG, b"p")
    await peer.send(close_frame(4_000, "enough"))
    assert await peer.close_code() == (4_000, "enough")
    assert gone == [CloseReason(4_000, "enough")]


async def test_one_that_waits_to_be_lent_does_not_fill_the_memory(
    rig: Rig, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    rig.limits = Limits(message_bytes=100_000)

    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept() as link:
            with trio.move_on_after(30):
                await link.until_gone()
            for _ in range(20):
                assert await link.receive() == b"x" * 99_000
            await link.close(APP_STOPPED)

    sent: list[int] = []

    async def flood() -> None:
        for number in range(20):
            await peer.send(frame(BINARY, b"x" * 99_000))
            sent.append(number)

    rig.websockets = serve
    peer = rig.connect()
    await peer.open()
    nursery.start_soon(flood)
    await trio.sleep(20)
    assert len(sent) <= 6, "two are kept here, others wait in the kernel"
    assert await peer.close_code() == (1000, "App stopped")


async def test_a_slow_consumer_is_told_before_all_that_it_has_not_read(
    rig: Rig, autojump_clock: Any
) -> None:
    rig.limits = Limits(outbox_bytes=50_000)
    async with linked(rig) as it:
        it.stall()
        while it.link.push("x" * 1_000):
            assert it.link.unsent_bytes <= 50_000
        assert it.link.unsent_bytes < 1_010, "at most the frame that was begun is kept"
        assert await it.until_failed() == SLOW_CONSUMER
        await it.close(SLOW_CONSUMER)
        await trio.sleep(4.9)
        assert await it.peer.unfilled() == (CLOSE, b"\x03\xf5Slow consumer")
        await it.peer.send(close_frame(1013))
        assert await it.peer.rest() == b""
        assert trio.current_time() == pytest.approx(4.9)


async def test_what_the_kernel_takes_at_once_is_not_counted_against_a_peer(
    rig: Rig, autojump_clock: Any
) -> None:
    """Much may be pushed in one turn to a peer who reads: it is sent when the outbox is full."""
    rig.limits = Limits(outbox_bytes=20_000, outbox_frames=10)
    async with linked(rig) as it:
        for n in range(100):
            assert it.link.push(f"{n:01000}")
        for n in range(100):
            assert await it.peer.frame() == (TEXT, f"{n:01000}".encode())


async def test_last_words_are_heard_although_nothing_can_be_sent_any_more(
    rig: Rig, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    heard: list[str | bytes] = []
    reasons: list[CloseReason | None] = []
    async with linked(rig) as it:

        async def hear() -> None:
            reasons.append(await it.link.listen(heard.append, trio.current_time() + 60))

        nursery.start_soon(hear)
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(it.wire, SocketWire)
        it.wire.client.sock.send(frame(TEXT, b"last words") + close_frame(1000, "bye"))
        it.wire.client.close()
        it.link.push("to nobody")
        it.link.flush()  # in the same turn: the socket is broken before anybody could read
        assert not it.link.push("x")
        await trio.testing.wait_all_tasks_blocked()
        assert heard == ["last words"]
        assert reasons == [CloseReason(1000, "bye")]
