"""Plays a ``FaultPlan`` on a world: each fault begins and ends at its time."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Final, Protocol

import trio

from .faults import Clog, Down, Fault, FaultPlan, Skew, Stall, Webhook
from .network import MemoryNetwork
from .processes import Process
from .relay import Relaying
from .wall_clock import WallClock

LAST_ANSWER_S: Final = 60.0
"""So long after a ``Webhook`` fault, and its delay, are answers under way given time."""


class Stage(Protocol):
    """What a plan is played on."""

    network: MemoryNetwork
    wall: WallClock

    @property
    def processes(self) -> Iterable[Process]:
        """Everything that runs, or has run, on a host."""
        ...


async def play(stage: Stage, plan: FaultPlan) -> None:
    """Have every fault of ``plan`` begin and end at its time; returns after the last.

    A cancellation ends the faults that are on; what is down stays down.
    """
    async with trio.open_nursery() as nursery:
        for number, fault in enumerate(plan.faults, start=1):
            random = Random(f"{plan.seed}, fault {number}")
            nursery.start_soon(
                _play_one, stage, fault, random, name=f"fault {number}: {type(fault).__name__}"
            )


async def _play_one(stage: Stage, fault: Fault, random: Random) -> None:
    await trio.sleep(fault.at)
    match fault:
        case Clog():
            await _clog(stage.network, fault, random)
        case Down():
            await _take_down(stage, fault)
        case Skew():
            await _skew(stage.wall, fault)
        case Webhook():
            await _relay_webhooks(stage.network, fault, random)
        case _:
            async with stage.network.conditions.during(fault, random):
                await trio.sleep(fault.lasts)


async def _clog(network: MemoryNetwork, fault: Clog, random: Random) -> None:
    """Source: FoundationDB, "swizzle-clog"."""
    half = fault.lasts / 2
    async with trio.open_nursery() as stalls:
        for connection in [one for one in network.connections if one.is_open]:
            if fault.concerns(
                origin=connection.origin, host=connection.host, number=connection.number
            ):
                begins, ends = half * random.random(), half + half * random.random()
                stall = Stall(where=connection.number, at=begins, lasts=ends - begins)
                stalls.start_soon(_stall, network, stall, random)


async def _stall(network: MemoryNetwork, fault: Stall, random: Random) -> None:
    await trio.sleep(fault.at)
    async with network.conditions.during(fault, random):
        await trio.sleep(fault.lasts)


async def _take_down(stage: Stage, fault: Down) -> None:
    hit = [one for one in stage.processes if one.is_up and fault.concerns_host(one.host)]
    for process in hit:
        await process.kill(unseen=fault.unseen)
    await trio.sleep(fault.lasts)
    for process in hit:
        if not process.is_up:
            await process.start()


async def _skew(wall: WallClock, fault: Skew) -> None:
    wall.jump(fault.jump)
    rate = wall.rate
    wall.run_at(rate * fault.rate)
    try:
        await trio.sleep(fault.lasts)
    finally:
        wall.run_at(wall.rate / fault.rate)


async def _relay_webhooks(network: MemoryNetwork, fault: Webhook, random: Random) -> None:
    async with trio.open_nursery() as relays:
        relaying = Relaying(fault=fault, network=network, nursery=relays)
        async with network.conditions.during(fault, random, relaying.take) as active:
            relaying.over = active.over
            await trio.sleep(fault.lasts)
        relays.cancel_scope.deadline = trio.current_time() + fault.delay + LAST_ANSWER_S
