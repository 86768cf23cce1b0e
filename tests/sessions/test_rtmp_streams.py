"""Unmanaged streams: one for each user, asked whether it lives, told to its app in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio
from streaming import CHECK, MANAGED, URL, device, rtmp, say, status, told, two_apps
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import FrameIgnored, StreamChanged
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.testing.household import APP, USER, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.live_streams import ScriptedStreams


async def started(app: MemoryLink, glasses: MemoryLink) -> str:
    """Start a stream and let it become active: its id."""
    app.say(rtmp())
    start = await glasses.expect("start_rtmp_stream")
    stream: str = start["streamId"]
    await say(glasses, status(stream, "streaming"))
    return stream


def acknowledge(glasses: MemoryLink) -> Callable[[], None]:
    """From now on the glasses answer keep-alives; call what is returned to end that."""
    silent = trio.Event()

    def answer(frame: str | bytes) -> None:
        message = glasses.messages[-1]
        if not silent.is_set() and message["type"] == "keep_rtmp_stream_alive":
            answered = {key: message[key] for key in ("streamId", "ackId")}
            glasses.say({"type": "keep_alive_ack", **answered})

    glasses.on_pushed = answer
    return silent.set


async def test_a_stream_begins_and_ends(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        video, audio = {"width": 640, "frameRate": 15}, {"bitrate": 64_000}
        app.say(rtmp(video=video, audio=audio, stream={"durationLimit": 60}))
        start = await glasses.expect("start_rtmp_stream")
        assert (start["rtmpUrl"], start["appId"], start["sessionId"]) == (URL, APP, USER)
        assert (start["video"], start["audio"]) == (video, audio)
        assert start["stream"] == {"durationLimit": 60}
        stats = {"bitrate": 1, "fps": 15, "droppedFrames": 0, "duration": 2}
        await say(glasses, status(start["streamId"], "streaming", stats=stats))
        await say(app, {"type": "rtmp_stream_stop", "streamId": start["streamId"]})
        stop = await glasses.expect("stop_rtmp_stream")
        assert (stop["streamId"], stop["appId"]) == (start["streamId"], APP)
        assert told(app) == ["initializing", "active", "stopped"]
        messages = app.of_type("rtmp_stream_status")
        assert {m["streamId"] for m in messages} == {start["streamId"]}
        assert {m["sessionId"] for m in messages} == {f"{USER}-{APP}"}
        assert messages[1]["stats"] == stats
        assert [fact.status for fact in house.telemetry.of(StreamChanged)] == told(app)


async def test_a_stop_needs_no_id(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        await started(app, glasses)
        await say(app, {"type": "rtmp_stream_stop"})
        assert told(app)[-1] == "stopped"
        assert len(glasses.of_type("stop_rtmp_stream")) == 1


async def test_what_is_stopped_already_is_said_to_be(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        await say(app, {"type": "rtmp_stream_stop", "streamId": "old"})
        (message,) = app.of_type("rtmp_stream_status")
        assert (message["status"], message["streamId"]) == ("stopped", "old")
        await started(app, glasses)
        await say(app, {"type": "rtmp_stream_stop", "streamId": "old"})
        assert not glasses.of_type("stop_rtmp_stream"), "that one goes on"


REFUSED: list[tuple[list[dict[str, Any]], str, str]] = [
    ([], "http://a.test/x", "app: the address must begin with rtmp://"),
    ([device(status="DISCONNECTED")], URL, "glasses: not connected"),
    ([device("Vuzix Z100")], URL, "glasses: Vuzix Z100 has no camera"),
    ([device(wifi={"connected": False})], URL, "glasses: no_wifi_connection"),
]


@pytest.mark.parametrize(("said", "url", "text"), REFUSED)
async def test_what_cannot_work_is_refused_at_once(
    said: list[dict[str, Any]], url: str, text: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (_house, glasses, app):
        await say(glasses, *said)
        began = trio.current_time()
        app.say(rtmp(url))
        refusal = await app.expect("rtmp_stream_status")
        assert refusal["status"] == "error"
        assert refusal["errorDetails"].startswith(text)
        assert trio.current_time() == began
        assert not glasses.of_type("start_rtmp_stream")
        assert app.is_open


async def test_it_needs_the_camera_permission(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        await house.add_app(permissions=[])
        glasses = await house.attached_glasses()
        app = await house.running_app()
        await say(app, rtmp())
        (refusal,) = app.of_type("rtmp_stream_status")
        text = "app: Camera permission required to start video streams"
        assert refusal["errorDetails"] == text
        assert not glasses.of_type("start_rtmp_stream")


async def test_without_a_phone_it_is_refused(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        glasses.cut()
        await wait_all_tasks_blocked()
        await say(app, rtmp())
        (refusal,) = app.of_type("rtmp_stream_status")
        assert refusal["errorDetails"] == "phone: not connected"


async def test_wifi_that_nothing_is_known_of_is_in_nobodys_way(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        await say(glasses, device())
        await started(app, glasses)


async def test_a_managed_stream_is_in_the_way(autojump_clock: MockClock) -> None:
    async with open_household(live_streams=ScriptedStreams(live_after=1.0)) as house:
        glasses, app, other = await two_apps(house)
        await say(other, MANAGED)
        await say(app, rtmp())
        (refusal,) = app.of_type("rtmp_stream_status")
        assert refusal["status"] == "error"
        assert "managed" in refusal["errorDetails"]
        assert not glasses.of_type("stop_rtmp_stream")


async def test_a_new_stream_replaces_the_one_before(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app, other = await two_apps(house)
        first = await started(app, glasses)
        await say(other, rtmp("rtmp://b.test/x"))
        assert [m["streamId"] for m in glasses.of_type("stop_rtmp_stream")] == [first]
        assert told(app) == ["initializing", "active", "stopped"]
        second = glasses.of_type("start_rtmp_stream")[1]["streamId"]
        assert second != first
        await say(glasses, status(first, "stopped"), status(second, "active"))
        assert told(other) == ["initializing", "active"], "the end of the first is not its own"


async def test_each_app_is_told_in_one_way(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app, other = await two_apps(house)
        for link in (app, other):
            await say(
                link, {"type": "subscription_update", "subscriptions": ["rtmp_stream_status"]}
            )
        stream = await started(app, glasses)
        assert told(app) == ["initializing", "active"]
        assert not app.of_type("data_stream")
        copies = [m["data"] for m in other.of_type("data_stream")]
        assert [copy["status"] for copy in copies] == ["initializing", "active"]
        assert {copy["streamId"] for copy in copies} == {stream}
        assert not other.of_type("rtmp_stream_status")


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("connecting", "initializing"),
        ("reconnecting", "initializing"),
        ("stopping", "stopping"),
        ("disconnected", "stopped"),
        ("error", "error"),
        ("timeout", "timeout"),
    ],
)
async def test_statuses_are_told_in_the_apps_words(
    said: str, heard: str, autojump_clock: MockClock
) -> None:
    async with open_one_app() as (_house, glasses, app):
        stream = await started(app, glasses)
        await say(glasses, status(stream, said, errorDetails="why"))
        message = app.of_type("rtmp_stream_status")[-1]
        assert (message["status"], message["errorDetails"]) == (heard, "phone: why")
        assert not glasses.of_type("stop_rtmp_stream")


async def test_a_status_without_an_id_is_of_the_stream_there_is(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        await started(app, glasses)
        await say(glasses, status(None, "error"))
        assert told(app)[-1] == "error"
        await say(glasses, status(None, "active"), status("x", "perhaps"))
        assert told(app)[-1] == "error"


async def test_words_that_are_not_known_are_ignored(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        stream = await started(app, glasses)
        await say(glasses, status(stream, "dancing"))
        assert told(app) == ["initializing", "active"]
        (ignored,) = house.telemetry.of(FrameIgnored)
        assert "dancing" not in ignored.problem


async def test_a_stream_that_nobody_wants_is_stopped(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        await say(glasses, status("lost", "active", appId="com.x"))
        stop = await glasses.expect("stop_rtmp_stream")
        assert (stop["streamId"], stop["appId"]) == ("lost", "com.x")
        await say(glasses, status("lost", "stopping"), status("lost", "stopped"))
        assert len(glasses.of_type("stop_rtmp_stream")) == 1, "that is what was asked for"
        await say(glasses, {"type": "keep_alive_ack", "streamId": "lost", "ackId": "x"})
        assert len(glasses.of_type("stop_rtmp_stream")) == 2
        assert not told(app)


async def test_it_is_asked_every_fifteen_seconds(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        stream = await started(app, glasses)
        acknowledge(glasses)
        await trio.sleep(100)
        asked = glasses.of_type("keep_rtmp_stream_alive")
        assert len(asked) == 6
        assert {m["streamId"] for m in asked} == {stream}
        assert len({m["ackId"] for m in asked}) == 6
        assert told(app) == ["initializing", "active"]


async def test_after_three_silent_questions_it_is_over(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        stream = await started(app, glasses)
        stop_answering = acknowledge(glasses)
        await trio.sleep(31)
        stop_answering()
        await trio.sleep(53)  # asked at 45, 60 and 75 s, the last one has until 85 s
        assert told(app) == ["initializing", "active"]
        await trio.sleep(2)
        assert told(app)[-1] == "timeout"
        assert app.of_type("rtmp_stream_status")[-1]["errorDetails"].startswith("phone: ")
        assert [m["streamId"] for m in glasses.of_type("stop_rtmp_stream")] == [stream]
        await trio.sleep(60)
        assert len(glasses.of_type("keep_rtmp_stream_alive")) == 5, "it is asked no more"


async def test_a_late_answer_is_one(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        stream = await started(app, glasses)
        for _ in range(8):
            question = await glasses.expect("keep_rtmp_stream_alive")
            await trio.sleep(12)
            glasses.say({"type": "keep_alive_ack", "streamId": stream, "ackId": question["ackId"]})
        assert told(app) == ["initializing", "active"]


async def test_an_answer_to_nothing_is_none(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        stream = await started(app, glasses)
        for _ in range(60):
            glasses.say({"type": "keep_alive_ack", "streamId": stream, "ackId": "invented"})
            await trio.sleep(1)
        assert told(app)[-1] == "timeout"


async def test_while_the_phone_is_away_nothing_counts(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        stream = await started(app, glasses)
        await trio.sleep(46)  # two are unanswered, the third was just asked
        glasses.cut()
        await trio.sleep(50)
        assert told(app) == ["initializing", "active"]
        back = house.glasses()
        acknowledge(back)
        await trio.sleep(60)
        assert told(app) == ["initializing", "active"]
        assert {m["streamId"] for m in back.of_type("keep_rtmp_stream_alive")} == {stream}
        assert not back.of_type("start_rtmp_stream"), "it need not even have noticed"


@pytest.mark.parametrize("how", ["stop", "rest"])
async def test_it_ends_with_its_app(how: str, autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app, other = await two_apps(house)
        await say(other, {"type": "subscription_update", "subscriptions": ["rtmp_stream_status"]})
        acknowledge(glasses)
        stream = await started(app, glasses)
        if how == "stop":
            await house.directory.stop_app(USER, APP)
        else:
            app.say({"type": "ownership_release", "reason": "tired"})
            app.hang_up()
        await trio.sleep(1)
        assert [m["streamId"] for m in glasses.of_type("stop_rtmp_stream")] == [stream]
        assert other.of_type("data_stream")[-1]["data"]["status"] == "stopped"


async def test_it_outlives_the_link_of_its_app(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, glasses, app):
        acknowledge(glasses)
        stream = await started(app, glasses)
        app.cut()
        await trio.sleep(2)
        back = house.app(reconnect=True, reconnect_token="")
        await back.expect("tpa_connection_ack")
        await trio.sleep(1)
        assert not told(back), "nothing unasked"
        await say(back, CHECK)
        answer = back.of_type("stream_status_check_response")[-1]
        assert answer["streamInfo"]["streamId"] == stream
        assert not glasses.of_type("stop_rtmp_stream")


async def test_it_ends_with_the_session(autojump_clock: MockClock) -> None:
    async with open_one_app(lifecycle=Lifecycle(user_grace_s=5)) as (house, glasses, app):
        stream = await started(app, glasses)
        glasses.cut()
        await trio.sleep(10)
        assert house.directory.users() == []
        statuses = [fact.status for fact in house.telemetry.of(StreamChanged)]
        assert statuses == ["initializing", "active", "stopped"]
        back = await house.attached_glasses()
        await say(back, status(stream, "active"))
        assert back.of_type("stop_rtmp_stream"), "the phone went on meanwhile"
        del app


async def test_whether_there_is_a_stream(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses, app, other = await two_apps(house)
        await say(app, CHECK)
        (answer,) = app.of_type("stream_status_check_response")
        assert answer["hasActiveStream"] is False
        assert "streamInfo" not in answer
        stream = await started(app, glasses)
        await say(app, CHECK)
        info = app.of_type("stream_status_check_response")[-1]["streamInfo"]
        assert info.pop("createdAt")
        assert info == {
            "type": "unmanaged",
            "streamId": stream,
            "status": "active",
            "rtmpUrl": URL,
            "requestingAppId": APP,
        }
        await say(other, CHECK)
        answer = other.of_type("stream_status_check_response")[-1]
        assert answer["hasActiveStream"] is True
        assert "rtmpUrl" not in answer["streamInfo"], "there is a key in it"
