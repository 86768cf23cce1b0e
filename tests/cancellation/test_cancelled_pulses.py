"""The pulse: whoever takes it over pings everybody, and nobody twice."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs
import trio
from every_moment import cancel_at_every_moment, cancels
from trio.testing import MockClock

from mentra_trio.sessions.link_service import Liveness
from mentra_trio.sessions.pulse import PINGS_AT_ONCE, Pulse
from mentra_trio.testing.links import MemoryLink

INTERVAL_S = 10
LINKS = 3 * PINGS_AT_ONCE


@attrs.define(eq=False)
class Ward:
    """A pulse, and links that are pinged; more than in one turn."""

    began: float = attrs.field(factory=trio.current_time)
    pulse: Pulse = attrs.field(factory=Pulse)
    links: list[MemoryLink] = attrs.field(factory=lambda: [MemoryLink() for _ in range(LINKS)])


@asynccontextmanager
async def a_ward() -> AsyncGenerator[Ward]:
    ward = Ward()
    for link in ward.links:
        ward.pulse.begin(Liveness(link=link, interval=INTERVAL_S, silence=100, doubt=None))
    yield ward
    for link in ward.links:
        link.cut()


async def three_rounds(ward: Ward) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ward.pulse.run)
        await trio.sleep(3 * INTERVAL_S + 1)
        nursery.cancel_scope.cancel()


async def the_next_goes_on(ward: Ward) -> None:
    with trio.move_on_at(ward.began + 4 * INTERVAL_S + 1):
        await ward.pulse.run()
    assert [link.pings for link in ward.links] == [4] * LINKS


@cancels(Pulse.run)
async def test_a_pulse_that_is_cancelled(autojump_clock: MockClock) -> None:
    assert await cancel_at_every_moment(a_ward, three_rounds, the_next_goes_on) > 12
