"""A machine over a toy, for tests of what machines can do: a counter that must stay below three."""

from __future__ import annotations

import enum

import attrs
import trio
from hypothesis import strategies as st

from mentra_trio.testing.machine import TrioMachine, invariant, rule


class Colour(enum.Enum):
    RED = "red"


@attrs.frozen
class Stroke:
    by: int
    colour: Colour = Colour.RED


class Counting(TrioMachine):
    async def world(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.count = 0
        async with trio.open_nursery() as self.nursery:
            task_status.started()
            await trio.sleep_forever()

    @rule(stroke=st.builds(Stroke, st.integers(0, 2)), seconds=st.sampled_from([0.5, 10]))
    def it_is_counted(self, stroke: Stroke, seconds: float) -> None:
        async def count() -> None:
            await trio.sleep(seconds)
            self.count += stroke.by

        self.act(lambda: self.nursery.start_soon(count))

    @rule()
    def twice(self) -> None:
        self.it_is_counted(Stroke(1), 0.5)
        self.it_is_counted(stroke=Stroke(1), seconds=0.5)

    @rule(seconds=st.sampled_from([1, 11]))
    def time_passes(self, seconds: float) -> None:
        self.advance(seconds)

    @invariant()
    def it_stays_small(self) -> None:
        assert self.count < 3
