"""Messages for an app that is away: kept, dropped or told of; and in which order they arrive."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import FrameDropped, MessagesMissed
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.sessions.app_session import AppSession
from mentra_trio.sessions.delivery import QUEUED, SENT, Outcome, deliver
from mentra_trio.testing.household import APP, USER, Household, open_one_app
from mentra_trio.testing.links import MemoryLink


def session(house: Household) -> AppSession:
    return house.directory._users[USER].roster.apps[APP]


def press(number: int) -> dict[str, object]:
    return {"type": "button_press", "buttonId": str(number), "pressType": "short"}


def heard(link: MemoryLink) -> list[str]:
    return [message["data"]["buttonId"] for message in link.of_type("data_stream")]


async def listening(house: Household, link: MemoryLink, *streams: str) -> None:
    link.say({"type": "subscription_update", "subscriptions": list(streams)})
    await wait_all_tasks_blocked()


async def test_within_grace_they_come_right_after_the_ack_and_before_anything_newer(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        await listening(house, link, "button_press")
        link.cut()
        glasses.say(press(0), press(1))
        await trio.sleep(1)
        back = house.app(token="t1")
        glasses.say(press(2))
        await back.expect("tpa_connection_ack")
        glasses.say(press(3))
        await wait_all_tasks_blocked()
        assert heard(back) == list("0123")


async def test_a_new_runtime_gets_them_when_it_has_said_what_it_wants(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        await listening(house, link, "button_press", "head_position")
        link.cut()
        glasses.say(press(0), {"type": "head_position", "position": "up"}, press(1))
        back = house.answer(await house.webhooks.next_start())
        await back.expect("tpa_connection_ack")
        await listening(house, back)
        glasses.say(press(2))
        await trio.sleep(0.5)
        assert back.of_type("data_stream") == [], "nobody there would hear it yet"
        await listening(house, back, "head_position")
        glasses.say(press(3))
        await listening(house, back, "head_position", "button_press")
        await trio.sleep(0.2)
        glasses.say(press(4))
        await wait_all_tasks_blocked()
        found = [(m["streamType"], m["data"].get("buttonId")) for m in back.of_type("data_stream")]
        buttons = [button for stream, button in found if stream == "button_press"]
        assert buttons == list("01234")
        assert [stream for stream, _ in found].count("head_position") == 1


async def test_of_a_state_only_the_latest_is_kept_and_of_audio_nothing(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        await listening(house, link, "head_position", "audio_chunk", "glasses_battery_update")
        link.cut()
        for level in (3, 2, 1):
            glasses.say({"type": "glasses_battery_update", "level": level, "charging": False})
            glasses.say(b"pcm", {"type": "head_position", "position": "up"})
        await trio.sleep(1)
        back = house.app(token="t1")
        await back.expect("tpa_connection_ack")
        kinds = [m["streamType"] for m in back.of_type("data_stream")]
        assert sorted(kinds) == ["glasses_battery_update", "head_position"]
        [battery] = [m for m in back.of_type("data_stream") if "level" in m["data"]]
        assert battery["data"]["level"] == 1
        assert back.audio == []


async def test_what_does_not_fit_is_told_as_a_gap_before_the_rest(
    autojump_clock: MockClock,
) -> None:
    lifecycle = Lifecycle(kept_messages=3)
    async with open_one_app(lifecycle=lifecycle) as (house, glasses, link):
        await listening(house, link, "button_press")
        link.cut()
        glasses.say(*(press(n) for n in range(5)))
        await trio.sleep(1)
        back = house.app(token="t1")
        await back.expect("tpa_connection_ack")
        kinds = [m["type"] for m in back.messages]
        assert kinds[-4:] == ["custom_message", "data_stream", "data_stream", "data_stream"]
        [gap] = back.of_type("custom_message")
        assert gap["action"] == "messages_missed"
        assert gap["payload"]["count"] == 2
        assert gap["payload"]["reason"] == "too many messages"
        assert heard(back) == list("234")
        [missed] = house.telemetry.of(MessagesMissed)
        assert missed.count == 2


async def test_what_is_too_old_is_told_as_a_gap(autojump_clock: MockClock) -> None:
    lifecycle = Lifecycle(grace_s=300)
    async with open_one_app(lifecycle=lifecycle) as (house, glasses, link):
        await listening(house, link, "button_press")
        link.cut()
        glasses.say(press(0))
        await trio.sleep(100)
        glasses.say(press(1))
        await trio.sleep(21)
        back = house.app(token="t1")
        await back.expect("tpa_connection_ack")
        assert heard(back) == ["1"]
        [gap] = back.of_type("custom_message")
        assert gap["payload"] == {
            "count": 1,
            "since": "2026-01-01T00:00:00.000Z",
            "reason": "too old",
        }


async def test_deliver_says_what_has_become_of_a_message(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, link):
        await listening(house, link, "button_press")
        app = session(house)
        assert deliver(app, "button_press", '{"n":1}') == SENT
        link.cut()
        await wait_all_tasks_blocked()
        assert [deliver(app, "button_press", "{}") for _ in range(3)] == [QUEUED] * 3
        dropped = deliver(app, "audio_chunk", "{}")
        assert (dropped.outcome, dropped.why) == (
            Outcome.DROPPED,
            "messages of this kind are not kept",
        )
        await house.directory.stop_app(USER, APP)
        dropped = deliver(app, "button_press", "{}")
        assert (dropped.outcome, dropped.why) == (Outcome.DROPPED, "the app is not expected back")
        assert len(house.telemetry.of(FrameDropped)) == 2


async def test_what_a_failing_link_does_not_take_is_kept_for_the_next(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        await listening(house, link, "button_press")
        link.room = 1
        glasses.say(*(press(n) for n in range(4)))
        await wait_all_tasks_blocked()
        back = house.app(token="t1")
        await back.expect("tpa_connection_ack")
        assert heard(link) + heard(back) == list("0123")


async def test_a_link_that_fails_while_they_are_sent_loses_none(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, glasses, link):
        await listening(house, link, "button_press")
        link.cut()
        glasses.say(*(press(n) for n in range(6)))
        await trio.sleep(1)
        narrow = MemoryLink("narrow")
        narrow.room = 5
        house.app(token="t1", link=narrow)
        await trio.sleep(1)
        wide = house.app(token="t1")
        await wide.expect("tpa_connection_ack")
        assert heard(narrow) + heard(wide) == list("012345")


@pytest.mark.parametrize("end", ["stop", "user left for good"])
async def test_with_the_end_they_are_forgotten(end: str, autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, link):
        await listening(house, link, "button_press")
        link.cut()
        glasses.say(press(0))
        await trio.sleep(1)
        if end == "stop":
            await house.directory.stop_app(USER, APP)
        else:
            glasses.cut()
            await trio.sleep(70)
            glasses = await house.attached_glasses()
        await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.directory.start_app, USER, APP)
            new = house.answer(await house.webhooks.next_start())
        await listening(house, new, "button_press")
        await trio.sleep(1)
        assert new.of_type("data_stream") == []


async def test_a_gap_that_a_failing_link_did_not_take_is_told_over_the_next(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app(lifecycle=Lifecycle(kept_messages=2)) as (house, glasses, link):
        await listening(house, link, "button_press")
        link.cut()
        glasses.say(*(press(number) for number in range(5)))
        await wait_all_tasks_blocked()
        full = MemoryLink("full", room=2)  # snapshot and ack
        house.app(token="t1", link=full)
        await full.closed()
        assert house.telemetry.of(MessagesMissed) == []
        back = house.app(token="t1")
        missed = await back.expect("custom_message")
        assert missed["payload"]["count"] == 3
        await wait_all_tasks_blocked()
        assert heard(back) == ["3", "4"]
