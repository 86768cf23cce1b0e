"""A peer is silent only when nothing of it waits to be read, however late we come to see it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from mentra_trio.concurrency.offers import Offers
from mentra_trio.domain.close_reasons import APP_STOPPED, LINK_LOST, SUPERSEDED, CloseReason
from mentra_trio.sessions.link_service import use_link
from mentra_trio.sessions.pulse import Pulse

from .carriers import PumpedWire, SocketWire, Wire
from .linked_peer import Linked, linked
from .raw_peer import PONG, TEXT, Rig, close_frame, frame

DEAD: Final = CloseReason(1011, "silent")
BYE: Final = CloseReason(4_321, "bye")
SILENCE_S: Final = 20


@pytest.fixture(params=[SocketWire, PumpedWire], ids=["trio", "pump"])
def wire(request: pytest.FixtureRequest) -> Callable[[], Wire]:
    kind: Callable[[], Wire] = request.param
    return kind


@attrs.define(eq=False)
class Use:
    """A link in use, and a loop that stands still now and then."""

    it: Linked
    clock: MockClock
    heard: list[str | bytes] = attrs.field(factory=list)
    outcome: tuple[CloseReason, float] | None = None
    offers: Offers[object, CloseReason] = attrs.field(factory=lambda: Offers(SUPERSEDED))

    @property
    def theirs(self) -> socket.socket:
        wire = self.it.wire
        assert isinstance(wire, SocketWire)
        return wire.client.sock

    async def run(self) -> None:
        reason = await use_link(
            self.it.link,
            handle=self._handle,
            interval=3_600,
            silence=SILENCE_S,
            silent=DEAD,
            offers=self.offers,
            pulse=Pulse(),
        )
        self.outcome = reason, trio.current_time()

    def _handle(self, frame: str | bytes) -> CloseReason | None:
        self.heard.append(frame)
        return APP_STOPPED if frame == "stop" else None

    def stand_still(self, *, woken: bool) -> None:
        """Let more time pass than the peer may be silent, in one step of one task.

        With ``woken`` something has the session look at its link before Trio has looked at the
        socket: a newer link that was given up in the same turn, for instance.
        """
        self.clock.jump(SILENCE_S + 5)
        if woken:
            self.it.link.wake()


@asynccontextmanager
async def in_use(rig: Rig, nursery: trio.Nursery, clock: MockClock) -> AsyncIterator[Use]:
    async with linked(rig) as it:
        use = Use(it, clock)
        nursery.start_soon(use.run)
        await trio.testing.wait_all_tasks_blocked()
        yield use


def ended(reason: CloseReason, at: float) -> tuple[CloseReason, object]:
    return reason, pytest.approx(at)


@pytest.fixture(params=[False, True], ids=["late", "woken"])
def woken(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def test_what_came_while_the_loop_stood_still_is_a_sign_of_life(
    rig: Rig, nursery: trio.Nursery, woken: bool, autojump_clock: MockClock
) -> None:
    async with in_use(rig, nursery, autojump_clock) as use:
        use.theirs.send(frame(TEXT, b"one") + frame(TEXT, b"two"))
        use.stand_still(woken=woken)
        await trio.sleep(SILENCE_S - 0.1)
        assert use.outcome is None
        assert use.heard == ["one", "two"]
        await trio.sleep(5)
        assert use.outcome == ended(DEAD, 2 * SILENCE_S + 5)


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_a_pong_or_a_part_of_a_frame_is_one_too(
    rig: Rig, nursery: trio.Nursery, size: int, woken: bool, autojump_clock: MockClock
) -> None:
    async with in_use(rig, nursery, autojump_clock) as use:
        use.theirs.send(frame(PONG)[:size])
        use.stand_still(woken=woken)
        await trio.sleep(SILENCE_S - 0.1)
        assert use.outcome is None
        use.theirs.send(frame(PONG)[size:] + frame(TEXT, b"whole"))
        await trio.sleep(1)
        assert use.heard == ["whole"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("frames", [300, 3_000])
async def test_a_great_deal_that_waits_is_heard_whole_and_in_order(
    rig: Rig, nursery: trio.Nursery, frames: int, woken: bool, autojump_clock: MockClock
) -> None:
    async with in_use(rig, nursery, autojump_clock) as use:
        use.theirs.send(b"".join(frame(TEXT, b"%d" % number) for number in range(frames)))
        use.stand_still(woken=woken)
        await trio.sleep(SILENCE_S - 0.1)
        assert use.outcome is None
        assert use.heard == [f"{number}" for number in range(frames)]
        nursery.cancel_scope.cancel()


async def test_who_said_nothing_is_dead(
    rig: Rig, nursery: trio.Nursery, woken: bool, autojump_clock: MockClock
) -> None:
    async with in_use(rig, nursery, autojump_clock) as use:
        use.stand_still(woken=woken)
        await trio.sleep(1)
        assert use.outcome == ended(DEAD, SILENCE_S + 5)


@pytest.mark.parametrize(
    ("last_words", "then_gone", "reason"),
    [
        (close_frame(BYE.code, BYE.text), False, BYE),
        (close_frame(BYE.code, BYE.text), True, BYE),
        (b"", True, LINK_LOST),
        (frame(TEXT, b"stop"), False, APP_STOPPED),
        (frame(TEXT, b"stop") + close_frame(BYE.code), True, APP_STOPPED),
    ],
    ids=["close", "close and end", "end", "verdict", "verdict before the end"],
)
async def test_the_end_that_came_while_the_loop_stood_still_is_told_as_it_was(
    last_words: bytes,
    then_gone: bool,
    reason: CloseReason,
    rig: Rig,
    nursery: trio.Nursery,
    woken: bool,
    autojump_clock: MockClock,
) -> None:
    async with in_use(rig, nursery, autojump_clock) as use:
        use.theirs.send(last_words)
        if then_gone:
            use.theirs.shutdown(socket.SHUT_WR)
        use.stand_still(woken=woken)
        await trio.sleep(1)
        assert use.outcome == ended(reason, SILENCE_S + 5)


async def test_what_waits_is_no_reason_to_refuse_a_newer_link(
    rig: Rig, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    async with in_use(rig, nursery, autojump_clock) as use:
        use.theirs.send(frame(TEXT, b"one") + frame(TEXT, b"stop"))
        use.offers.offer("a newer link")
        use.stand_still(woken=False)
        await trio.sleep(1)
        assert use.outcome == ended(SUPERSEDED, SILENCE_S + 5)
        assert use.heard == ["one", "stop"]
        use.offers.refuse(APP_STOPPED)
