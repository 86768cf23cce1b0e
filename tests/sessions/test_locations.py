"""Locations: how exactly the phone watches, who is told, and who is answered (4.4, 4.11, 6.8)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import FrameIgnored
from mentra_trio.domain.ids import package_name
from mentra_trio.sessions.replies import KEPT_PER_APP
from mentra_trio.testing.household import APP, USER, Household, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink, Message

OTHER = package_name("com.t.other")
HERE = {"type": "location_update", "lat": 48.1, "lng": 11.6, "accuracy": 12, "altitude": 519}


def wants(*entries: Any) -> Message:
    return {"type": "subscription_update", "subscriptions": list(entries)}


def stream(rate: str) -> Message:
    return {"stream": "location_stream", "rate": rate}


def poll(name: str = "p", accuracy: str = "high") -> Message:
    return {"type": "location_poll_request", "correlationId": name, "accuracy": accuracy}


def tiers(glasses: MemoryLink) -> list[str]:
    return [message["tier"] for message in glasses.of_type("set_location_tier")]


def located(app: MemoryLink) -> list[Message]:
    streams = ("location_update", "location_stream")
    return [one for one in app.of_type("data_stream") if one["streamType"] in streams]


def answers(app: MemoryLink) -> list[str]:
    return [one["data"]["correlationId"] for one in located(app) if "correlationId" in one["data"]]


@asynccontextmanager
async def open_two_apps() -> AsyncGenerator[tuple[Household, MemoryLink, MemoryLink, MemoryLink]]:
    async with open_one_app() as (house, glasses, app):
        await house.add_app(OTHER, kind="background")
        yield house, glasses, app, await house.running_app(package=OTHER)


# -- how exactly ------------------------------------------------------------------------


async def test_the_finest_wish_counts_and_nothing_is_said_twice(
    autojump_clock: MockClock,
) -> None:
    async with open_two_apps() as (house, glasses, app, other):
        assert tiers(glasses) == ["reduced"]
        app.say(wants(stream("high")))
        await wait_all_tasks_blocked()
        assert trio.current_time() == 0, "up at once"
        other.say(wants(stream("reduced")))
        await trio.sleep(5)
        other.say(wants("location_update", "button_press"))
        await trio.sleep(5)
        assert tiers(glasses) == ["reduced", "high"]
        await house.directory.stop_app(USER, APP)
        await trio.sleep(1.1)
        assert tiers(glasses) == ["reduced", "high", "standard"]
        await house.directory.stop_app(USER, OTHER)
        await trio.sleep(1.1)
        assert tiers(glasses) == ["reduced", "high", "standard", "reduced"]


async def test_a_short_lack_of_wishes_is_not_noticed(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(wants(stream("high")))
        await wait_all_tasks_blocked()
        for _ in range(3):
            app.say(wants())
            await trio.sleep(0.6)
            app.say(wants(stream("high")))
            await trio.sleep(0.6)
        assert tiers(glasses) == ["reduced", "high"]
        app.say(wants())
        await trio.sleep(0.5)
        app.say(wants(stream("kilometer")))
        await trio.sleep(0.6)
        assert tiers(glasses) == ["reduced", "high", "kilometer"]


async def test_glasses_that_return_are_told_again(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(wants(stream("realtime")))
        await wait_all_tasks_blocked()
        glasses.cut()
        await trio.sleep(1)
        app.say(wants(stream("tenMeters")))
        await trio.sleep(3)
        back = await house.attached_glasses()
        await trio.sleep(3)
        assert tiers(back) == ["tenMeters"]


@pytest.mark.parametrize("first", ["the wish", "the glasses"])
async def test_glasses_that_return_at_once_are_told_once(
    first: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(wants(stream("realtime")))
        await wait_all_tasks_blocked()
        if first == "the wish":
            app.say(wants(stream("tenMeters")))
            await wait_all_tasks_blocked()
        glasses.cut()
        await wait_all_tasks_blocked()
        app.say(wants(stream("tenMeters")))
        await trio.sleep(0.5)
        back = await house.attached_glasses()
        await trio.sleep(3)
        assert tiers(back) == ["tenMeters"]


async def test_a_wish_counts_while_its_app_is_expected_back(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(wants(stream("high")))
        await wait_all_tasks_blocked()
        app.cut()
        await trio.sleep(4)
        house.app().say(wants(), wants(stream("high")))
        await trio.sleep(4)
        assert tiers(glasses) == ["reduced", "high"]


# -- locations ---------------------------------------------------------------------------


async def test_who_is_new_to_locations_learns_the_latest(autojump_clock: MockClock) -> None:
    async with open_two_apps() as (_house, glasses, app, other):
        glasses.say({**HERE, "lat": 1}, HERE)
        await wait_all_tasks_blocked()
        app.say(wants("location_update", "button_press"))
        other.say(wants(stream("high"), "location_update"))
        await wait_all_tasks_blocked()
        (one,) = located(app)
        assert (one["streamType"], one["data"]) == ("location_update", HERE)
        assert one["sessionId"] == f"{USER}-{APP}"
        assert {two["streamType"] for two in located(other)} == {
            "location_stream",
            "location_update",
        }
        app.say(wants("location_update"))
        await wait_all_tasks_blocked()
        assert len(located(app)) == 1, "it is not new to them"


async def test_updates_go_to_all_who_subscribed(autojump_clock: MockClock) -> None:
    async with open_two_apps() as (_house, glasses, app, other):
        app.say(wants("location_update"))
        await wait_all_tasks_blocked()
        glasses.say({**HERE, "correlationId": ""})
        await wait_all_tasks_blocked()
        assert [one["data"]["altitude"] for one in located(app)] == [519], "as it was written"
        assert located(other) == []


async def test_a_place_that_is_not_on_earth_is_ignored(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(wants("location_update"))
        await wait_all_tasks_blocked()
        glasses.say({**HERE, "lat": 91})
        await wait_all_tasks_blocked()
        assert located(app) == []
        assert len(house.telemetry.of(FrameIgnored)) == 1


async def test_a_long_message_is_handed_on_but_not_remembered_whole(
    autojump_clock: MockClock,
) -> None:
    async with open_two_apps() as (_house, glasses, app, other):
        app.say(wants("location_update"))
        await wait_all_tasks_blocked()
        glasses.say({**HERE, "note": "x" * 5_000})
        await wait_all_tasks_blocked()
        assert len(located(app)[0]["data"]["note"]) == 5_000
        other.say(wants("location_update"))
        await wait_all_tasks_blocked()
        expected = {key: value for key, value in HERE.items() if key != "altitude"}
        assert located(other)[0]["data"] == expected


# -- questions for one --------------------------------------------------------------------


async def test_a_fresh_location_answers_without_the_phone(autojump_clock: MockClock) -> None:
    async with open_two_apps() as (_house, glasses, app, other):
        other.say(wants("location_update"))
        glasses.say(HERE)
        await trio.sleep(10)
        app.say(poll("p1", "high"))
        await wait_all_tasks_blocked()
        (one,) = located(app)
        assert one["streamType"] == "location_update"
        assert one["data"] == {**HERE, "correlationId": "p1"}
        assert answers(other) == []
        await trio.sleep(1)
        app.say(poll("p2", "high"), poll("p3", "standard"), poll("p4", "of no kind"))
        await wait_all_tasks_blocked()
        assert answers(app) == ["p1", "p3", "p4"]
        (asked,) = glasses.of_type("request_single_location")
        assert (asked["accuracy"], asked["correlationId"]) == ("high", "p2")


async def test_the_answer_of_the_phone_is_for_the_asker_and_remembered(
    autojump_clock: MockClock,
) -> None:
    async with open_two_apps() as (_house, glasses, app, other):
        other.say(wants("location_update"))
        app.say(wants("location_update"))
        await wait_all_tasks_blocked()
        app.say(poll("p1"))
        asked = await glasses.expect("request_single_location")
        glasses.say({**HERE, "correlationId": asked["correlationId"]})
        await wait_all_tasks_blocked()
        assert answers(app) == ["p1"]
        assert located(other) == []
        await trio.sleep(5)
        app.say(wants("location_update", "location_stream"))
        await wait_all_tasks_blocked()
        assert located(app)[-1]["data"] == HERE, "for those who are new to it, it is no answer"
        other.say(poll("p2"))
        await wait_all_tasks_blocked()
        assert answers(other) == ["p2"]
        assert len(glasses.of_type("request_single_location")) == 1


async def test_those_who_ask_together_share_a_question(autojump_clock: MockClock) -> None:
    async with open_two_apps() as (_house, glasses, app, other):
        app.say(poll("p1"))
        await wait_all_tasks_blocked()
        other.say(poll("p1", "standard"))
        await wait_all_tasks_blocked()
        (asked,) = glasses.of_type("request_single_location")
        glasses.say({**HERE, "correlationId": asked["correlationId"]})
        await wait_all_tasks_blocked()
        assert answers(app) == answers(other) == ["p1"]
        glasses.say({**HERE, "correlationId": asked["correlationId"]})
        await wait_all_tasks_blocked()
        assert answers(app) == ["p1"], "once"


async def test_an_answer_that_comes_too_late_is_remembered_only(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(wants("location_update"), poll())
        await trio.sleep(15)
        glasses.say({**HERE, "correlationId": "p"})
        await wait_all_tasks_blocked()
        assert located(app) == []
        app.say(poll("p2"))
        await wait_all_tasks_blocked()
        assert answers(app) == ["p2"]


async def test_without_a_phone_any_location_will_do(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        glasses.say(HERE)
        await wait_all_tasks_blocked()
        glasses.cut()
        await trio.sleep(50)
        app.say(poll("p", "realtime"))
        await wait_all_tasks_blocked()
        assert answers(app) == ["p"]


@pytest.mark.parametrize("away", [10, 15])
async def test_a_phone_that_comes_in_time_is_asked(away: float, autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        glasses.cut()
        await wait_all_tasks_blocked()
        app.say(poll())
        await trio.sleep(away)
        assert app.is_open
        assert app.of_type("tpa_connection_error") == []
        back = await house.attached_glasses()
        await wait_all_tasks_blocked()
        asked = [one["correlationId"] for one in back.of_type("request_single_location")]
        assert asked == (["p"] if away < 15 else [])


async def test_the_answer_waits_for_an_app_that_reconnects(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(poll())
        await glasses.expect("request_single_location")
        app.cut()
        await trio.sleep(1)
        glasses.say({**HERE, "correlationId": "p"})
        await trio.sleep(1)
        back = house.app()
        await trio.sleep(1)
        assert answers(back) == ["p"]


async def test_an_app_that_is_stopped_is_not_answered(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(poll())
        await glasses.expect("request_single_location")
        await house.directory.stop_app(USER, APP)
        again = await house.running_app()
        glasses.say({**HERE, "correlationId": "p"})
        await trio.sleep(1)
        assert located(again) == []


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [((), False), (("CAMERA",), False), (("LOCATION",), True), (("BACKGROUND_LOCATION",), True)],
)
async def test_a_question_needs_the_permission(
    permissions: tuple[str, ...], *, allowed: bool, autojump_clock: MockClock
) -> None:
    async with open_household() as house:
        await house.add_app(permissions=permissions)
        glasses = await house.attached_glasses()
        app = await house.running_app()
        glasses.say(HERE)
        await wait_all_tasks_blocked()
        app.say(poll())
        await wait_all_tasks_blocked()
        assert answers(app) == (["p"] if allowed else [])
        refusals = app.of_type("permission_error")
        assert len(refusals) == (0 if allowed else 1)
        for refusal in refusals:
            (detail,) = refusal["details"]
            assert detail["requiredPermission"] == "LOCATION"
            assert detail["stream"] == "location_update"
        assert app.is_open


async def test_so_many_answers_are_said_again_and_no_more(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        glasses.say(HERE)
        await wait_all_tasks_blocked()
        app.say(*(poll(f"p{number}") for number in range(KEPT_PER_APP + 8)))
        await wait_all_tasks_blocked()
        assert len(answers(app)) == KEPT_PER_APP + 8
        app.cut()
        await trio.sleep(1)
        back = house.app()
        await trio.sleep(1)
        assert answers(back) == [f"p{number}" for number in range(8, KEPT_PER_APP + 8)]
