"""What subsystems remember of an app goes with it: a session's memory does not grow with apps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.display_state import Starting
from mentra_trio.domain.ids import PackageName
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.sessions.app_session import AppSession
from mentra_trio.sessions.errands import Errands
from mentra_trio.sessions.eyepiece import Eyepiece
from mentra_trio.sessions.subsystem import Workplace
from mentra_trio.sessions.surroundings import Surroundings
from mentra_trio.testing.household import APP, USER, Household, open_one_app
from mentra_trio.testing.links import MemoryLink, Message

EVERYTHING: tuple[Message, ...] = (
    {
        "type": "subscription_update",
        "subscriptions": [
            "custom_message",
            "calendar_event",
            "location_update",
            "audio_chunk",
            "transcription:en-US",
            "button_press",
        ],
    },
    {"type": "display_event", "view": "main", "layout": {"layoutType": "text_wall", "text": "a"}},
    {
        "type": "display_event",
        "view": "dashboard",
        "layout": {"layoutType": "text_wall", "text": "a"},
    },
    {"type": "dashboard_content_update", "content": "x", "modes": ["main", "expanded"]},
    {"type": "audio_play_request", "requestId": "a", "audioUrl": "http://x.test/a.mp3"},
    {"type": "rgb_led_control", "requestId": "l", "action": "on", "color": "red"},
    {"type": "request_wifi_setup", "reason": "why not"},
    {"type": "location_poll_request", "correlationId": "p", "accuracy": "high"},
    {"type": "photo_request", "requestId": "f"},
    {"type": "rtmp_stream_request", "rtmpUrl": "rtmp://x.test/live"},
    {"type": "app_room_join", "roomId": "r"},
    {"type": "app_broadcast_message", "payload": 1, "messageId": "m"},
)


def mentions(found: Any, package: PackageName, path: str, seen: set[int]) -> Iterator[str]:
    """Where in the memory of a subsystem ``package`` stands; the latest boot screen may stay."""
    if id(found) in seen:
        return
    seen.add(id(found))
    if isinstance(found, Workplace | Surroundings | Errands | Eyepiece | Starting):
        return
    if isinstance(found, AppSession):
        if found.package == package:
            yield path
        return
    if isinstance(found, str):
        if found == package:
            yield path
    elif isinstance(found, Mapping):
        for key, value in found.items():
            yield from mentions(key, package, f"{path} key", set())
            yield from mentions(value, package, f"{path}[{key!r}]", seen)
    elif isinstance(found, list | tuple | AbstractSet):
        for one in found:
            yield from mentions(one, package, f"{path}[]", seen)
    elif attrs.has(type(found)) and type(found).__module__.startswith("mentra_trio"):
        for field in attrs.fields(type(found)):
            value = getattr(found, field.name, None)
            yield from mentions(value, package, f"{path}.{field.name}", seen)


def memory_of(house: Household, package: PackageName) -> list[str]:
    session = house.directory.live(USER)
    parts: dict[str, Any] = {type(one).__name__: one for one in session.desk._parts.values()}
    parts["display"] = session.desk.place.display
    parts["neighbours"] = house.directory.surroundings.neighbours
    parts["waiting"] = session.roster.compatibility
    return [
        where
        for name, part in parts.items()
        for field in attrs.fields(type(part))
        if field.name != "roster"
        for where in mentions(getattr(part, field.name), package, f"{name}.{field.name}", set())
    ]


async def busy(house: Household, glasses: MemoryLink, app: MemoryLink) -> None:
    """Have the app ask for everything that there is."""
    house.directory.live(USER).desk.time_told("2026-01-31T13:00:00+01:00")
    glasses.say({"type": "glasses_connection_state", "modelName": "X", "status": "CONNECTED"})
    app.say(*EVERYTHING)
    await wait_all_tasks_blocked()
    glasses.say({"type": "location_update", "lat": 1.0, "lng": 2.0})
    await trio.sleep(1)


async def stops(house: Household) -> None:
    await house.directory.stop_app(USER, APP)


async def is_removed(house: Household) -> None:
    await house.catalog.remove(APP)


async def gives_way(house: Household) -> None:
    house.directory.live(USER).roster.apps[APP].stop(StopCause.FOREGROUND)


async def is_evicted_and_stopped(house: Household) -> None:
    house.directory.live(USER).roster.apps[APP].stop(StopCause.CRASHED)
    await trio.sleep(400)
    await house.directory.stop_app(USER, APP)


@pytest.mark.parametrize("goes", [stops, is_removed, gives_way, is_evicted_and_stopped])
async def test_no_subsystem_remembers_an_app_that_was_stopped(
    goes: Any, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        await busy(house, glasses, app)
        known = memory_of(house, APP)
        assert any(one.startswith("Clock._told") for one in known)
        assert any(one.startswith("Dashboard._told") for one in known)
        assert any(one.startswith("Messaging._here") for one in known)
        await goes(house)
        await trio.sleep(1)
        assert memory_of(house, APP) == []
