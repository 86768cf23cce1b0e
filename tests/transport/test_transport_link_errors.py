"""A link, and what goes wrong around it: full outboxes, crashes, cancellation, broken ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
import trio.testing

from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    CRASHED,
    LINK_LOST,
    SLOW_CONSUMER,
    CloseReason,
)
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.wire.frames import Sound

from .carriers import WIRES, Wire
from .linked_peer import Linked, linked
from .raw_peer import TEXT, Facts, Rig, close_frame, frame


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Callable[[], Wire]:
    made: Callable[[], Wire] = WIRES[request.param]
    return made


async def stays_up(it: Linked) -> bool:
    with trio.move_on_after(10) as waiting:
        await it.until_failed()
    return waiting.cancelled_caught


# -- an outbox that is full to the brim ---------------------------------------------------


@pytest.mark.parametrize("full_of", ["frames", "bytes"])
async def test_neither_a_sound_nor_a_ping_fails_a_link_that_is_full(
    rig: Rig, full_of: str, autojump_clock: Any
) -> None:
    few = Limits(outbox_frames=10)
    rig.limits = few if full_of == "frames" else Limits(outbox_bytes=1_000)
    async with linked(rig) as it:
        it.stall()
        if full_of == "frames":
            for _ in range(10 - bool(it.link.unsent_bytes)):
                assert it.link.push("x")
        else:
            assert it.link.push("x" * (1_000 - 4 - it.link.unsent_bytes))
        assert not it.link.push_audio(Sound(b"never heard"))
        it.link.ping()
        assert await stays_up(it)
        assert not it.link.push("x")
        assert await it.until_failed() == SLOW_CONSUMER


async def test_a_sound_larger_than_any_outbox(rig: Rig, autojump_clock: Any) -> None:
    rig.limits = Limits(outbox_bytes=1_000)
    async with linked(rig) as it:
        assert not it.link.push_audio(Sound(bytes(2_000)))
        assert await stays_up(it)
        assert not it.link.push(bytes(2_000))
        assert await it.until_failed() == SLOW_CONSUMER


# -- connections that are cancelled -------------------------------------------------------


async def wait_in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        await trio.sleep_forever()


@pytest.mark.parametrize("wait", [trio.sleep_forever, wait_in_a_nursery])
async def test_a_connection_cancelled_with_its_tasks_ends_at_once(
    rig: Rig, wait: Callable[[], Any], autojump_clock: Any
) -> None:
    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept():
            await wait()

    async with trio.open_nursery() as connections:
        of_its_own = Rig(connections, rig.facts, websockets=serve, wire=rig.wire, wires=rig.wires)
        peer = of_its_own.connect()
        await peer.open()
        connections.cancel_scope.cancel()
        assert await peer.rest() == b"", "and not 1011: nothing crashed"
    assert trio.current_time() == 0


async def test_a_crash_among_cancelled_tasks_is_a_crash(
    rig: Rig, facts: Facts, autojump_clock: Any
) -> None:
    async def serve(upgrade: Upgrade) -> None:
        async with upgrade.accept(), trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise ValueError("a bug")

    rig.websockets = serve
    peer = rig.connect()
    await peer.open()
    assert await peer.close_code() == (CRASHED.code, CRASHED.text)
    await peer.send(close_frame(1011))
    assert await peer.rest() == b""
    await trio.testing.wait_all_tasks_blocked()
    assert len(facts.crashes) == 1
    facts.all.clear()


async def test_who_listens_learns_that_the_connection_is_cancelled(
    rig: Rig, autojump_clock: Any
) -> None:
    reasons: list[CloseReason | None] = []

    async with trio.open_nursery() as sessions, trio.open_nursery() as connections:
        of_its_own = Rig(connections, rig.facts, wire=rig.wire, wires=rig.wires)
        async with linked(of_its_own) as it:

            async def use() -> None:
                reasons.append(await it.until_failed())
                assert not it.link.push("too late")
                reasons.append(await it.until_failed())

            sessions.start_soon(use)
            await trio.testing.wait_all_tasks_blocked()
            connections.cancel_scope.cancel()
            await trio.sleep(1)
    assert reasons == [LINK_LOST, LINK_LOST]


# -- the end of the link while a session is in it -------------------------------------------


async def test_close_has_who_listens_leave_first(
    rig: Rig, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    reasons: list[CloseReason | None] = []
    async with linked(rig) as it:

        async def use() -> None:
            reasons.append(await it.until_failed())
            reasons.append(await it.until_failed())

        nursery.start_soon(use)
        await trio.testing.wait_all_tasks_blocked()
        await it.close(APP_STOPPED)
        assert await it.peer.close_code() == (1000, "App stopped")
        await it.peer.send(close_frame(1000))
        assert await it.peer.rest() == b""
        with trio.fail_after(1):
            await it.ended.wait()
        assert reasons == [APP_STOPPED, APP_STOPPED]


async def test_a_handler_that_raises_leaves_nothing_unsent(rig: Rig, autojump_clock: Any) -> None:
    port = rig.port()
    async with linked(rig, port) as it, linked(rig, port) as other:

        def handle(message: str | bytes) -> None:
            it.link.push(f"{message!s} to its own")
            other.link.push(f"{message!s} to another")
            if message == "two":
                raise ValueError("a bug")

        await it.peer.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(TEXT, b"three"))
        with pytest.raises(ValueError, match="a bug"):
            await it.link.listen(handle, trio.current_time() + 60)
        await it.close(CRASHED)
        for what in (b"one", b"two"):
            assert await it.peer.frame() == (TEXT, what + b" to its own")
            assert await other.peer.frame() == (TEXT, what + b" to another")
        assert await it.peer.close_code() == (CRASHED.code, CRASHED.text)
        assert other.link.push("goes on")
        assert await other.peer.frame() == (TEXT, b"goes on")


async def test_pushing_to_links_that_are_over(rig: Rig, autojump_clock: Any) -> None:
    rig.limits = Limits(outbox_frames=20)
    port = rig.port()
    async with linked(rig, port) as it, linked(rig, port) as closing:
        closing.stall()
        await closing.close(APP_STOPPED)
        await trio.testing.wait_all_tasks_blocked()
        it.stall()
        taken: list[bool] = []

        def handle(message: str | bytes) -> None:
            taken.append(it.link.push("x"))
            assert not closing.link.push("too late")

        await it.peer.send(frame(TEXT, b"x") * 50)
        assert await it.link.listen(handle, trio.current_time() + 60) == SLOW_CONSUMER
        assert taken in ([True] * 20 + [False] * 30, [True] * 19 + [False] * 31)
