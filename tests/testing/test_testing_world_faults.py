"""Each kind of fault, played on a whole world: real handshakes, frames and HTTP."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from echo_app import APP, echo

from mentra_trio.clients.app import AppServer
from mentra_trio.clients.glasses import Glasses
from mentra_trio.domain.attachment import UserState
from mentra_trio.domain.facts import AppStateChanged, UserStateChanged, WebhookCalled
from mentra_trio.domain.starting import StartStage
from mentra_trio.testing.faults import (
    Bandwidth,
    Clog,
    Cut,
    DuplicateConnect,
    Fault,
    FaultPlan,
    Latency,
    Refuse,
    Reorder,
    SlowClose,
    SlowReader,
    Stall,
    Webhook,
)
from mentra_trio.testing.processes import AppProcess, Phone
from mentra_trio.testing.world import USER, World

PHONE = "phone of *"
APP_LINK = f"{APP} -> server"
CALLS = f"server -> {APP}"


@asynccontextmanager
async def played(world: World, *faults: Fault, seed: int = 1) -> AsyncGenerator[None]:
    """A plan that is played while the block runs; the faults have begun, and all end after it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.play, FaultPlan(faults, seed=seed))
        await trio.testing.wait_all_tasks_blocked()
        yield


async def running(world: World) -> tuple[AppProcess[AppServer], Phone, Glasses]:
    """A user who wears glasses and runs the app."""
    process = await world.add(echo())
    phone = await world.wear()
    glasses = await phone.attached()
    assert (await world.server.start_app(USER, APP)).success
    await glasses.until_shown("ready")
    return process, phone, glasses


async def echoed(glasses: Glasses, text: str) -> float:
    """How long it takes until what is said is shown."""
    began = trio.current_time()
    await glasses.say(text)
    await glasses.until_shown(text)
    return trio.current_time() - began


async def states(world: World, seconds: float) -> dict[str, float]:
    """When, from now on, the app comes into each state; the first time counts."""
    began, seen = trio.current_time(), dict[str, float]()
    while trio.current_time() < began + seconds:
        seen.setdefault(str(world.state(APP)), round(trio.current_time() - began, 1))
        await trio.sleep(0.1)
    return seen


async def test_latency(world: World) -> None:
    _, _, glasses = await running(world)
    async with played(world, Latency(seconds=1, lasts=30)):
        assert 4 <= await echoed(glasses, "four ways") < 5
        assert world.state(APP) == "running"
    assert await echoed(glasses, "near again") < 1


async def test_reordering_between_connections(world: World) -> None:
    log: list[tuple[str, float]] = []
    packages = [f"com.t.{letter}" for letter in "abcde"]
    for package in packages:
        await world.add(echo(package, log=log), kind="background")
    reorder = Reorder(where="server -> *", seconds=3, lasts=20)
    async with world.glasses(), played(world, reorder), trio.open_nursery() as starts:
        for package in packages:
            starts.start_soon(world.server.start_app, USER, package)
    begun = [package for package, _ in log]
    assert sorted(begun) == packages
    assert begun != packages


async def test_bandwidth(world: World) -> None:
    _, _, glasses = await running(world)
    async with played(world, Bandwidth(where=PHONE, bytes_per_s=100, lasts=120)):
        assert 5 < await echoed(glasses, "x" * 500) < 30
        assert world.server.users()[0].connected


async def test_a_slow_reader_delays_nobody_else(world: World) -> None:
    await running(world)
    other = await (await world.wear("u-2@x.org")).attached()
    assert (await world.server.start_app("u-2@x.org", APP)).success
    await other.until_shown("ready")
    slow = f"phone of {USER}"
    async with played(world, SlowReader(where=slow, bytes_per_s=50, window=100, lasts=20)):
        phone = world.processes[-2]
        assert isinstance(phone, Phone)
        glasses = await phone.attached()
        async with trio.open_nursery() as both:
            took: dict[str, float] = {}

            async def say(who: str, whose: Glasses) -> None:
                took[who] = await echoed(whose, "x" * 400)

            both.start_soon(say, "slow", glasses)
            both.start_soon(say, "other", other)
        assert took["slow"] > 8
        assert took["other"] < 1


