"""The server, app servers and phones of a world are killed, and started again."""

from __future__ import annotations

import attrs
import pytest
import trio
import trio.lowlevel
from echo_app import APP, echo

from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.facts import AppStateChanged, ServerDraining, ServerStarted, WebhookCalled
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.ports import SessionChange
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.faults import Down, Fault, FaultPlan, Skew, Stall
from mentra_trio.testing.mortal import MortalStore, Pulse
from mentra_trio.testing.processes import COMES_BACK_S, SILENT_S, Phone, ServerKilled
from mentra_trio.testing.world import USER, World, phone_of


async def running(world: World) -> Phone:
    """A phone whose user runs the app."""
    await world.add(echo())
    phone = await world.wear()
    glasses = await phone.attached()
    assert (await world.server.start_app(USER, APP)).success
    await glasses.until_shown("ready")
    return phone


async def echoes(phone: Phone, text: str) -> None:
    """Speak, and see what was said, within a second."""
    with trio.fail_after(1):
        glasses = await phone.attached()
        await glasses.say(text)
        await glasses.until_shown(text)


async def test_a_server_that_died_knows_what_was_when_it_comes_back(world: World) -> None:
    phone = await running(world)
    await trio.sleep(5)
    before, now = world.server, trio.current_time()
    await world.server_process.kill()
    assert trio.current_time() == now
    with pytest.raises(ConnectionRefusedError):
        await world.network.dial("server", 8002)
    await trio.sleep(2)
    assert phone.glasses is None
    await world.server_process.start()
    assert world.server is not before
    assert world.server_process.lives == 2
    await trio.sleep(3)
    assert world.state(APP) == "running"
    await echoes(phone, "as if nothing had been")
    assert len(world.telemetry.of(WebhookCalled)) == 1, "both came back by themselves"
    assert len(world.telemetry.of(ServerStarted)) == 2
    assert world.telemetry.of(ServerDraining) == [], "it said no goodbye"


async def test_what_was_not_written_is_lost(world: World) -> None:
    await running(world)
    await trio.sleep(5)
    user, package = user_id(USER), package_name(APP)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.server.stop_app, USER, APP)
        await world.server_process.kill()
    assert await world.store.wanted_apps(user) == [package]
    saved = await world.store.saved_session(user)
    assert saved is not None
    assert package in saved.apps
    await world.server_process.start()
    await trio.sleep(3)
    assert world.state(APP) == "running", "the stop was not heard of"


async def test_what_a_dead_server_writes_is_not_written() -> None:
    disk, pulse = MemoryStore(), Pulse()
    store = MortalStore(disk, pulse)
    user, package = user_id(USER), package_name(APP)
    registration = AppRegistration(package=package, url="http://a", key_hash="")
    await store.put_app(registration)
    await store.set_wanted(user, package, wanted=True)
    await store.put_app_settings(user, package, {"size": 1})
    await store.put_user_settings(user, {"metric": True})
    pulse.beats = False
    assert await store.remove_app(package) is False
    await store.put_app(attrs.evolve(registration, url="http://b"))
    await store.set_wanted(user, package, wanted=False)
    await store.put_app_settings(user, package, {"size": 2})
    await store.put_user_settings(user, {"metric": False})
    await store.save_sessions([SessionChange(user=user, package=None, record={"x": 1})])
    assert [app.url for app in await disk.apps()] == ["http://a"]
    assert await disk.wanted_apps(user) == [package]
    assert await disk.app_settings(user, package) == {"size": 1}
    assert await disk.user_settings(user) == {"metric": True}
    assert await disk.saved_users() == []


async def test_no_time_passes_while_a_server_dies(world: World) -> None:
    await running(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.play, FaultPlan([Stall(lasts=3)]))
        await trio.sleep(1)
        facts, now = list(world.telemetry.facts), trio.current_time()
        await world.server_process.kill()
        assert trio.current_time() == now
    await trio.sleep(100)
    assert world.telemetry.facts == [*facts, ServerKilled()], "the dead tell no tales"


async def test_a_phone_takes_a_server_that_is_silent_for_dead(world: World) -> None:
    phone = await running(world)
    await world.play(FaultPlan([Down(unseen=True, lasts=5)]))
    await trio.sleep(SILENT_S + COMES_BACK_S)
    assert phone.glasses is not None
    assert world.server.users()[0].connected


