"""What the dashboard makes of the device's state, of huge texts, and of apps that come back."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.dashboard import LINE_MOST
from mentra_trio.domain.ids import PackageName
from mentra_trio.sessions.dashboard import Dashboard
from mentra_trio.sessions.devices import Devices
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    USER,
    Household,
    open_household,
    open_wearer,
    virtual_environment,
)
from mentra_trio.testing.links import MemoryLink

DASHBOARD = PackageName("system.augmentos.dashboard")
HUGE = "word " * 50_000


def right_sides(glasses: MemoryLink) -> list[str]:
    """What was drawn on the right of the dashboard: battery and calendar."""
    return [
        message["layout"]["bottomText"]
        for message in glasses.of_type("display_event")
        if message["view"] == "dashboard"
    ]


def modes(link: MemoryLink) -> list[str]:
    return [message["mode"] for message in link.of_type("dashboard_mode_changed")]


def mode(name: str) -> dict[str, str]:
    return {"type": "dashboard_mode_change", "mode": name}


async def running_dashboard(house: Household) -> MemoryLink:
    await house.add_app(DASHBOARD, kind="system_dashboard")
    return await house.running_app(package=DASHBOARD)


async def test_a_battery_that_the_phone_tells_over_http_is_drawn(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, glasses):
        house.directory.live(USER).desk.part(Devices).apply({"batteryLevel": 83})
        await wait_all_tasks_blocked()
        assert right_sides(glasses) == ["83%"]


async def test_what_it_remembers_of_others_is_bounded(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, glasses):
        for number in range(20):
            glasses.say(
                {
                    "type": "phone_notification",
                    "notificationId": f"{number}{HUGE}" if number % 2 else f"{number}",
                    "app": HUGE,
                    "title": HUGE,
                    "content": HUGE,
                },
                {
                    "type": "calendar_event",
                    "eventId": f"{number}{HUGE}" if number % 2 else f"{number}",
                    "title": HUGE,
                    "dtStart": "2100-01-01T10:00:00Z",
                },
            )
        await trio.sleep(1)
        board = house.directory.live(USER).desk.part(Dashboard)
        for kept in (board._notes, board._entries):
            assert len(kept) == 10, "who has a huge name is not remembered"
            assert len(repr(kept)) < 10 * 4 * LINE_MOST
        assert any(line.endswith("…") for line in right_sides(glasses))


@pytest.mark.parametrize("back", ["main", "none"])
async def test_an_app_that_was_away_learns_that_the_mode_is_another_one(
    back: str, autojump_clock: MockClock
) -> None:
    async with open_wearer() as (house, _glasses):
        board = await running_dashboard(house)
        await house.add_app()
        app = await house.running_app()
        assert modes(app) == [], "every app takes it for the first one"
        board.say(mode("expanded"))
        await wait_all_tasks_blocked()
        assert modes(app) == ["expanded"]
        app.cut()
        await wait_all_tasks_blocked()
        board.say(mode(back))
        await wait_all_tasks_blocked()
        again = house.app()
        await again.expect("tpa_connection_ack")
        await wait_all_tasks_blocked()
        assert modes(again) == [back]


async def test_an_app_that_outlives_the_server_learns_that_the_mode_is_the_first_one(
    autojump_clock: MockClock,
) -> None:
    store = MemoryStore()
    async with open_household(store=store) as house:
        await house.attached_glasses()
        board = await running_dashboard(house)
        await house.add_app()
        await house.running_app()
        board.say(mode("expanded"))
        await wait_all_tasks_blocked()
        await house.directory.surroundings.keeper.finish()
    environment = virtual_environment(tokens="next")
    async with open_household(store=store, environment=environment) as house:
        again = house.app()
        await again.expect("tpa_connection_ack")
        await wait_all_tasks_blocked()
        assert modes(again) == ["main"]
