"""The state of the glasses, on its way to apps: what changed, once, and what matters at once."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from mentra_trio.domain.errors import SettingRefused
from mentra_trio.domain.facts import FrameIgnored
from mentra_trio.domain.ids import package_name
from mentra_trio.domain.timings import DEVICE_STATE_DELAY_S
from mentra_trio.sessions.devices import Devices
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import USER, Household, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink

OTHER_APP = package_name("com.t.b")


def devices(house: Household) -> Devices:
    return house.directory.live(USER).desk.part(Devices)


def told(app: MemoryLink) -> list[dict[str, Any]]:
    """What the app was told after its snapshot."""
    return [
        one["state"] for one in app.of_type("device_state_update") if not one.get("fullSnapshot")
    ]


async def test_a_hundred_identical_states_are_one_message(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _, app):
        for number in range(100):
            devices(house).apply({"batteryLevel": 50, "wifiSsid": "home", "timestamp": number})
        await trio.sleep(5)
        assert [one["batteryLevel"] for one in told(app)] == [50]
        assert set(told(app)[0]) == {"batteryLevel", "wifiSsid", "timestamp"}


async def test_a_burst_is_told_together_and_soon(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _, app):
        began = trio.current_time()
        for level in range(20):
            devices(house).apply({"batteryLevel": level})
            await trio.sleep(0.005)
        devices(house).apply({"charging": True})
        await app.expect("device_state_update")  # the snapshot
        await app.expect("device_state_update")
        assert 0.1 <= trio.current_time() - began <= 0.25
        assert told(app) == [{"batteryLevel": 19, "charging": True}]


async def test_the_last_of_a_burst_is_always_told(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _, app):
        for level in range(40):
            devices(house).apply({"batteryLevel": level})
            await trio.sleep(0.06)
        await trio.sleep(1)
        assert told(app)[-1] == {"batteryLevel": 39}
        assert len(told(app)) < 20


async def test_what_changes_back_is_not_told(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _, app):
        devices(house).apply({"batteryLevel": 50})
        await trio.sleep(1)
        devices(house).apply({"batteryLevel": 51, "timestamp": 1})
        devices(house).apply({"batteryLevel": 50, "timestamp": 2})
        await trio.sleep(1)
        assert told(app) == [{"batteryLevel": 50}]


async def test_who_attaches_while_something_waits_is_told_that_it_changed_back(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _, app):
        await house.add_app(OTHER_APP, kind="background")
        devices(house).apply({"batteryLevel": 50})
        await trio.sleep(1)
        devices(house).apply({"batteryLevel": 51})
        other = await house.running_app(package=OTHER_APP)
        snapshot = other.of_type("device_state_update")[0]
        assert snapshot["fullSnapshot"] is True
        assert snapshot["state"]["batteryLevel"] == 51
        devices(house).apply({"batteryLevel": 50})
        await trio.sleep(1)
        assert told(other)[-1] == {"batteryLevel": 50}
        assert told(app)[-1] == {"batteryLevel": 50}


async def test_a_connection_is_told_at_once_with_all_that_waits(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _, app):
        devices(house).apply({"batteryLevel": 50})
        devices(house).apply({"modelName": "Mentra Live"})
        first = {"batteryLevel": 50, "modelName": "Mentra Live", "connected": True}
        assert told(app) == [first]
        devices(house).apply({"connected": False})
        assert told(app) == [first, {"connected": False}]
        await trio.sleep(1)
        assert told(app) == [first, {"connected": False}]


async def test_every_app_is_told_and_one_that_comes_later_gets_it_all(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _, app):
        await house.add_app(OTHER_APP, kind="background")
        devices(house).apply({"modelName": "Mentra Live", "batteryLevel": 5})
        other = await house.running_app(package=OTHER_APP)
        (snapshot,) = other.of_type("device_state_update")
        assert snapshot["fullSnapshot"] is True
        assert snapshot["state"] == {
            "connected": True,
            "modelName": "Mentra Live",
            "batteryLevel": 5,
        }
        devices(house).apply({"caseOpen": True})
        await trio.sleep(1)
        assert told(other) == [{"caseOpen": True}]
        assert told(app)[-1] == {"caseOpen": True}


async def test_capabilities_are_told_when_glasses_connect_or_change(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (_, glasses, app):
        for status, model in (
            ("CONNECTED", "Mentra Live"),
            ("CONNECTED", "Mentra Live"),
            ("DISCONNECTED", "Mentra Live"),
            ("RECONNECTED", "Mentra Live"),
            ("CONNECTED", "Even Realities G1"),
            ("CONNECTED", "Unheard Of"),
        ):
            glasses.say({"type": "glasses_connection_state", "status": status, "modelName": model})
        await trio.sleep(1)
        updates = app.of_type("capabilities_update")
        assert [one["modelName"] for one in updates] == [
            "Mentra Live",
            "Mentra Live",
            "Even Realities G1",
            "Unheard Of",
        ]
        assert updates[-1]["capabilities"] is None
        assert updates[-2]["capabilities"]["hasCamera"] is False


async def test_a_battery_over_the_link_is_part_of_the_state(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_, glasses, app):
        for _ in range(50):
            glasses.say({"type": "glasses_battery_update", "level": 80, "charging": True})
        glasses.say({"type": "phone_battery_update", "level": 3, "charging": False})
        await trio.sleep(1)
        assert told(app) == [{"batteryLevel": 80, "charging": True}]


async def test_bad_values_change_nothing(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        with pytest.raises(SettingRefused, match=r"\$.modelName must be text"):
            devices(house).apply({"batteryLevel": 7, "modelName": 8})
        glasses.say({"type": "glasses_battery_update", "level": 1e300})
        glasses.say(
            {"type": "glasses_connection_state", "status": "CONNECTED", "modelName": "x" * 300}
        )
        await trio.sleep(1)
        assert told(app) == []
        ignored = [fact.problem for fact in house.telemetry.of(FrameIgnored)]
        assert [one.split()[0] for one in ignored] == ["$.batteryLevel", "$.modelName"]
        assert glasses.is_open


async def test_the_default_wearable_is_the_current_model_before_it_is_there(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    await store.put_user_settings(USER, {"defaultWearable": "Mentra Live"})
    async with open_one_app(store=store) as (house, _, app):
        (ack,) = app.of_type("tpa_connection_ack")
        assert ack["capabilities"]["modelName"] == "Mentra Live"
        (snapshot,) = app.of_type("device_state_update")
        assert snapshot["state"] == {"connected": False, "modelName": "Mentra Live"}
        change = house.directory.change_user_settings
        await change(USER, {"defaultWearable": "Vuzix Z100"}, by_phone=True)
        await change(USER, {"brightness": 3}, by_phone=True)
        assert told(app) == [{"modelName": "Vuzix Z100"}]
        (update,) = app.of_type("capabilities_update")
        assert update["modelName"] == "Vuzix Z100"
        await change(USER, {"defaultWearable": None}, by_phone=True)
        assert told(app)[-1] == {"modelName": None}
        assert app.of_type("capabilities_update")[-1]["capabilities"] is None


async def test_the_state_outlives_the_server(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    async with open_one_app(store=store) as (house, _, _):
        devices(house).apply({"modelName": "Mentra Live", "serialNumber": "7"})
        await trio.sleep(1)
    async with open_household(store=store) as house:
        await house.attached_glasses()
        await trio.sleep(1)
        known = house.directory.live(USER).desk.device.snapshot
        assert known == {"connected": False, "modelName": "Mentra Live", "serialNumber": "7"}


steps = st.lists(
    st.tuples(
        st.fixed_dictionaries(
            {},
            optional={
                "batteryLevel": st.integers(0, 3),
                "caseOpen": st.booleans(),
                "modelName": st.sampled_from(["Mentra Live", "Vuzix Z100", None]),
                "connected": st.booleans(),
                "timestamp": st.integers(0, 5),
            },
        ),
        st.sampled_from([0.0, 0.0, 0.1, 0.2]),
    ),
    max_size=12,
)


@given(steps)
def test_an_app_that_adds_up_what_it_is_told_knows_the_state(
    said: list[tuple[dict[str, Any], float]],
) -> None:
    async def main() -> None:
        async with open_one_app() as (house, _, app):
            for news, pause in said:
                devices(house).apply(news)
                known = merged(app)
                now = house.directory.live(USER).desk.device
                assert (known.get("connected"), known.get("modelName")) == (
                    now.connected,
                    now.model_name,
                )
                await trio.sleep(pause)
            await trio.sleep(2 * DEVICE_STATE_DELAY_S)
            known, now_known = merged(app), house.directory.live(USER).desk.device.snapshot
            known.pop("timestamp", None)
            now_known.pop("timestamp", None)
            assert known == now_known
            state: dict[str, Any] = {"connected": False}
            for one in told(app):
                news_in_it = {k: v for k, v in one.items() if k != "timestamp"}
                assert news_in_it
                assert all(state.get(key) != value for key, value in news_in_it.items())
                state.update(one)

    trio.run(main, clock=MockClock(autojump_threshold=0))


def merged(app: MemoryLink) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for one in app.of_type("device_state_update"):
        known.update(one["state"])
    return known