async def test_nobody_sees_the_death_of_a_server_that_vanishes(world: World) -> None:
    phone = await running(world)
    await world.play(FaultPlan([Down(unseen=True, lasts=5)]))
    old = phone.glasses
    assert old is not None
    await trio.sleep(30)
    assert phone.glasses is old, "its connection is half-open"
    assert old.close_reason is None
    assert world.server.users()[0].connected is False
    await phone.kill()
    await phone.start()
    await trio.sleep(20)
    assert world.state(APP) == "running", "the old session of the app has given way to a new one"
    await echoes(phone, "back")


async def test_an_app_server_that_is_down_for_a_while(world: World) -> None:
    phone = await running(world)
    await world.play(FaultPlan([Down(where=APP, lasts=40)]))
    assert world.state(APP) in {"backoff", "resurrecting"}
    await trio.sleep(30)
    assert world.state(APP) == "running"
    await echoes(phone, "another session")
    assert len(world.telemetry.of(WebhookCalled)) > 2


async def test_a_pattern_takes_several_down_and_nobody_else(world: World) -> None:
    for package in ("com.one.a", "com.one.b", "com.two.a"):
        await world.add(echo(package))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.play, FaultPlan([Down(where="com.one.*", at=1, lasts=5)]))
        await trio.sleep(3)
        assert [one.host for one in world.processes if not one.is_up] == ["com.one.a", "com.one.b"]
    assert all(one.is_up for one in world.processes)


async def test_a_phone_is_killed_and_started_again(world: World) -> None:
    phone = await running(world)
    await phone.kill()
    assert phone.glasses is None
    await trio.sleep(10)
    assert world.server.users()[0].state == "DISCONNECTED"
    with pytest.raises(RuntimeError, match="runs already"):
        await world.server_process.start()
    await phone.start()
    await echoes(phone, "here again")


async def test_a_phone_that_is_stopped_says_goodbye(world: World) -> None:
    phone = await running(world)
    await phone.stop()
    assert phone.glasses is None
    assert world.server.users()[0].connected is False
    assert not phone.is_up


async def test_a_phone_comes_back_by_itself(world: World) -> None:
    phone = await running(world)
    glasses = await phone.attached()
    glasses.cut()
    await trio.sleep(0.5)
    assert phone.glasses is None
    await trio.sleep(1)
    assert phone.glasses not in (None, glasses)


async def test_a_user_may_have_two_phones(world: World) -> None:
    first = await world.wear()
    await first.attached()
    second = await world.wear(host="second phone")
    await second.attached()
    await trio.sleep(0.5)
    assert first.glasses is None, "the newest has the session"
    assert {first.host, second.host} == {phone_of(USER), "second phone"}


@pytest.mark.parametrize("jump", [-86_400, -3_600, 3_600, 86_400 * 400])
async def test_tokens_and_records_survive_a_jump_of_the_wall_clock(
    jump: float, world: World
) -> None:
    phone = await running(world)
    await trio.sleep(1)
    shown = world.wall.now()
    await world.play(FaultPlan([Skew(jump=jump)]))
    assert (world.wall.now() - shown).total_seconds() == jump
    (await phone.attached()).cut()
    await trio.sleep(2)
    await echoes(phone, "the token is good")
    await world.server_process.kill()
    await world.server_process.start()
    await trio.sleep(3)
    assert world.state(APP) == "running"
    await echoes(phone, "the record is good")
    assert len(world.telemetry.of(WebhookCalled)) == 1


@pytest.mark.parametrize("rate", [0.5, 2.0])
async def test_a_wall_clock_that_runs_wrong_changes_no_duration(rate: float, world: World) -> None:
    await running(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.play, FaultPlan([Skew(rate=rate, lasts=20)]))
        await trio.lowlevel.checkpoint()
        shown, began = world.wall.now(), trio.current_time()
        await world.processes[1].kill()
        for new in ("connecting", "running", "grace_period", "disconnected"):
            changed = await world.telemetry.next(AppStateChanged)
            assert changed.new.value == new
        assert 5 <= trio.current_time() - began <= 6
    assert (world.wall.now() - shown).total_seconds() == pytest.approx(20 * rate)
    assert world.wall.rate == 1


async def test_a_plan_that_is_cancelled_ends_its_faults(world: World) -> None:
    phone = await running(world)
    faults: list[Fault] = [Stall(lasts=1_000), Skew(rate=2, lasts=1_000)]
    with trio.move_on_after(5):
        await world.play(FaultPlan(faults))
    assert world.wall.rate == 1
    await echoes(phone, "well again")


async def test_a_plan_is_over_with_its_last_fault(world: World) -> None:
    await world.play(FaultPlan())
    assert trio.current_time() == 0
    await world.play(FaultPlan([Stall(at=2, lasts=3), Down(where="nobody", at=1, lasts=1)]))
    assert trio.current_time() == 5
