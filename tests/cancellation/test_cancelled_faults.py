"""Faults on a whole world, phones and processes: given up at any moment, the world still works."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest
import trio
from every_moment import cancel_at_every_moment, cancels
from test_cancelled_whole_world import PACKAGE, an_app, use_it
from trio.testing import MockClock

from mentra_trio.testing import playing
from mentra_trio.testing.faults import (
    KINDS,
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
from mentra_trio.testing.processes import Phone, Process
from mentra_trio.testing.world import USER, World, open_world

PLAN: Final = FaultPlan(
    (
        *(Latency(lasts=2, jitter=0.1), Reorder(where="server -> *", lasts=2), Clog(at=1, lasts=2)),
        *(Skew(lasts=9, jump=-100, rate=1.5), Bandwidth(at=3, lasts=1), SlowReader(at=3, lasts=1)),
        *(Cut(where="phone of *", at=4), SlowClose(at=4, lasts=2), Refuse(at=5, lasts=1)),
        *(DuplicateConnect(at=6, lasts=2), Down(where=PACKAGE, at=7, lasts=2)),
        *(Webhook(answer="late", delay=0.5, at=7, lasts=4), Stall(at=12, lasts=2)),
        *(Down(at=15, lasts=1), Down(where="phone of *", at=15, lasts=1, unseen=True)),
    ),
    seed=1,
)


@asynccontextmanager
async def world() -> AsyncGenerator[World]:
    """A user who wears glasses and runs an app."""
    async with open_world() as world:
        await world.add(an_app(persistent=True))
        phone = await world.wear()
        await phone.attached()
        assert (await world.server.start_app(USER, PACKAGE)).success
        yield world


async def everybody_is_well(world: World) -> None:
    """What is down can be started, nothing is wrong any more, and what is used works."""
    await trio.sleep(30)  # who was told to stop does so, waited for or not
    for process in world.processes:
        if not process.is_up:
            await process.start()
    for phone in world.processes:
        if isinstance(phone, Phone):
            await phone.stop()
    assert world.network.conditions._active == []
    assert world.wall.rate == 1
    await world.server.stop_app(USER, PACKAGE)
    await trio.sleep(10)
    with trio.fail_after(60):
        await use_it(world)
    await trio.sleep(1)
    origins = {one.origin for one in world.network.connections if one.is_open}
    assert origins <= {PACKAGE}, "the app goes on for a while without glasses"


@cancels(World.play, playing.play)
async def test_a_plan_of_every_kind(autojump_clock: MockClock) -> None:
    assert {type(fault) for fault in PLAN.faults} == set(KINDS)

    async def call(world: World) -> None:
        await world.play(PLAN)

    assert await cancel_at_every_moment(world, call, everybody_is_well, every=37) > 300


async def start_again(world: World, which: int) -> None:
    process = world.processes[which]
    await process.kill()
    await process.start()


async def stop_and_start(world: World, which: int) -> None:
    process = world.processes[which]
    await process.stop()
    await process.start()


async def until_attached(world: World) -> None:
    phone = world.processes[-1]
    assert isinstance(phone, Phone)
    world.network.cut_host(phone.host)
    await trio.sleep(0.5)
    await phone.attached()


async def wear_another(world: World) -> None:
    await (await world.wear("u-2@x.org")).attached()


DOES: Final[dict[str, Callable[[World], Awaitable[None]]]] = {
    "server starts again": lambda world: start_again(world, 0),
    "app starts again": lambda world: start_again(world, 1),
    "phone starts again": lambda world: start_again(world, 2),
    "server is stopped": lambda world: stop_and_start(world, 0),
    "app is stopped": lambda world: stop_and_start(world, 1),
    "phone is stopped": lambda world: stop_and_start(world, 2),
}


@pytest.mark.parametrize("name", DOES)
@cancels(Process.start)
async def test_a_process_that_starts_or_ends(name: str, autojump_clock: MockClock) -> None:
    every = 1 if name in {"server starts again", "app is stopped"} else 3
    assert await cancel_at_every_moment(world, DOES[name], everybody_is_well, every=every) > 0


@pytest.mark.parametrize("call", [wear_another, until_attached], ids=lambda call: call.__name__)
@cancels(Phone.attached)
async def test_a_phone_that_is_waited_for(
    call: Callable[[World], Awaitable[None]], autojump_clock: MockClock
) -> None:
    assert await cancel_at_every_moment(world, call, everybody_is_well, every=13) > 0


@cancels(World.wear)
async def test_glasses_that_are_put_on(autojump_clock: MockClock) -> None:
    async def call(world: World) -> None:
        await world.wear("u-2@x.org")

    assert await cancel_at_every_moment(world, call, everybody_is_well) > 0
