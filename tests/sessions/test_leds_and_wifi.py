"""LEDs and the set-up of wifi: forwarded as asked; a failure names the hop, and closes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.ids import package_name
from mentra_trio.sessions.leds import COMMANDS_PER_APP
from mentra_trio.testing.household import APP, USER, open_one_app
from mentra_trio.testing.links import MemoryLink, Message

OTHER = package_name("com.t.other")
WIFI = {"type": "request_wifi_setup", "reason": "to stream"}


def led(name: str = "l", **fields: Any) -> Message:
    return {"type": "rgb_led_control", "requestId": name, "action": "on", **fields}


async def connected(glasses: MemoryLink, model: str) -> None:
    glasses.say({"type": "glasses_connection_state", "modelName": model, "status": "CONNECTED"})
    await wait_all_tasks_blocked()


async def test_the_phone_gets_all_that_the_app_said(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(
            led(color="red", ontime=500, offtime=250, count=3, sessionId="unknown-session-id"),
            led("l2", action="off"),
            WIFI,
        )
        command = await glasses.expect("rgb_led_control")
        command.pop("timestamp")
        assert command == {
            "type": "rgb_led_control",
            "sessionId": USER,
            "requestId": "l",
            "packageName": APP,
            "appId": APP,
            "action": "on",
            "color": "red",
            "ontime": 500,
            "offtime": 250,
            "count": 3,
        }
        assert (await glasses.expect("rgb_led_control"))["action"] == "off"
        wifi = await glasses.expect("show_wifi_setup")
        assert (wifi["reason"], wifi["appPackageName"]) == ("to stream", APP)
        assert app.of_type("tpa_connection_error", "rgb_led_control_response") == []


async def test_the_answer_goes_to_the_app_that_asked(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        await house.add_app(OTHER, kind="background")
        other = await house.running_app(package=OTHER)
        app.say(led())
        await glasses.expect("rgb_led_control")
        other.say(led())
        second = await glasses.expect("rgb_led_control")
        for name in (second["requestId"], "l"):
            glasses.say(
                {
                    "type": "rgb_led_control_response",
                    "requestId": name,
                    "success": name == "l",
                    "error": None if name == "l" else "busy",
                }
            )
        told = await app.expect("rgb_led_control_response")
        assert (told["requestId"], told["success"]) == ("l", True)
        told = await other.expect("rgb_led_control_response")
        assert (told["requestId"], told["success"], told["error"]) == ("l", False, "phone: busy")
        await trio.sleep(1)
        assert len(app.of_type("rgb_led_control_response")) == 1


async def test_late_answers_and_those_for_stopped_apps_go_to_nobody(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(led("late"))
        await trio.sleep(15)
        response = {"type": "rgb_led_control_response", "success": True}
        glasses.say({**response, "requestId": "late"})
        await wait_all_tasks_blocked()
        assert app.of_type("rgb_led_control_response") == []
        app.say(led("stopped"))
        await wait_all_tasks_blocked()
        await house.directory.stop_app(USER, APP)
        again = await house.running_app()
        glasses.say({**response, "requestId": "stopped"})
        await wait_all_tasks_blocked()
        assert again.of_type("rgb_led_control_response") == []


@pytest.mark.parametrize("asked", [led(), WIFI], ids=lambda message: message["type"])
@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (None, "phone: not connected"),
        ("Vuzix Z100", "glasses: Vuzix Z100 has no {}"),
    ],
)
async def test_what_cannot_work_is_told_at_once(
    asked: Message, model: str | None, problem: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (_house, glasses, app):
        if model is None:
            glasses.cut()
            await wait_all_tasks_blocked()
        else:
            await connected(glasses, model)
        app.say(asked)
        await wait_all_tasks_blocked()
        (told,) = app.of_type("tpa_connection_error")
        assert told["message"] == problem.format("wifi" if asked is WIFI else "light")
        assert told["code"]
        assert trio.current_time() == 0
        assert app.is_open
        answers = app.of_type("rgb_led_control_response")
        assert [one["error"] for one in answers] == ([] if asked is WIFI else [told["message"]])
        assert glasses.of_type("rgb_led_control", "show_wifi_setup") == []


@pytest.mark.parametrize("asked", [led(), WIFI], ids=lambda message: message["type"])
async def test_a_phone_that_does_not_read_is_no_phone(
    asked: Message, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (_house, glasses, app):
        await trio.sleep(1)  # what is coalesced is sent
        glasses.room = 0
        app.say(asked)
        told = await app.expect("tpa_connection_error")
        assert told["message"] == "phone: not connected"


async def test_an_app_has_so_many_commands_and_no_more(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(*(led(f"l{number}") for number in range(COMMANDS_PER_APP + 1)))
        told = await app.expect("rgb_led_control_response")
        assert told["requestId"] == f"l{COMMANDS_PER_APP}"
        assert told["error"].startswith("cloud: too many")
        await trio.sleep(15)
        app.say(led("later"))
        await wait_all_tasks_blocked()
        assert len(glasses.of_type("rgb_led_control")) == COMMANDS_PER_APP + 1


async def test_the_answer_waits_for_an_app_that_reconnects(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(led())
        await glasses.expect("rgb_led_control")
        app.cut()
        await trio.sleep(1)
        glasses.say({"type": "rgb_led_control_response", "requestId": "l", "success": True})
        await trio.sleep(1)
        assert (await house.app().expect("rgb_led_control_response"))["success"] is True