async def test_a_stalled_app_link_is_noticed_within_25_s(world: World) -> None:
    _, _, glasses = await running(world)
    async with played(world, Stall(where=APP_LINK, heals=False, lasts=30)):
        seen = await states(world, 29)
        assert seen["running"] == 0
        assert seen["grace_period"] <= 25
    await trio.sleep(30)
    assert world.state(APP) == "running"
    assert await echoed(glasses, "here again") < 1


async def test_a_short_stall_is_not_noticed(world: World) -> None:
    _, _, glasses = await running(world)
    async with played(world, Stall(where=APP_LINK, lasts=8)):
        await glasses.say("kept")
        assert set(await states(world, 7)) == {"running"}
    await glasses.until_shown("kept")
    assert len(world.telemetry.of(WebhookCalled)) == 1


async def test_links_clog_one_by_one_and_come_back_in_another_order(world: World) -> None:
    await world.add(echo())
    users = [f"u-{number}@x.org" for number in range(6)]
    phones = [await world.wear(user) for user in users]
    for phone in phones:
        await phone.attached()
    stalled, released = list[int](), list[int]()
    links = [one for one in world.network.connections if one.is_open]
    async with played(world, Clog(where=PHONE, lasts=10)):
        for _ in range(110):
            for link in links:
                if link.client.is_stalled and link.number not in stalled:
                    stalled.append(link.number)
                elif not link.client.is_stalled and link.number in set(stalled) - set(released):
                    released.append(link.number)
            await trio.sleep(0.1)
    assert len(stalled) == len(released) == len(links) == 6
    assert stalled != [link.number for link in links]
    assert released != stalled
    assert all(user.connected for user in world.server.users())


async def test_a_cut_app_comes_back_without_a_webhook(world: World) -> None:
    _, _, glasses = await running(world)
    async with played(world, Cut(where=APP_LINK)):
        pass
    seen = await states(world, 3)
    assert seen["grace_period"] == 0
    assert seen["running"] == pytest.approx(1, abs=0.2)
    assert len(world.telemetry.of(WebhookCalled)) == 1
    assert await echoed(glasses, "same session") < 1


async def test_a_slow_close_holds_nothing_up(world: World) -> None:
    process, _, _ = await running(world)
    async with played(world, SlowClose(seconds=60, lasts=10)):
        await process.stop()
        assert world.state(APP) == "grace_period"
        await trio.sleep(5)
        link = world.network.connections[-1]
        assert link.origin == APP
        assert not link.is_open, "nobody waits for its end"


async def test_an_app_server_that_refuses(world: World) -> None:
    await world.add(echo())
    async with world.glasses():
        async with played(world, Refuse(where=CALLS, lasts=5)):
            result = await world.server.start_app(USER, APP)
            assert result.stage is StartStage.WEBHOOK
        assert (await world.server.start_app(USER, APP)).success


async def test_an_app_server_that_cannot_be_reached(world: World) -> None:
    await world.add(echo())
    async with world.glasses(), played(world, Refuse(where=CALLS, hangs=True, lasts=60)):
        began = trio.current_time()
        result = await world.server.start_app(USER, APP)
        assert result.stage is StartStage.WEBHOOK
        assert 1 < trio.current_time() - began < 30


async def test_the_late_close_of_a_replaced_socket_does_not_end_the_session(
    world: World,
) -> None:
    await world.add(echo())
    async with played(world, DuplicateConnect(where=PHONE, apart=0.5, lasts=20)):
        phone = await world.wear()
        glasses = await phone.attached()
        assert (await world.server.start_app(USER, APP)).success
        await glasses.until_shown("ready")
    original, copy = world.network.connections[:2]
    assert original.is_open
    assert not copy.is_open
    await trio.sleep(70)  # longer than a user's grace
    changes = [fact.new for fact in world.telemetry.of(UserStateChanged)]
    assert UserState.DISCONNECTED not in changes
    assert glasses.close_reason is None
    assert world.state(APP) == "running"
    assert await echoed(glasses, "still me") < 1
    assert len(world.telemetry.of(WebhookCalled)) == 1


