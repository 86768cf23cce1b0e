"""The heartbeat: exact about silence, sparing with pings."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from mentra_trio.concurrency.offers import Offers
from mentra_trio.domain.close_reasons import SUPERSEDED, CloseReason
from mentra_trio.sessions.link_service import use_link
from mentra_trio.sessions.pulse import Pulse
from mentra_trio.testing.links import MemoryLink

DEAD = CloseReason(1011, "silent")


async def beat(link: MemoryLink, interval: float, silence: float) -> CloseReason:
    offers: Offers[object, CloseReason] = Offers(SUPERSEDED)
    pulse = Pulse()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pulse.run)
        reason = await use_link(
            link,
            handle=lambda frame: None,
            interval=interval,
            silence=silence,
            silent=DEAD,
            offers=offers,
            pulse=pulse,
        )
        nursery.cancel_scope.cancel()
    return reason


@pytest.mark.parametrize(("interval", "silence"), [(10, 20), (7, 20), (10, 3), (1, 0.5)])
async def test_the_verdict_falls_exactly_after_the_silence(
    interval: float, silence: float, autojump_clock: MockClock
) -> None:
    link = MemoryLink(answers_pings=False)
    assert await beat(link, interval, silence) == DEAD
    assert trio.current_time() == pytest.approx(silence)
    link.cut()


async def test_every_sign_of_life_pushes_it_forward(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    link = MemoryLink(answers_pings=False)
    verdicts: list[float] = []

    async def run() -> None:
        await beat(link, 10, 20)
        verdicts.append(trio.current_time())

    nursery.start_soon(run)
    for _ in range(3):
        await trio.sleep(19)
        link.say("x")
    await trio.sleep(30)
    assert verdicts == [pytest.approx(57 + 20)]
    link.cut()


async def test_pings_are_sent_at_the_interval(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    link = MemoryLink()
    nursery.start_soon(beat, link, 10, 20)
    await trio.sleep(100.5)
    assert link.pings == 10
    link.cut()
    nursery.cancel_scope.cancel()
