"""Sound: every request finds its way to the phone, and every answer its way back (6.4)."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import SoundAnswered
from mentra_trio.domain.ids import package_name
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.audio_out import SOUNDS_PER_APP
from mentra_trio.testing.household import APP, USER, Household, open_one_app
from mentra_trio.testing.links import MemoryLink, Message

OTHER = package_name("com.t.other")


def play(name: str = "r", **fields: Any) -> Message:
    return {
        "type": "audio_play_request",
        "requestId": name,
        "audioUrl": "https://a.test/b.mp3",
        **fields,
    }


def answer(name: str = "r", **fields: Any) -> Message:
    return {"type": "audio_play_response", "requestId": name, "success": True, **fields}


async def other_app(house: Household) -> MemoryLink:
    await house.add_app(OTHER, kind="background")
    return await house.running_app(package=OTHER)


def tasks(name: str) -> int:
    """How many tasks of that name there are."""
    found, left = 0, [trio.lowlevel.current_root_task()]
    while left:
        task = left.pop()
        assert task is not None
        found += task.name == name
        left += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


async def connected(glasses: MemoryLink, model: str) -> None:
    glasses.say({"type": "glasses_connection_state", "modelName": model, "status": "CONNECTED"})
    await wait_all_tasks_blocked()


async def test_the_phone_gets_all_that_the_app_said(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(play(volume=0.5, stopOtherAudio=False, trackId=2))
        request = await glasses.expect("audio_play_request")
        assert trio.current_time() == 0
        request.pop("timestamp")
        assert request == {
            "type": "audio_play_request",
            "sessionId": USER,
            "requestId": "r",
            "packageName": APP,
            "appId": APP,
            "audioUrl": "https://a.test/b.mp3",
            "volume": 0.5,
            "stopOtherAudio": False,
            "trackId": 2,
        }


async def test_the_answer_goes_to_the_app_that_asked(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        other = await other_app(house)
        other.say({"type": "subscription_update", "subscriptions": ["*", "audio_play_response"]})
        app.say(play())
        await glasses.expect("audio_play_request")
        glasses.say(answer(duration=2.5))
        told = await app.expect("audio_play_response")
        assert (told["requestId"], told["success"], told["duration"]) == ("r", True, 2.5)
        assert told["sessionId"] == f"{USER}-{APP}"
        glasses.say(answer(), answer("of nobody"))
        await trio.sleep(1)
        assert len(app.of_type("audio_play_response")) == 1
        assert other.of_type("audio_play_response", "data_stream") == []


async def test_two_apps_may_use_the_same_name(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        other = await other_app(house)
        app.say(play())
        first = await glasses.expect("audio_play_request")
        other.say(play())
        second = await glasses.expect("audio_play_request")
        assert first["requestId"] == "r" != second["requestId"]
        glasses.say(answer(second["requestId"], success=False, error="a 404"))
        told = await other.expect("audio_play_response")
        assert (told["requestId"], told["success"], told["error"]) == ("r", False, "phone: a 404")
        assert app.of_type("audio_play_response") == []
        glasses.say(answer("r"))
        assert (await app.expect("audio_play_response"))["success"] is True


async def test_without_a_phone_it_fails_at_once(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        glasses.cut()
        await wait_all_tasks_blocked()
        app.say(play())
        await wait_all_tasks_blocked()
        (told,) = app.of_type("audio_play_response")
        assert (told["success"], told["error"]) == (False, "phone: not connected")
        assert trio.current_time() == 0
        assert app.is_open


async def test_a_phone_that_does_not_read_is_no_phone(autojump_clock: MockClock) -> None:
    async with open_one_app(lifecycle=Lifecycle(user_grace_s=300)) as (house, glasses, app):
        await trio.sleep(1)  # what is coalesced is sent
        glasses.room = 0
        app.say(play())
        told = await app.expect("audio_play_response")
        assert (told["success"], told["error"]) == (False, "phone: not connected")
        await trio.sleep(60)
        assert len(app.of_type("audio_play_response")) == 1
        await house.attached_glasses()
        app.say(play("r2"))
        await trio.sleep(59.5)
        assert "no answer" in app.of_type("audio_play_response")[1]["error"], "and watched again"


async def test_the_phone_plays_for_glasses_without_a_speaker(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        await connected(glasses, "Even Realities G1")
        app.say(play())
        await glasses.expect("audio_play_request", within=1)


async def test_a_silent_phone_is_named_before_the_sdk_gives_up(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(play("r1"))
        await trio.sleep(10)
        app.say(play("r2"))
        await trio.sleep(48.9)
        assert app.of_type("audio_play_response") == []
        await trio.sleep(0.2)
        (told,) = app.of_type("audio_play_response")
        assert told["requestId"] == "r1"
        assert told["success"] is False
        assert told["error"] == "phone: no answer within 59 s"
        await trio.sleep(9.7)
        assert len(app.of_type("audio_play_response")) == 1
        await trio.sleep(0.3)
        assert app.of_type("audio_play_response")[1]["requestId"] == "r2"
        app.say(play("r3"))  # the watch begins anew
        await trio.sleep(59.5)
        assert app.of_type("audio_play_response")[2]["requestId"] == "r3"
        glasses.say(answer("r3"))
        await trio.sleep(1)
        assert len(app.of_type("audio_play_response")) == 3


async def test_the_answer_waits_for_an_app_that_reconnects(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(play())
        await glasses.expect("audio_play_request")
        app.cut()
        await trio.sleep(1)
        glasses.say(answer(duration=1))
        await trio.sleep(1)
        back = house.app()
        told = await back.expect("audio_play_response", within=1)
        assert told["duration"] == 1
        assert [message["type"] for message in back.messages].index("tpa_connection_ack") < [
            message["type"] for message in back.messages
        ].index("audio_play_response")
        await trio.sleep(2)
        back.say({"type": "ping"})
        await wait_all_tasks_blocked()
        back.cut()
        await trio.sleep(1)
        again = house.app()
        await trio.sleep(1)
        assert again.of_type("audio_play_response") == [], "it was heard of since"


@pytest.mark.parametrize("heard_after", [None, 0.5, 1.5])
async def test_what_went_into_a_broken_link_is_said_again(
    heard_after: float | None, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(play("r1"), play("r2"))
        await wait_all_tasks_blocked()
        glasses.say(answer("r1"))
        await wait_all_tasks_blocked()
        if heard_after is not None:
            await trio.sleep(heard_after)
            app.say({"type": "ping"})
        glasses.say(answer("r2"))
        await wait_all_tasks_blocked()
        app.cut()
        await trio.sleep(1)
        back = house.app()
        await trio.sleep(1)
        told = [one["requestId"] for one in back.of_type("audio_play_response")]
        assert told == (["r2"] if heard_after == 1.5 else ["r1", "r2"])
        glasses.say(answer("r1"))
        await trio.sleep(1)
        assert len(back.of_type("audio_play_response")) == len(told)


async def test_a_sound_outlives_the_link_of_the_phone(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(play())
        await glasses.expect("audio_play_request")
        glasses.cut()
        await trio.sleep(5)
        assert app.of_type("audio_play_response") == []
        back = await house.attached_glasses()
        back.say(answer())
        assert (await app.expect("audio_play_response"))["success"] is True


async def test_stopping_names_the_app_and_the_track(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say({"type": "audio_stop_request", "trackId": 0}, {"type": "audio_stop_request"})
        one = await glasses.expect("audio_stop_request")
        every = await glasses.expect("audio_stop_request")
        assert (one["appId"], one["trackId"], one["sessionId"]) == (APP, 0, USER)
        assert every["appId"] == APP
        assert "trackId" not in every


async def test_an_app_that_is_stopped_is_not_heard_any_more(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        other = await other_app(house)
        app.say(play())
        await glasses.expect("audio_play_request")
        await house.directory.stop_app(USER, APP)
        assert (await glasses.expect("audio_stop_request"))["appId"] == APP
        await house.directory.stop_app(USER, OTHER)
        assert len(glasses.of_type("audio_stop_request")) == 1, "the other one was silent"
        again = await house.running_app()
        glasses.say(answer())
        await trio.sleep(100)
        assert again.of_type("audio_play_response") == []
        assert other.of_type("audio_play_response") == []


async def test_what_was_answered_to_a_stopped_app_is_forgotten(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(play())
        await glasses.expect("audio_play_request")
        glasses.say(answer())
        await app.expect("audio_play_response")
        await house.directory.stop_app(USER, APP)
        again = await house.running_app()
        await trio.sleep(1)
        assert again.of_type("audio_play_response") == []


async def test_the_clock_is_watched_by_one_task_while_anybody_waits(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (_house, glasses, app):
        app.say(play("r1"), play("r2"))
        await wait_all_tasks_blocked()
        assert tasks("sounds") == 1
        glasses.say(answer("r1"))
        await wait_all_tasks_blocked()
        assert tasks("sounds") == 1
        glasses.say(answer("r2"))
        await wait_all_tasks_blocked()
        assert tasks("sounds") == 0


async def test_what_the_app_has_stopped_itself_is_not_stopped_again(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(play(), {"type": "audio_stop_request", "trackId": 1})
        await glasses.expect("audio_stop_request")
        app.say({"type": "audio_stop_request"})
        await glasses.expect("audio_stop_request")
        await house.directory.stop_app(USER, APP)
        assert len(glasses.of_type("audio_stop_request")) == 2


async def test_a_restart_of_the_server_interrupts_no_music(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        app.say(play())
        await glasses.expect("audio_play_request")
        house.directory.drain()
        await trio.sleep(1)
        assert glasses.of_type("audio_stop_request") == []
        assert not app.is_open


async def test_an_app_has_so_many_sounds_and_no_more(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        other = await other_app(house)
        app.say(*(play(f"r{number}") for number in range(SOUNDS_PER_APP + 1)))
        told = await app.expect("audio_play_response")
        assert told["requestId"] == f"r{SOUNDS_PER_APP}"
        assert told["error"] == "cloud: too many requests of this app under way"
        other.say(play("mine"))
        await wait_all_tasks_blocked()
        assert len(glasses.of_type("audio_play_request")) == SOUNDS_PER_APP + 1


async def test_what_has_come_of_sounds_is_reported(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):

        def problems() -> list[str]:
            return [fact.problem for fact in house.telemetry.of(SoundAnswered)]

        app.say(play())
        await wait_all_tasks_blocked()
        glasses.say(answer())
        await wait_all_tasks_blocked()
        assert problems() == [""]
        app.say(play())
        await wait_all_tasks_blocked()
        glasses.say(answer(success=False, error="what a phone says is not repeated"))
        await wait_all_tasks_blocked()
        app.say(*(play(f"r{number}") for number in range(SOUNDS_PER_APP + 1)))
        await wait_all_tasks_blocked()
        assert problems()[1:] == ["REPORTED", "TOO_MANY_REQUESTS"]
        await trio.sleep(60)
        assert problems()[3:] == ["NO_ANSWER"] * SOUNDS_PER_APP
        glasses.cut()
        await wait_all_tasks_blocked()
        app.say(play())
        await wait_all_tasks_blocked()
        assert problems()[-1] == "PHONE_GLASSES_NOT_CONNECTED"
