"""Calendar, notifications, date and time: what apps are told, and what of it later ones (4.11)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.errors import DecodeError, SessionEnded
from mentra_trio.domain.ids import user_id
from mentra_trio.sessions.phone import phone_writes
from mentra_trio.testing.household import APP, USER, Household, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink, Message, frame_of

NOW = "2026-01-31T13:00:00+01:00"


def wants(*entries: str) -> Message:
    return {"type": "subscription_update", "subscriptions": list(entries)}


def event(name: str, start: str, **fields: Any) -> Message:
    return {"type": "calendar_event", "eventId": name, "title": name, "dtStart": start, **fields}


def heard(app: MemoryLink, stream: str) -> list[Any]:
    return [one["data"] for one in app.of_type("data_stream") if one["streamType"] == stream]


def set_clock(house: Household, datetime: str = NOW) -> None:
    house.directory.live(USER).desk.time_told(datetime)


def clocks(app: MemoryLink) -> list[str]:
    messages = app.of_type("custom_message")
    assert {one["action"] for one in messages} <= {"update_datetime"}
    return [one["payload"]["datetime"] for one in messages]


async def test_who_is_new_to_the_calendar_learns_what_is_to_come_first(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        year = house.directory.surroundings.environment.utcnow().year
        glasses.say(
            event("past", f"{year - 1}-01-01T10:00:00Z"),
            event("far", f"{year + 2}-01-01T10:00:00Z"),
            event("soon", f"{year + 1}-01-01T10:00:00Z", location="Room 5", notes="x"),
            event("long past", f"{year - 3}-01-01T10:00:00Z"),
            event("far", f"{year + 2}-01-01T11:00:00+01:00", location="moved"),
        )
        await wait_all_tasks_blocked()
        app.say(wants("button_press"), wants("button_press", "calendar_event"))
        await wait_all_tasks_blocked()
        told = heard(app, "calendar_event")
        assert [one["title"] for one in told] == ["soon", "far", "past", "long past"]
        assert told[0]["location"] == "Room 5", "as the phone wrote it"
        assert told[1]["location"] == "moved"
        app.say(wants("calendar_event"))
        await wait_all_tasks_blocked()
        assert len(heard(app, "calendar_event")) == 4, "it is not new to it"
        glasses.say(event("new", f"{year + 1}-02-01T10:00:00Z"))
        await wait_all_tasks_blocked()
        assert [one["title"] for one in heard(app, "calendar_event")][4:] == ["new"]


async def test_a_start_may_be_a_number(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        glasses.say({**event("a", ""), "dtStart": 4_000_000_000_000}, event("b", "some day"))
        await wait_all_tasks_blocked()
        app.say(wants("calendar_event"))
        await wait_all_tasks_blocked()
        assert [one["title"] for one in heard(app, "calendar_event")] == ["a", "b"]


async def test_the_calendar_needs_its_permission(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.add_app(permissions=["LOCATION"])
        glasses = await house.attached_glasses()
        app = await house.running_app()
        glasses.say(event("a", "2030-01-01"))
        app.say(wants("calendar_event"))
        await wait_all_tasks_blocked()
        assert heard(app, "calendar_event") == []


async def test_a_runtime_that_begins_anew_learns_it_again(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        glasses.say(event("a", "2030-01-01"))
        await wait_all_tasks_blocked()
        app.say(wants("calendar_event"))
        await wait_all_tasks_blocked()
        app.cut()
        new = house.answer(await house.webhooks.next_start())
        await new.expect("tpa_connection_ack")
        new.say(wants(), wants("calendar_event"))
        await trio.sleep(1)
        assert [one["title"] for one in heard(new, "calendar_event")] == ["a"]


# -- what is written as it came ------------------------------------------------------------


async def test_frames_of_the_phone_are_all_heard_or_none(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.say(wants("calendar_event", "phone_notification"))
        await wait_all_tasks_blocked()
        notification = {"type": "phone_notification", "notificationId": "n", "more": {"x": 1}}
        frames = [str(frame_of(one)) for one in (event("a", "2030-01-01"), notification)]
        phone_writes(house.directory, USER, frames)
        await wait_all_tasks_blocked()
        assert heard(app, "phone_notification") == [notification]
        bad = str(frame_of({"type": "calendar_event"}))
        with pytest.raises(DecodeError, match="eventId"):
            phone_writes(house.directory, USER, [*frames, bad])
        await wait_all_tasks_blocked()
        assert len(heard(app, "calendar_event")) == 1
        with pytest.raises(SessionEnded):
            phone_writes(house.directory, user_id("nobody@x.org"), frames)


# -- date and time -------------------------------------------------------------------------


async def test_those_who_take_custom_messages_are_told(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        set_clock(house, "2026-01-31T12:59:00+01:00")
        await wait_all_tasks_blocked()
        assert clocks(app) == []
        set_clock(house)
        app.say(wants("custom_message"))
        await wait_all_tasks_blocked()
        (message,) = app.of_type("custom_message")
        assert message["payload"] == {"datetime": NOW, "section": "topLeft"}
        assert message["sessionId"] == f"{USER}-{APP}"
        app.say(wants("custom_message", "button_press"))
        await wait_all_tasks_blocked()
        assert clocks(app) == [NOW], "repeated only for those who are new to it"
        set_clock(house, "2026-01-31T13:01:00+01:00")
        await wait_all_tasks_blocked()
        assert clocks(app) == [NOW, "2026-01-31T13:01:00+01:00"]


@pytest.mark.parametrize("changed", [False, True])
async def test_an_app_that_was_away_learns_what_has_changed(
    autojump_clock: MockClock, *, changed: bool
) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.say(wants("custom_message"))
        await wait_all_tasks_blocked()
        set_clock(house)
        app.cut()
        await trio.sleep(1)
        if changed:
            set_clock(house, "2026-01-31T13:01:00+01:00")
            set_clock(house, "2026-01-31T13:02:00+01:00")
        back = house.app()
        await trio.sleep(1)
        assert clocks(back) == (["2026-01-31T13:02:00+01:00"] if changed else [])


async def test_an_app_that_was_away_when_it_was_told_first_learns_it(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.say(wants("custom_message"))
        await wait_all_tasks_blocked()
        app.cut()
        await trio.sleep(1)
        set_clock(house)
        back = house.app()
        await trio.sleep(1)
        assert clocks(back) == [NOW]


async def test_a_runtime_that_begins_anew_learns_it_when_it_has_asked(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, app):
        set_clock(house)
        app.say(wants("custom_message"))
        await wait_all_tasks_blocked()
        app.cut()
        new = house.answer(await house.webhooks.next_start())
        await new.expect("tpa_connection_ack")
        new.say(wants())
        await wait_all_tasks_blocked()
        assert clocks(new) == [], "its author's handlers are not there yet"
        new.say(wants("custom_message"))
        await wait_all_tasks_blocked()
        assert clocks(new) == [NOW]


async def test_who_asks_again_after_it_did_not_want_it_learns_it_again(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, app):
        set_clock(house)
        for wanted in (wants("custom_message"), wants("button_press"), wants("custom_message")):
            app.say(wanted)
            await wait_all_tasks_blocked()
        assert clocks(app) == [NOW, NOW]


async def test_a_new_app_session_is_told_anew(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.say(wants("custom_message"))
        await wait_all_tasks_blocked()
        set_clock(house)
        await house.directory.stop_app(USER, APP)
        again = await house.running_app()
        again.say(wants("custom_message"))
        await wait_all_tasks_blocked()
        assert clocks(again) == [NOW]


async def test_what_is_no_date_is_refused(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.say(wants("custom_message"))
        await wait_all_tasks_blocked()
        with pytest.raises(ValueError, match="ISO 8601"):
            set_clock(house, "noon")
        assert clocks(app) == []