async def test_a_copy_that_comes_later_takes_the_place_until_the_phone_is_back(
    world: World,
) -> None:
    await world.add(echo())
    copied = DuplicateConnect(where=2, copy_first=False, apart=3, lasts=20)
    async with played(world, copied):
        await running_with_new_phone(world)
        phone = world.processes[-1]
        assert isinstance(phone, Phone)
        await trio.sleep(10)
        glasses = await phone.attached()
        assert world.state(APP) == "running"
        assert await echoed(glasses, "back") < 1
    assert len(world.telemetry.of(WebhookCalled)) == 1


async def running_with_new_phone(world: World) -> None:
    """As ``running``, for an app that is there; the dial before the phone's is somebody's."""
    stranger = await world.network.dial("server", 8002, origin="stranger")
    await stranger.aclose()
    glasses = await (await world.wear()).attached()
    assert (await world.server.start_app(USER, APP)).success
    await glasses.until_shown("ready")


@pytest.mark.parametrize("where", [APP_LINK, CALLS])
async def test_an_app_that_connects_or_is_called_twice_runs_once(where: str, world: World) -> None:
    process = await world.add(echo())
    async with world.glasses() as glasses:
        async with played(world, DuplicateConnect(where=where, lasts=20)):
            await world.server.start_app(USER, APP)
            await trio.sleep(10)
        await trio.sleep(5)
        assert world.state(APP) == "running"
        assert len(process.server.sessions) == 1
        assert await echoed(glasses, "once") < 1
        shown = [message for message in glasses.received() if "once" in str(message)]
        assert shown == [], "and it is shown once"


@pytest.mark.parametrize(
    ("fault", "stage"),
    [
        ({"status": 500, "heard": False}, StartStage.WEBHOOK),
        ({"heard": False}, StartStage.WEBHOOK),
        ({"answer": "never", "heard": False}, StartStage.TIMEOUT),
        ({"answer": "early", "delay": 40}, StartStage.TIMEOUT),
        ({"answer": "early", "status": 404}, StartStage.WEBHOOK),
    ],
)
async def test_webhooks_after_which_nobody_comes(
    fault: dict[str, Any], stage: StartStage, world: World
) -> None:
    await world.add(echo())
    async with world.glasses(), played(world, Webhook(where=CALLS, lasts=60, **fault)):
        result = await world.server.start_app(USER, APP)
        assert result.stage is stage, result


@pytest.mark.parametrize(
    ("fault", "least", "most"),
    [
        ({"answer": "early", "delay": 4}, 4, 5),  # the answer, and then the app
        ({"answer": "late", "delay": 4}, 0, 1),  # the app, and then the answer
        ({"answer": "never"}, 0, 1),
    ],
)
async def test_webhooks_with_which_an_app_comes_all_the_same(
    fault: dict[str, Any], least: float, most: float, world: World
) -> None:
    await world.add(echo())
    async with world.glasses(), played(world, Webhook(where=APP, lasts=60, **fault)):
        began = trio.current_time()
        await world.server.start_app(USER, APP)
        attached = [
            fact for fact in world.telemetry.of(AppStateChanged) if fact.new.value == "running"
        ]
        assert attached
        await trio.sleep(50)
        assert world.state(APP) == "running"
        assert least <= trio.current_time() - 50 - began < most


async def test_other_requests_of_a_server_pass_by(world: World) -> None:
    await world.add(echo())
    async with played(world, Webhook(status=500, heard=False, lasts=10)):
        stream = await world.network.dial(APP, 80, origin="server")
        async with stream:
            await stream.send_all(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            assert b"healthy" in await stream.receive_some()
