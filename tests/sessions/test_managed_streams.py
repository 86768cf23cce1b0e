"""Managed streams: shared by those who watch, live in time, over with the last."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from streaming import CHECK, MANAGED, OTHER, STOP_MANAGED, URL, rtmp, say, status, told, two_apps
from trio.testing import MockClock

from mentra_trio.domain.facts import StreamChanged
from mentra_trio.domain.ids import UserId
from mentra_trio.domain.live_streams import OUTPUTS_ASKED_MAX
from mentra_trio.domain.timings import MANAGED_START_S
from mentra_trio.testing.household import APP, USER, open_household, open_one_app
from mentra_trio.testing.links import MemoryLink
from mentra_trio.testing.live_streams import ScriptedIngest, ScriptedStreams
from mentra_trio.wire.from_app import RtmpStreamRequest
from mentra_trio.wire.from_glasses import RtmpStreamStatus

KIND = "managed_stream_status"


def statuses(link: MemoryLink) -> list[str]:
    return told(link, KIND)


def destinations(*urls: str) -> dict[str, Any]:
    wished = [{"url": url, "name": f"to {url}"} for url in urls]
    return {**MANAGED, "restreamDestinations": wished}


async def test_it_is_live_when_the_engine_says_so(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams()
    async with open_one_app(live_streams=engine) as (house, glasses, app):
        video = {"width": 1280}
        app.say({**MANAGED, "quality": "720p", "video": video})
        first = await app.expect(KIND)
        assert first["status"] == "initializing"
        assert first["streamId"]
        assert first["sessionId"] == f"{USER}-{APP}"
        start = await glasses.expect("start_rtmp_stream")
        (ingest,) = engine.ingests
        assert (start["appId"], start["rtmpUrl"]) == ("MANAGED_STREAM", ingest.url)
        assert (start["streamId"], start["video"]) == (first["streamId"], video)
        await say(glasses, status(start["streamId"], "active"))
        assert statuses(app) == ["initializing"], "nobody can watch yet"
        ingest.go_live()
        live = await app.expect(KIND)
        assert live["status"] == "active"
        assert live["hlsUrl"] == ingest.playback.hls_url
        assert live["dashUrl"] == ingest.playback.dash_url
        assert "outputs" not in live
        assert [fact.status for fact in house.telemetry.of(StreamChanged)] == statuses(app)
        assert not app.of_type("rtmp_stream_status")


async def test_a_second_app_joins_and_the_last_one_ends_it(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=2.0)
    async with open_household(live_streams=engine) as house:
        glasses, app, other = await two_apps(house)
        await say(app, MANAGED)
        await trio.sleep(3)
        began = trio.current_time()
        other.say(MANAGED)
        joined = await other.expect(KIND)
        assert trio.current_time() == began
        assert (joined["status"], joined["hlsUrl"]) == (
            "active",
            engine.ingests[0].playback.hls_url,
        )
        assert len(glasses.of_type("start_rtmp_stream")) == 1
        await say(app, STOP_MANAGED)
        assert statuses(app) == ["initializing", "active", "stopped"]
        assert not glasses.of_type("stop_rtmp_stream")
        assert engine.ingests[0].is_open
        await say(other, STOP_MANAGED)
        assert statuses(other) == ["active", "stopped"]
        stop = glasses.of_type("stop_rtmp_stream")[-1]
        assert (stop["appId"], stop["streamId"]) == ("MANAGED_STREAM", joined["streamId"])
        assert not engine.ingests[0].is_open


async def test_who_joins_before_it_is_live_waits_for_it(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=2.0)
    async with open_household(live_streams=engine) as house:
        _glasses, app, other = await two_apps(house)
        await say(app, MANAGED)
        await trio.sleep(1)
        await say(other, MANAGED)
        await trio.sleep(2)
        assert statuses(app) == statuses(other) == ["initializing", "active"]
        assert len(engine.ingests) == 1


async def test_who_asks_again_is_answered_again(autojump_clock: MockClock) -> None:
    async with open_one_app(live_streams=ScriptedStreams(live_after=1.0)) as (_house, _g, app):
        await say(app, MANAGED)
        await trio.sleep(2)
        await say(app, MANAGED)
        assert statuses(app) == ["initializing", "active", "active"]


async def test_what_does_not_come_within_28_seconds_is_an_error(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams()
    async with open_one_app(live_streams=engine) as (_house, glasses, app):
        began = trio.current_time()
        await say(app, MANAGED)
        for _ in range(3):
            await trio.sleep(9)
            question = glasses.of_type("keep_rtmp_stream_alive")[-1:]
            for one in question:
                answered = {key: one[key] for key in ("streamId", "ackId")}
                await say(glasses, {"type": "keep_alive_ack", **answered})
        await app.expect(KIND)
        error = await app.expect(KIND)
        assert trio.current_time() - began == pytest.approx(MANAGED_START_S)
        assert error["status"] == "error"
        assert error["message"] == "glasses: no stream has come from them within 28 s"
        assert len(glasses.of_type("stop_rtmp_stream")) == 1
        await trio.sleep(1)
        assert not engine.ingests[0].is_open
        await say(app, MANAGED)
        assert statuses(app)[-1] == "initializing", "it may be tried again"


async def test_without_an_engine_it_is_refused_with_the_setting(autojump_clock: MockClock) -> None:
    async with open_one_app() as (_house, glasses, app):
        began = trio.current_time()
        app.say(MANAGED)
        refusal = await app.expect(KIND)
        assert refusal["status"] == "error"
        assert refusal["message"].startswith("cloud: ")
        assert "streams.engine=ffmpeg" in refusal["message"]
        assert trio.current_time() == began
        assert not glasses.of_type("start_rtmp_stream")
        assert app.is_open


async def test_an_engine_that_has_no_room(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(refusal="cloud: all are in use")
    async with open_one_app(live_streams=engine) as (_house, _glasses, app):
        await say(app, MANAGED)
        assert statuses(app) == ["initializing", "error"]
        assert app.of_type(KIND)[-1]["message"] == "cloud: all are in use"


@pytest.mark.parametrize("live", [False, True])
async def test_an_engine_that_fails(live: bool, autojump_clock: MockClock) -> None:
    engine = ScriptedStreams()
    async with open_one_app(live_streams=engine) as (_house, glasses, app):
        await say(app, MANAGED)
        if live:
            engine.ingests[0].go_live()
            await trio.sleep(1)
        engine.ingests[0].fail("cloud: the engine broke")
        await trio.sleep(1)
        assert statuses(app) == ["initializing", *(["active"] if live else []), "error"]
        assert app.of_type(KIND)[-1]["message"] == "cloud: the engine broke"
        assert glasses.of_type("stop_rtmp_stream")


async def test_an_unmanaged_stream_is_in_the_way(autojump_clock: MockClock) -> None:
    async with open_household(live_streams=ScriptedStreams()) as house:
        glasses, app, other = await two_apps(house)
        await say(app, rtmp())
        await say(other, MANAGED)
        (refusal,) = other.of_type(KIND)
        assert refusal["status"] == "error"
        assert "unmanaged" in refusal["message"]
        assert not glasses.of_type("stop_rtmp_stream")


async def test_it_needs_the_camera_permission(autojump_clock: MockClock) -> None:
    async with open_household(live_streams=ScriptedStreams(live_after=1.0)) as house:
        await house.add_app()
        await house.add_app(OTHER, kind="background", permissions=[])
        await house.attached_glasses()
        app, other = await house.running_app(), await house.running_app(package=OTHER)  # type: ignore[arg-type]
        await say(app, MANAGED)
        await say(other, MANAGED)
        (refusal,) = other.of_type(KIND)
        assert refusal["message"] == "app: Camera permission required for managed streams"
        await trio.sleep(2)
        await say(other, CHECK)
        info = other.of_type("stream_status_check_response")[-1]["streamInfo"]
        assert info["status"] == "active"
        assert not {"hlsUrl", "dashUrl"} & info.keys(), "whoever has them can watch"


@pytest.mark.parametrize(("said", "heard"), [("error", "error"), ("disconnected", "stopped")])
async def test_the_glasses_may_end_it(said: str, heard: str, autojump_clock: MockClock) -> None:
    async with open_one_app(live_streams=ScriptedStreams(live_after=1.0)) as (_h, glasses, app):
        await say(app, MANAGED)
        stream = (await glasses.expect("start_rtmp_stream"))["streamId"]
        await trio.sleep(2)
        await say(glasses, status(stream, said, errorDetails="hot"))
        assert statuses(app)[-1] == heard
        assert app.of_type(KIND)[-1]["message"] == "phone: hot"


async def test_glasses_that_answer_no_more_are_an_error(autojump_clock: MockClock) -> None:
    async with open_one_app(live_streams=ScriptedStreams(live_after=1.0)) as (_h, glasses, app):
        await say(app, MANAGED)
        await trio.sleep(60)
        assert statuses(app) == ["initializing", "active", "error"], "SDKs know no other end"
        assert glasses.of_type("stop_rtmp_stream")


@pytest.mark.parametrize("how", ["stop", "rest"])
async def test_a_viewer_that_ends_leaves(how: str, autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=1.0)
    async with open_household(live_streams=engine) as house:
        glasses, app, other = await two_apps(house)
        await say(app, MANAGED)
        await say(other, MANAGED)
        await trio.sleep(2)
        if how == "stop":
            await house.directory.stop_app(USER, APP)
        else:
            app.say({"type": "ownership_release", "reason": "tired"})
            app.hang_up()
        await trio.sleep(1)
        assert not glasses.of_type("stop_rtmp_stream")
        await say(other, STOP_MANAGED)
        assert glasses.of_type("stop_rtmp_stream")


async def test_an_app_that_is_back_is_told_nothing_unasked(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams()
    async with open_one_app(live_streams=engine) as (house, _glasses, app):
        await say(app, MANAGED)
        app.cut()
        await trio.sleep(1)
        engine.ingests[0].go_live()
        await trio.sleep(1)
        back = house.app(reconnect=True)
        await back.expect("tpa_connection_ack")
        await trio.sleep(1)
        assert not statuses(back)
        await say(back, CHECK)
        info = back.of_type("stream_status_check_response")[-1]["streamInfo"]
        assert info.pop("createdAt")
        ingest = engine.ingests[0]
        assert info == {
            "type": "managed",
            "streamId": ingest.stream_id,
            "status": "active",
            "hlsUrl": ingest.playback.hls_url,
            "dashUrl": ingest.playback.dash_url,
            "activeViewers": 1,
        }
        await say(back, MANAGED)
        assert statuses(back) == ["active"], "now it has asked"


async def test_who_missed_it_is_not_told_when_another_one_joins(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams()
    async with open_household(live_streams=engine) as house:
        _glasses, app, other = await two_apps(house)
        await say(app, MANAGED)
        app.cut()
        await trio.sleep(1)
        engine.ingests[0].go_live()
        back = house.app(reconnect=True)
        await back.expect("tpa_connection_ack")
        await say(other, MANAGED)
        assert statuses(other) == ["active"]
        assert not statuses(back)
        engine.ingests[0].fail("cloud: the engine broke")
        await trio.sleep(1)
        assert statuses(back) == ["error"], "what happens now is news"


async def test_a_stop_of_what_nobody_watches_is_answered(autojump_clock: MockClock) -> None:
    async with open_one_app(live_streams=ScriptedStreams()) as (_house, _glasses, app):
        await say(app, STOP_MANAGED)
        assert statuses(app) == ["stopped"]


async def test_stopped_before_it_was_live(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams()
    async with open_one_app(live_streams=engine) as (_house, glasses, app):
        await say(app, MANAGED)
        await say(app, STOP_MANAGED)
        assert statuses(app) == ["initializing", "stopped"]
        assert len(glasses.of_type("stop_rtmp_stream")) == 1
        assert not engine.ingests[0].is_open
        await trio.sleep(60)
        assert statuses(app) == ["initializing", "stopped"]


async def test_the_session_takes_its_ingest_along(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=1.0)
    async with open_one_app(live_streams=engine) as (_house, _glasses, app):
        await say(app, MANAGED)
        await trio.sleep(2)
        assert engine.ingests[0].is_open
    assert not engine.ingests[0].is_open


ONE, TWO = "rtmp://one.test/live/k1", "rtmps://two.test/live/k2"


async def test_outputs_are_served_once_it_is_live(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams()
    async with open_one_app(live_streams=engine) as (_house, _glasses, app):
        await say(app, destinations(ONE, TWO, ONE, "http://no.test"))
        ingest = engine.ingests[0]
        assert ingest.sending == []
        ingest.go_live()
        await trio.sleep(1)
        assert sorted(ingest.sending) == sorted([ONE, TWO])
        live = app.of_type(KIND)[-1]
        assert [(one["url"], one["status"], one.get("error")) for one in live["outputs"]] == [
            (ONE, "active", None),
            (TWO, "active", None),
            (ONE, "error", "DUPLICATE_URL"),
            ("http://no.test", "error", "INVALID_URL"),
        ]
        assert live["outputs"][0]["name"] == f"to {ONE}"


async def test_an_output_that_fails_is_told_and_hurts_nothing(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=1.0, refused_outputs={ONE: "app: refused there"})
    async with open_one_app(live_streams=engine) as (_house, _glasses, app):
        await say(app, destinations(ONE, TWO))
        await trio.sleep(2)
        assert statuses(app) == ["initializing", "active", "active"]
        failed, served = app.of_type(KIND)[-1]["outputs"]
        assert (failed["status"], failed["error"]) == ("error", "app: refused there")
        assert served["status"] == "active"
        assert engine.ingests[0].sending == [TWO]


async def test_outputs_belong_to_their_app(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=1.0)
    async with open_household(live_streams=engine) as house:
        _glasses, app, other = await two_apps(house)
        await say(app, destinations(ONE))
        await trio.sleep(2)
        await say(other, destinations(TWO, ONE))
        assert sorted(engine.ingests[0].sending) == sorted([ONE, TWO])
        mine = other.of_type(KIND)[-1]["outputs"]
        assert [(one["url"], one["status"]) for one in mine] == [(TWO, "active"), (ONE, "error")]
        assert len(app.of_type(KIND)[-1]["outputs"]) == 1, "the keys of others are not its affair"
        await say(app, STOP_MANAGED)
        assert engine.ingests[0].sending == [TWO]
        await say(other, STOP_MANAGED)
        assert engine.ingests[0].sending == []


async def test_the_same_output_may_be_asked_for_again(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=1.0)
    async with open_one_app(live_streams=engine) as (_house, _glasses, app):
        await say(app, destinations(ONE))
        await trio.sleep(2)
        await say(app, destinations(ONE))
        (output,) = app.of_type(KIND)[-1]["outputs"]
        assert output["status"] == "active"
        assert engine.ingests[0].sending == [ONE]


async def test_an_output_that_failed_may_be_tried_again(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=1.0, refused_outputs={ONE: "app: refused there"})
    async with open_one_app(live_streams=engine) as (_house, _glasses, app):
        await say(app, destinations(ONE))
        await trio.sleep(2)
        assert app.of_type(KIND)[-1]["outputs"][0]["status"] == "error"
        engine.ingests[0].refused_outputs.clear()
        await say(app, destinations(ONE))
        (output,) = app.of_type(KIND)[-1]["outputs"]
        assert output["status"] == "active"
        assert engine.ingests[0].sending == [ONE]


async def test_outputs_that_cannot_be_do_not_pile_up(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=1.0)
    async with open_one_app(live_streams=engine) as (_house, _glasses, app):
        await say(app, destinations(ONE))
        await trio.sleep(2)
        for turn in range(3):
            await say(app, destinations(*(f"http://no{turn}.test/{n}" for n in range(1_000))))
        outputs = app.of_type(KIND)[-1]["outputs"]
        assert len(outputs) == 1 + OUTPUTS_ASKED_MAX
        assert outputs[0]["url"] == ONE
        assert engine.ingests[0].sending == [ONE]


class Plain:
    """An engine whose block ends without a moment at which it could be cancelled."""

    def __init__(self) -> None:
        self.ingest: ScriptedIngest | None = None

    @asynccontextmanager
    async def open(self, user: UserId, stream_id: str) -> AsyncGenerator[ScriptedIngest]:
        await trio.lowlevel.checkpoint()
        self.ingest = ScriptedIngest(user, stream_id)
        yield self.ingest


async def test_what_ends_twice_in_the_same_turn_does_not_end_what_comes_after_it(
    autojump_clock: MockClock,
) -> None:
    engine = Plain()
    async with open_one_app(live_streams=engine) as (house, glasses, app):
        await say(app, MANAGED)
        assert engine.ingest is not None
        (start,) = glasses.of_type("start_rtmp_stream")
        user = house.directory.live(USER)
        engine.ingest.fail("cloud: planted")
        over = RtmpStreamStatus(stream_id=start["streamId"], status="stopped")
        user.desk.glasses_say(over, "")
        user.desk.app_says(user.roster.apps[APP], RtmpStreamRequest(rtmp_url=URL))
        await trio.sleep(1)
        assert statuses(app) == ["initializing", "stopped"]
        assert told(app) == ["initializing"]
        await say(app, CHECK)
        assert app.of_type("stream_status_check_response")[-1]["hasActiveStream"]


async def test_outputs_end_with_the_stream_whoever_ends_it(autojump_clock: MockClock) -> None:
    engine = ScriptedStreams(live_after=1.0)
    async with open_one_app(live_streams=engine) as (_house, glasses, app):
        await say(app, destinations(ONE, TWO))
        await trio.sleep(2)
        assert len(engine.ingests[0].sending) == 2
        (start,) = glasses.of_type("start_rtmp_stream")
        await say(glasses, status(start["streamId"], "stopped"))
        assert engine.ingests[0].sending == []
