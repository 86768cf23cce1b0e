"""The dashboard of a user: what is drawn, when it is drawn anew, and who may say what."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import FrameIgnored
from mentra_trio.domain.ids import PackageName
from mentra_trio.sessions.dashboard import Dashboard
from mentra_trio.testing.household import (
    APP,
    USER,
    Household,
    open_household,
    open_one_app,
    open_wearer,
)
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED

DASHBOARD = PackageName("system.augmentos.dashboard")
OTHER = PackageName("com.t.b")


def drawn(glasses: MemoryLink) -> list[Any]:
    """What was drawn on the dashboard: two texts, or one."""
    found = []
    for message in glasses.of_type("display_event"):
        if message["view"] == "dashboard":
            assert message["packageName"] == DASHBOARD
            assert "durationMs" not in message
            layout = message["layout"]
            two = layout["layoutType"] == "double_text_wall"
            found.append((layout["topText"], layout["bottomText"]) if two else layout["text"])
    return found


def content(text: Any, *modes: str) -> dict[str, Any]:
    return {"type": "dashboard_content_update", "content": text, "modes": list(modes or ("main",))}


def section(name: str, text: str) -> dict[str, Any]:
    return {"type": "dashboard_system_update", "section": name, "content": text}


def mode(name: str) -> dict[str, Any]:
    return {"type": "dashboard_mode_change", "mode": name}


def battery(level: int, **fields: Any) -> dict[str, Any]:
    return {"type": "glasses_battery_update", "level": level, "charging": False, **fields}


UP = {"type": "head_position", "position": "up"}


@asynccontextmanager
async def open_two() -> AsyncGenerator[tuple[Household, MemoryLink, MemoryLink, MemoryLink]]:
    """A user who wears glasses, and runs a standard app and the system dashboard app."""
    async with open_household() as house:
        await house.add_app()
        await house.add_app(DASHBOARD, kind="system_dashboard")
        links = house.connect_when_called(DASHBOARD)
        glasses = await house.attached_glasses()
        await house.webhooks.next_start()
        app = await house.running_app()
        (board,) = links
        await board.expect("tpa_connection_ack")
        yield house, glasses, app, board


# -- when it is drawn ------------------------------------------------------------------------------


async def test_who_has_only_a_clock_is_not_bothered(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, _app):
        glasses.say(UP, {"type": "button_press", "buttonId": "b"})
        await trio.sleep(300)
        assert drawn(glasses) == []


async def test_it_is_drawn_when_there_is_something_to_say_and_then_every_minute(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (_house, glasses):
        await trio.sleep(30)
        glasses.say(battery(83))
        await wait_all_tasks_blocked()
        assert drawn(glasses) == [("00:00 UTC", "83%")]
        await trio.sleep(33)
        assert drawn(glasses)[1:] == [("00:01 UTC", "83%")]
        await trio.sleep(60)
        assert drawn(glasses)[2:] == [("00:02 UTC", "83%")]


async def test_nothing_is_drawn_that_is_there_already(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        glasses.say(battery(83))
        app.say(content("x"))
        await trio.sleep(1)
        count = len(drawn(glasses))
        for _ in range(10):
            glasses.say(battery(83, timeRemaining=5), UP)
            app.say(content("x"), content("y", "expanded"), content("z", "always_on"))
            await trio.sleep(1)
        assert len(drawn(glasses)) == count


async def test_it_is_not_drawn_for_nobody_and_is_up_to_date_for_glasses_that_return(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, glasses):
        glasses.say(battery(83))
        await wait_all_tasks_blocked()
        glasses.cut()
        await trio.sleep(1)
        tasks = [task.name for task in _tasks()]
        assert "dashboard" not in tasks
        await trio.sleep(58)
        back = await house.attached_glasses()
        await trio.sleep(2)
        assert drawn(back)[0] == ("00:00 UTC", "83%")
        await trio.sleep(61)
        assert drawn(back)[-1] == ("00:02 UTC", "83%")


def _tasks() -> list[trio.lowlevel.Task]:
    root = trio.lowlevel.current_root_task()
    assert root is not None
    found, left = [], [root]
    while left:
        task = left.pop()
        found.append(task)
        left += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


async def test_a_burst_is_drawn_at_most_three_times_a_second(autojump_clock: MockClock) -> None:
    async with open_wearer() as (_house, glasses):
        for level in range(100):
            glasses.say(battery(level))
            await trio.sleep(0.01)
        await trio.sleep(1)
        assert drawn(glasses)[0][1] == "0%"
        assert drawn(glasses)[-1][1] == "99%"
        assert len(drawn(glasses)) <= 5


# -- what the server fills in ----------------------------------------------------------------------


async def test_the_sections_of_the_server(autojump_clock: MockClock) -> None:
    async with open_wearer() as (house, glasses):
        glasses.say(
            battery(83, charging=True),
            {"type": "phone_notification", "notificationId": "1", "app": "M", "title": "Ann"},
            {
                "type": "phone_notification",
                "notificationId": "2",
                "app": "Mail",
                "title": "Bob",
                "content": "see you",
            },
            {"type": "calendar_event", "eventId": "x", "title": "no time"},
            {
                "type": "calendar_event",
                "eventId": "e",
                "title": "Lunch",
                "dtStart": "2026-01-01T00:30:00Z",
                "dtEnd": "2026-01-01T01:30:00Z",
            },
        )
        await trio.sleep(1)
        assert drawn(glasses)[-1] == ("00:00 UTC\nBob: see you", "83%+\n00:30 Lunch")
        dashboard = house.directory._users[USER].desk.part(Dashboard)
        dashboard.time_told("nonsense")
        dashboard.time_told("2026-01-01T02:00:00+02:00")
        glasses.say({"type": "phone_notification_dismissed", "notificationId": "2"})
        await trio.sleep(1)
        assert drawn(glasses)[-1] == ("02:00\nAnn", "83%+\n02:30 Lunch")
        glasses.say({"type": "phone_notification_dismissed", "notificationKey": "1"})
        await trio.sleep(5400)
        assert drawn(glasses)[-1] == ("03:30", "83%+")


async def test_what_it_takes_is_still_handed_on_to_apps(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        streams = ["glasses_battery_update", "head_position", "phone_notification"]
        app.say({"type": "subscription_update", "subscriptions": streams})
        await wait_all_tasks_blocked()
        glasses.say(battery(1), UP, {"type": "phone_notification", "title": "x"})
        await trio.sleep(1)
        heard = [message["streamType"] for message in app.of_type("data_stream")]
        assert heard == streams


# -- what apps write -------------------------------------------------------------------------------


async def test_apps_take_turns_when_the_wearer_looks_up(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        await house.add_app(OTHER, kind="background")
        other = await house.running_app(package=OTHER)
        app.say(content("from a"))
        await trio.sleep(1)
        other.say(content("from b"))
        await trio.sleep(1)
        for position in ("up", "down", "up", "down"):
            glasses.say({"type": "head_position", "position": position})
            await trio.sleep(1)
        assert [bottom for _, bottom in drawn(glasses)] == ["from a", "from b", "from a", "from b"]


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ({"layoutType": "text_wall", "text": "x"}, "x"),
        ({"layoutType": "double_text_wall", "topText": "x", "bottomText": "y"}, "x\ny"),
        ({"layoutType": "reference_card", "title": "x", "text": "y"}, "x\ny"),
        ({"layoutType": "dashboard_card", "leftText": "x", "rightText": "y"}, "x\ny"),
    ],
)
async def test_the_text_of_a_layout_is_taken_from_old_apps(
    layout: dict[str, Any], text: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(content(layout))
        await wait_all_tasks_blocked()
        assert drawn(glasses) == [("00:00 UTC", text)]
        app.say(content({"layoutType": "bitmap_view", "data": "Qk0="}))
        await trio.sleep(1)
        assert drawn(glasses)[1:] == [("00:00 UTC", "")]


async def test_the_text_of_an_app_goes_when_it_stops(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(content("x"))
        await trio.sleep(1)
        await house.directory.stop_app(USER, APP)
        await wait_all_tasks_blocked()
        assert [bottom for _, bottom in drawn(glasses)] == ["x", ""]


async def test_the_text_of_a_lost_app_stays_for_its_grace(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(content("x"))
        await trio.sleep(1)
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        app.cut()
        await trio.sleep(4.9)
        assert house.state() == "grace_period"
        assert [bottom for _, bottom in drawn(glasses)] == ["x"]
        await trio.sleep(0.2)
        assert [bottom for _, bottom in drawn(glasses)] == ["x", ""]


async def test_the_text_of_an_app_that_gave_itself_up_goes(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(content("x"))
        await trio.sleep(1)
        app.say({"type": "ownership_release", "reason": "switching_clouds"})
        app.hang_up()
        await wait_all_tasks_blocked()
        assert house.state() == "dormant"
        assert [bottom for _, bottom in drawn(glasses)] == ["x", ""]


# -- what only the system dashboard app may --------------------------------------------------------


@pytest.mark.parametrize("message", [section("topLeft", "x"), mode("expanded")])
async def test_other_apps_may_not(message: dict[str, Any], autojump_clock: MockClock) -> None:
    async with open_two() as (house, glasses, app, board):
        app.say(message)
        await wait_all_tasks_blocked()
        assert drawn(glasses) == []
        assert len(house.telemetry.of(FrameIgnored)) == 1
        assert board.of_type("dashboard_mode_changed") == []
        assert app.is_open


@pytest.mark.parametrize("message", [section("middle", "x"), mode("always_on")])
async def test_what_does_not_exist_is_ignored(
    message: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with open_two() as (house, glasses, _app, board):
        board.say(message)
        await wait_all_tasks_blocked()
        assert drawn(glasses) == []
        assert len(house.telemetry.of(FrameIgnored)) == 1
        assert board.is_open


async def test_its_sections_win_as_long_as_it_runs(autojump_clock: MockClock) -> None:
    async with open_two() as (house, glasses, app, board):
        glasses.say(battery(83))
        app.say(content("from a"))
        board.say(section("topRight", "mine"), section("bottomLeft", "low"))
        await trio.sleep(1)
        assert drawn(glasses)[-1] == ("00:00 UTC\nlow", "mine\nfrom a")
        await house.directory.stop_app(USER, DASHBOARD)
        await wait_all_tasks_blocked()
        assert drawn(glasses)[-1] == ("00:00 UTC", "83%\nfrom a")


async def test_a_change_of_mode_is_told_to_every_app(autojump_clock: MockClock) -> None:
    async with open_two() as (house, glasses, app, board):
        app.say(content("short"), content("long", "expanded"))
        await trio.sleep(1)
        board.say(mode("expanded"))
        for link in (app, board):
            assert (await link.expect("dashboard_mode_changed"))["mode"] == "expanded"
        assert drawn(glasses)[-1] == "00:00 UTC\nlong"
        await house.add_app(OTHER, kind="background")
        other = await house.running_app(package=OTHER)
        assert (await other.expect("dashboard_mode_changed"))["mode"] == "expanded"
        board.say(mode("none"))
        await trio.sleep(1)
        assert drawn(glasses)[-1] == ""
        board.say(mode("main"))
        await trio.sleep(1)
        assert drawn(glasses)[-1] == ("00:00 UTC", "short")
        assert [one["mode"] for one in app.of_type("dashboard_mode_changed")] == [
            "expanded",
            "none",
            "main",
        ]
        for link in (app, board, other):
            assert link.of_type("dashboard_always_on_changed") == []


# -- it is there for everybody ---------------------------------------------------------------------


async def test_every_user_has_the_system_dashboard_app_after_the_ack(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        await house.add_app(DASHBOARD, kind="system_dashboard")
        house.connect_when_called(DASHBOARD)
        order = []
        glasses = house.glasses()
        glasses.on_pushed = lambda _: order.append(glasses.messages[-1]["type"])
        await house.webhooks.next_start()
        assert order[0] == "connection_ack"
        await trio.sleep(1)
        assert house.state(USER, DASHBOARD) == "running"
        assert list(await house.store.wanted_apps(USER)) == [], "nobody has asked for it"


@pytest.mark.parametrize(
    ("package", "kind"), [(DASHBOARD, "background"), (OTHER, "system_dashboard")]
)
async def test_other_apps_are_not_started_for_everybody(
    package: PackageName, kind: str, autojump_clock: MockClock
) -> None:
    async with open_household() as house:
        await house.add_app(package, kind=kind)
        await house.attached_glasses()
        await trio.sleep(10)
        assert house.webhooks.starts == []


async def test_it_is_brought_back_like_any_other_app(autojump_clock: MockClock) -> None:
    async with open_two() as (house, _glasses, _app, board):
        board.cut()
        await trio.sleep(20)
        assert house.state(USER, DASHBOARD) == "running"
        assert len([call for call in house.webhooks.starts if call.package == DASHBOARD]) == 2


async def test_it_is_not_in_the_way_of_standard_apps(autojump_clock: MockClock) -> None:
    async with open_two() as (house, _glasses, app, board):
        await house.add_app(OTHER)
        await house.running_app(package=OTHER)
        await app.closed()
        assert board.is_open


async def test_who_stops_it_has_it_again_in_the_next_session(autojump_clock: MockClock) -> None:
    async with open_two() as (house, glasses, _app, board):
        await house.directory.stop_app(USER, DASHBOARD)
        assert not board.is_open
        await trio.sleep(50)
        assert house.state(USER, DASHBOARD) is None
        glasses.cut()
        await trio.sleep(70)
        house.connect_when_called(APP)
        await house.attached_glasses()
        await trio.sleep(10)
        assert house.state(USER, DASHBOARD) == "running"
