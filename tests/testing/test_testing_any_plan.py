"""Whatever plan is played: no crash, nothing is left, and afterwards the world still works."""

from __future__ import annotations

from functools import partial

import trio
from echo_app import echo
from hypothesis import given, settings

from mentra_trio.testing.checks import assert_balanced, run_virtual
from mentra_trio.testing.faults import FaultPlan
from mentra_trio.testing.ledger import keep_ledger
from mentra_trio.testing.strategies import fault_plans
from mentra_trio.testing.world import open_world

PACKAGES = ("com.t.a", "com.t.b")
USERS = ("u-1@x.org", "u-2@x.org")
HOSTS = ("server", "phone of *", "com.t.*", "com.t.a")
NEWCOMER = "new@x.org"


@settings(max_examples=25, deadline=None)
@given(fault_plans(hosts=HOSTS, within=60))
def test_any_plan(plan: FaultPlan) -> None:
    ledger = keep_ledger()
    run_virtual(partial(live_through, plan))
    assert_balanced(ledger)


async def live_through(plan: FaultPlan) -> None:
    with trio.fail_after(2_000):
        async with open_world(seed=plan.seed) as world:
            for package in PACKAGES:
                await world.add(echo(package))
            phones = [await world.wear(user) for user in USERS]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.play, plan)
                for phone in phones:
                    await phone.attached()
                    for package in PACKAGES:
                        nursery.start_soon(world.server.start_app, phone.user, package)
            await trio.sleep(200)
            glasses = await (await world.wear(NEWCOMER)).attached()
            result = await world.server.start_app(NEWCOMER, PACKAGES[0])
            assert result.success, result
            await glasses.until_shown("ready")
            await glasses.say("all is well")
            await glasses.until_shown("all is well")
