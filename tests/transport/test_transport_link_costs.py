"""What one frame costs: nothing of the event loop, however many come."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from mentra_trio.concurrency.offers import Offers
from mentra_trio.domain.close_reasons import SUPERSEDED, CloseReason
from mentra_trio.sessions.link_service import use_link
from mentra_trio.sessions.pulse import Pulse
from mentra_trio.wire.frames import Sound, encode_message

from .carriers import SocketWire, Wire
from .linked_peer import Linked, linked
from .raw_peer import TEXT, Rig, frame


@pytest.fixture
def wire() -> Callable[[], Wire]:
    return SocketWire


@attrs.define(eq=False)
class Costs(trio.abc.Instrument):
    """Steps of tasks, new tasks, and calls of Trio's functions by name."""

    steps: int = 0
    tasks: int = 0
    calls: Counter[str] = attrs.field(factory=Counter)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps += 1

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.tasks += 1

    def called(self, code: FrameType, event: str, arg: object) -> None:
        if event == "call" and "/trio/" in code.f_code.co_filename:
            self.calls[code.f_code.co_qualname] += 1


@contextmanager
def counted() -> Iterator[Costs]:
    costs, before = Costs(), sys.getprofile()
    trio.lowlevel.add_instrument(costs)
    sys.setprofile(costs.called)
    try:
        yield costs
    finally:
        sys.setprofile(before)
        trio.lowlevel.remove_instrument(costs)


async def use(it: Linked, handle: Callable[[str | bytes], None]) -> None:
    offers: Offers[object, CloseReason] = Offers(SUPERSEDED)
    await use_link(
        it.link,
        handle=handle,
        interval=10,
        silence=20,
        silent=SUPERSEDED,
        offers=offers,
        pulse=Pulse(),
    )


async def test_many_frames_cost_the_event_loop_no_more_than_one(
    rig: Rig, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    port = rig.port()
    async with linked(rig, port) as glasses, linked(rig, port) as one, linked(rig, port) as two:

        def fan_out(message: str | bytes) -> None:
            for app in (one, two):
                app.link.push_encoded(encode_message(f"it said {message!s}"))
                app.link.push_audio(Sound(b"sound"))

        nursery.start_soon(use, glasses, fan_out)
        for app in (one, two):
            nursery.start_soon(use, app, lambda message: None)
        costs: list[Costs] = []
        for messages in (1, 200):
            await trio.testing.wait_all_tasks_blocked()
            with counted() as cost:
                await glasses.peer.send(frame(TEXT, b"x") * messages)
                await trio.testing.wait_all_tasks_blocked()
            costs.append(cost)
        few, many = costs
        assert one.link.counts.sent == two.link.counts.sent == 402
        assert many.tasks == few.tasks == 0
        assert many.steps == few.steps
        assert many.calls == few.calls
        assert not [name for name in many.calls if name.startswith("CancelScope.__enter__")]
        nursery.cancel_scope.cancel()
