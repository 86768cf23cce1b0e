"""Seed 004, "Dashboard Integration": a special system app, always started, that manages content."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.ids import PackageName, user_id
from mentra_trio.testing.household import APP, USER, Household, open_household
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED

DASHBOARD = PackageName("system.augmentos.dashboard")
STREAMS: dict[str, dict[str, Any]] = {
    "phone_notification": {"notificationId": "n", "title": "Ann", "content": "hi"},
    "location_update": {"lat": 1.0, "lng": 2.0},
    "head_position": {"position": "up"},
    "glasses_battery_update": {"level": 50},
    "calendar_event": {"eventId": "e", "title": "Lunch", "dtStart": "2026-01-01T00:30:00Z"},
}


@asynccontextmanager
async def open_dashboard() -> AsyncGenerator[tuple[Household, MemoryLink, MemoryLink]]:
    """A user whose glasses have just connected: the house, the glasses, the dashboard app."""
    async with open_household() as house:
        await house.add_app()
        await house.add_app(DASHBOARD, kind="system_dashboard")
        links = house.connect_when_called(DASHBOARD)
        glasses = await house.attached_glasses()
        await house.webhooks.next_start()
        await wait_all_tasks_blocked()
        (board,) = links
        await board.expect("tpa_connection_ack")
        yield house, glasses, board


def dashboard_of(glasses: MemoryLink) -> dict[str, Any]:
    """The layout that the dashboard has now."""
    shown = [one for one in glasses.of_type("display_event") if one["view"] == "dashboard"]
    layout: dict[str, Any] = shown[-1]["layout"] if shown else {}
    return layout


async def test_always_started_when_the_user_connects(autojump_clock: MockClock) -> None:
    """INITIALIZING to CONNECTING "starts dashboard App"; CONNECTED: "Dashboard App ready"."""
    async with open_dashboard() as (house, _glasses, _board):
        assert house.state(USER, DASHBOARD) == "running"
        other = user_id("other@x.org")
        await house.attached_glasses(other)
        await wait_all_tasks_blocked()
        assert house.state(other, DASHBOARD) == "running"


async def test_event_handling_on_connected_it_subscribes_to_the_necessary_streams(
    autojump_clock: MockClock,
) -> None:
    async with open_dashboard() as (_house, glasses, board):
        board.say({"type": "subscription_update", "subscriptions": list(STREAMS)})
        await wait_all_tasks_blocked()
        for name, fields in STREAMS.items():
            glasses.say({"type": name, **fields})
        await wait_all_tasks_blocked()
        heard = [message["streamType"] for message in board.of_type("data_stream")]
        assert heard == list(STREAMS)


async def test_manages_always_on_display_and_notifications(autojump_clock: MockClock) -> None:
    """Also without any app for it: it is always on, and fed with what the phone tells."""
    async with open_household() as house:
        glasses = await house.attached_glasses()
        for name, fields in STREAMS.items():
            glasses.say({"type": name, **fields})
        await trio.sleep(1)
        assert dashboard_of(glasses) == {
            "layoutType": "double_text_wall",
            "topText": "00:00 UTC\nAnn: hi",
            "bottomText": "50%\n00:30 Lunch",
        }


async def test_handles_layout_and_content_for_other_apps(autojump_clock: MockClock) -> None:
    """Content management: display requests, content sections, coordination with the layout."""
    async with open_dashboard() as (house, glasses, board):
        app = await house.running_app()
        app.say({"type": "dashboard_content_update", "content": "theirs", "modes": ["main"]})
        board.say({"type": "dashboard_system_update", "section": "topRight", "content": "right"})
        await trio.sleep(1)
        assert dashboard_of(glasses)["bottomText"] == "right\ntheirs"
        app.say({"type": "display_event", "layout": {"layoutType": "text_wall", "text": "main"}})
        await glasses.expect("display_event", packageName=APP, view="main")


async def test_handles_app_disconnection_cleanup(autojump_clock: MockClock) -> None:
    """(Notifies dashboard manager.) What a lost app wrote goes, once its grace is over."""
    async with open_dashboard() as (house, glasses, _board):
        app = await house.running_app()
        app.say({"type": "dashboard_content_update", "content": "theirs", "modes": ["main"]})
        await trio.sleep(1)
        assert dashboard_of(glasses)["bottomText"] == "theirs"
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        app.cut()
        await trio.sleep(4)
        assert dashboard_of(glasses)["bottomText"] == "theirs"
        await trio.sleep(2)
        assert dashboard_of(glasses)["bottomText"] == ""
