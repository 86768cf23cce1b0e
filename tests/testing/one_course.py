"""The course of one eventful world, as a digest; ``python one_course.py SEED`` prints it.

What is digested: every step of every task with its virtual time, and every fact.
"""

from __future__ import annotations

import hashlib
import sys
from typing import Any, Final

import attrs
import trio
from echo_app import echo
from trio.testing import MockClock

from mentra_trio.testing.faults import (
    Bandwidth,
    Clog,
    Cut,
    Down,
    DuplicateConnect,
    FaultPlan,
    Latency,
    Refuse,
    Reorder,
    Skew,
    SlowClose,
    SlowReader,
    Stall,
    Webhook,
)
from mentra_trio.testing.world import World, open_world

PACKAGES: Final = ("com.t.a", "com.t.b", "com.t.c")
USERS: Final = tuple(f"u-{number}@x.org" for number in range(4))
PLAN: Final = FaultPlan(
    (
        Latency(at=2, lasts=40, seconds=0.1, jitter=0.3),
        Reorder(where="server -> *", lasts=20),
        Stall(where="com.t.a -> server", at=5, lasts=30, heals=False),
        DuplicateConnect(where="phone of *", lasts=8),
        Webhook(where="com.t.c", answer="early", delay=2, lasts=30),
        Down(where="com.t.b", at=12, lasts=20),
        Clog(at=20, lasts=10),
        Cut(where="phone of *", at=35),
        Skew(at=3, jump=-100, rate=1.5, lasts=40),
        Down(at=45, lasts=5),
        Bandwidth(where="phone of u-1*", at=60, lasts=10),
        SlowReader(where="server", at=60, lasts=5),
        SlowClose(at=60, lasts=5),
        Refuse(at=70, lasts=2),
    ),
    seed=3,
)


@attrs.define(eq=False)
class Steps(trio.abc.Instrument):
    """Digests the steps of a run."""

    digest: Any = attrs.field(factory=hashlib.sha256)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.digest.update(f"{trio.current_time()!r} {task.name}\n".encode())


def course(seed: int) -> str:
    """The digest of one run."""
    return trio.run(_named_run, seed, clock=MockClock(autojump_threshold=0))


async def _named_run(seed: int) -> str:
    trio.lowlevel.current_task().name = "main"  # whether this is a script or a module
    steps = Steps()
    async with open_world(seed=seed) as world:
        trio.lowlevel.add_instrument(steps)
        await _live(world)
        trio.lowlevel.remove_instrument(steps)
        for fact in world.telemetry.facts:
            steps.digest.update(repr(fact).encode())
    return str(steps.digest.hexdigest())


async def _live(world: World) -> None:
    for package in PACKAGES:
        await world.add(echo(package))
    phones = [await world.wear(user) for user in USERS]
    for phone in phones:
        await phone.attached()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.play, PLAN)
        for user in USERS:
            for package in PACKAGES:
                nursery.start_soon(world.server.start_app, user, package)
    await trio.sleep(20)


if __name__ == "__main__":
    sys.stdout.write(course(int(sys.argv[1])))
