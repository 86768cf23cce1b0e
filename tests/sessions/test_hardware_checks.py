"""Apps that need what the glasses lack: not started, stopped, and back with other glasses."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from mentra_trio.domain.facts import AppStateChanged, GaveWay, HardwareMissing
from mentra_trio.domain.ids import package_name
from mentra_trio.domain.starting import StartStage
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.devices import Devices
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.telemetry.journal import Journal
from mentra_trio.testing.household import APP, USER, Household, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.recording import RecordingTelemetry

LIVE, G1, UNKNOWN = "Mentra Live", "Even Realities G1", "Mentra Nex"
CAMERA = [{"type": "CAMERA"}]
SNAPS = package_name("com.t.snaps")
LACKS = f"glasses: {G1} has no camera"


def wear(house: Household, model: str | None) -> None:
    house.directory.live(USER).desk.part(Devices).apply({"modelName": model})


def errors(glasses: MemoryLink) -> list[str]:
    return [one["error"] for one in glasses.of_type("app_state_change") if one.get("error")]


async def add_snaps(house: Household, **more: Any) -> None:
    await house.add_app(SNAPS, hardware=CAMERA, **more)


async def running_snaps(house: Household) -> tuple[MemoryLink, MemoryLink]:
    """The links of glasses with a camera, and of the app that needs one."""
    await add_snaps(house)
    glasses = await house.attached_glasses()
    wear(house, LIVE)
    return glasses, await house.running_app(package=SNAPS)


async def test_a_start_that_cannot_work_stops_nobody_and_calls_nobody(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        await add_snaps(house)
        wear(house, G1)
        calls = len(house.webhooks.starts)
        began = trio.current_time()
        result = await house.directory.start_app(USER, SNAPS)
        assert trio.current_time() == began
        assert (result.success, result.stage) == (False, StartStage.HARDWARE_CHECK)
        assert result.message == f"App {SNAPS}: {LACKS}"
        glasses.say({"type": "start_app", "packageName": SNAPS})
        await trio.sleep(1)
        assert errors(glasses) == [result.message]
        assert len(house.webhooks.starts) == calls
        assert app.is_open
        assert house.state() == "running"
        assert house.telemetry.of(GaveWay) == []
        assert await house.store.wanted_apps(USER) == [APP]


@pytest.mark.parametrize("model", [LIVE, UNKNOWN, None])
async def test_glasses_that_have_it_or_of_which_nothing_is_known(
    model: str | None, autojump_clock: MockClock
) -> None:
    async with open_household() as house:
        await add_snaps(house)
        await house.attached_glasses()
        wear(house, model)
        await house.running_app(package=SNAPS)
        assert house.state(package=SNAPS) == "running"


async def test_a_running_app_is_stopped_when_the_glasses_change_and_comes_back(
    autojump_clock: MockClock,
) -> None:
    journal = Journal()
    telemetry = RecordingTelemetry(on_fact=journal.emit)
    async with open_household(telemetry=telemetry) as house:
        glasses, app = await running_snaps(house)
        wear(house, G1)
        closed = await app.closed()
        assert (closed.code, closed.text) == (1000, "App stopped")
        (stopped,) = app.of_type("app_stopped")
        assert stopped["reason"] == "system_stop"
        (update,) = app.of_type("capabilities_update")
        assert update["modelName"] == G1
        assert (await house.webhooks.next_stop()).reason == "system_stop"
        await trio.sleep(60)
        assert len(house.webhooks.starts) == 1
        assert errors(glasses) == [f"App {SNAPS}: {LACKS}"]
        assert house.state(package=SNAPS) is None
        assert f"stopped for want of hardware: {LACKS}" in "\n".join(journal.story(USER, SNAPS))
        house.connect_when_called(SNAPS)
        wear(house, LIVE)
        await trio.sleep(5)
        assert house.state(package=SNAPS) == "running"
        assert await house.store.wanted_apps(USER) == [SNAPS]


async def test_glasses_that_change_back_while_it_is_still_being_stopped(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await running_snaps(house)
        house.webhooks.stop_after = 3.0
        house.connect_when_called(SNAPS)
        wear(house, G1)
        await trio.sleep(1)
        wear(house, LIVE)
        assert house.state(package=SNAPS) == "stopping"
        await trio.sleep(10)
        assert house.state(package=SNAPS) == "running"


async def test_an_app_whose_user_stopped_it_meanwhile_does_not_come_back(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await running_snaps(house)
        wear(house, G1)
        await trio.sleep(1)
        await house.directory.stop_app(USER, SNAPS)
        wear(house, LIVE)
        await trio.sleep(30)
        assert house.state(package=SNAPS) is None
        assert await house.store.wanted_apps(USER) == []


async def test_an_app_that_its_user_is_just_stopping_does_not_come_back_with_other_glasses(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await running_snaps(house)
        house.connect_when_called(SNAPS)
        house.webhooks.stop_after = 3.0
        await house.directory.stop_app(USER, SNAPS)
        assert house.state(package=SNAPS) == "stopping"
        wear(house, G1)
        wear(house, LIVE)
        await trio.sleep(30)
        assert house.state(package=SNAPS) is None


async def test_an_app_that_another_took_the_foreground_from_does_not_come_back(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await running_snaps(house)
        await house.add_app()
        wear(house, G1)
        await trio.sleep(1)
        await house.running_app()
        assert await house.store.wanted_apps(USER) == [APP]
        wear(house, LIVE)
        await trio.sleep(30)
        assert (house.state(), house.state(package=SNAPS)) == ("running", None)


async def test_what_is_optional_only_warns(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.add_app(hardware=[{"type": "CAMERA", "level": "OPTIONAL"}])
        await house.attached_glasses()
        wear(house, LIVE)
        app = await house.running_app()
        assert house.telemetry.of(HardwareMissing) == []
        wear(house, G1)
        await trio.sleep(1)
        assert app.is_open
        assert [fact.problem for fact in house.telemetry.of(HardwareMissing)] == [LACKS]


async def test_a_lost_app_is_not_called_back_while_the_glasses_lack_it(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        _, app = await running_snaps(house)
        app.cut()
        await trio.sleep(1)
        assert house.state(package=SNAPS) == "grace_period"
        wear(house, G1)
        await trio.sleep(600)
        assert len(house.webhooks.starts) == 1
        assert house.state(package=SNAPS) is None


async def test_an_app_that_was_registered_anew_with_needs_is_not_called_back(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.add_app(SNAPS)
        await house.attached_glasses()
        wear(house, G1)
        app = await house.running_app(package=SNAPS)
        await add_snaps(house)
        await trio.sleep(60)
        assert house.state(package=SNAPS) == "running"
        app.cut()
        await trio.sleep(600)
        assert len(house.webhooks.starts) == 1
        assert house.state(package=SNAPS) is None


async def test_a_start_that_waits_for_the_app_is_told(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await add_snaps(house)
        await house.attached_glasses()
        wear(house, LIVE)
        results = []

        async def start() -> None:
            results.append(await house.directory.start_app(USER, SNAPS))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(start)
            await house.webhooks.next_start()
            wear(house, G1)
        assert [result.stage for result in results] == [StartStage.HARDWARE_CHECK]
        await trio.sleep(30)
        assert house.state(package=SNAPS) is None


async def test_a_dormant_app_is_not_called_with_other_glasses(autojump_clock: MockClock) -> None:
    lifecycle = Lifecycle(user_grace_s=1_000.0)
    async with open_household(lifecycle=lifecycle) as house:
        glasses, app = await running_snaps(house)
        glasses.hang_up()
        app.cut()
        await trio.sleep(60)
        assert house.state(package=SNAPS) == "dormant"
        wear(house, G1)
        await house.attached_glasses()
        await trio.sleep(60)
        assert len(house.webhooks.starts) == 1
        assert house.state(package=SNAPS) is None
        house.connect_when_called(SNAPS)
        wear(house, LIVE)
        await trio.sleep(60)
        assert house.state(package=SNAPS) == "running"


async def test_a_dormant_app_that_comes_by_itself_is_turned_away(
    autojump_clock: MockClock,
) -> None:
    async with open_household(lifecycle=Lifecycle(user_grace_s=1_000.0)) as house:
        glasses, app = await running_snaps(house)
        glasses.hang_up()
        app.cut()
        await trio.sleep(60)
        wear(house, G1)
        again = house.app(package=SNAPS)
        closed = await again.closed()
        assert (closed.code, closed.text) == (1000, "App stopped")
        assert again.of_type("tpa_connection_ack") == []
        await trio.sleep(10)
        assert house.state(package=SNAPS) is None


async def test_an_app_of_before_that_waits_gives_way_as_any_other(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    await store.put_user_settings(USER, {"defaultWearable": G1})
    async with open_household(store=store) as house:
        await add_snaps(house)
        await house.add_app()
        await store.set_wanted(USER, SNAPS, wanted=True)
        await house.attached_glasses()
        await trio.sleep(10)
        await house.running_app()
        assert await store.wanted_apps(USER) == [APP]
        wear(house, LIVE)
        await trio.sleep(30)
        assert (house.state(), house.state(package=SNAPS)) == ("running", None)


async def test_what_was_wanted_before_is_not_called_and_stays_wanted(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    await store.put_user_settings(USER, {"defaultWearable": G1})
    async with open_household(store=store) as house:
        await add_snaps(house)
        await store.set_wanted(USER, SNAPS, wanted=True)
        glasses = await house.attached_glasses()
        await trio.sleep(60)
        assert house.webhooks.starts == []
        assert errors(glasses) == [f"App {SNAPS}: {LACKS}"]
        assert await store.wanted_apps(USER) == [SNAPS]
        house.connect_when_called(SNAPS)
        wear(house, LIVE)
        await trio.sleep(5)
        assert house.state(package=SNAPS) == "running"


@given(st.lists(st.sampled_from([LIVE, G1, UNKNOWN, None, "stop", "start", "wait"]), max_size=12))
def test_an_app_runs_only_with_glasses_that_can_serve_it_and_only_if_it_is_wanted(
    course: list[str | None],
) -> None:
    async def main() -> None:
        async with open_household() as house:
            await add_snaps(house)
            await house.attached_glasses()
            house.connect_when_called(SNAPS)
            wanted, model = False, None
            for step in course:
                match step:
                    case "stop":
                        wanted = False
                        await house.directory.stop_app(USER, SNAPS)
                    case "start":
                        result = await house.directory.start_app(USER, SNAPS)
                        wanted = wanted or result.success
                    case "wait":
                        await trio.sleep(20)
                    case _:
                        model = step
                        wear(house, step)
                        running = house.state(package=SNAPS) == "running"
                        assert not (running and model == G1)
            await trio.sleep(60)
            expected = "running" if wanted and model != G1 else None
            assert house.state(package=SNAPS) == expected
            assert [*await house.store.wanted_apps(USER)] == ([SNAPS] if wanted else [])
            moves = house.telemetry.of(AppStateChanged)
            assert not any("error inside" in fact.cause for fact in moves)

    trio.run(main, clock=MockClock(autojump_threshold=0))
