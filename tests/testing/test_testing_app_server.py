"""An app server as the SDK makes it: what it says, and what it answers."""

from __future__ import annotations

import pytest
import trio
from sdk_rig import BUTTON, FAILURE, HEAD, OVERRIDING, SUCCESS, hear_all, rigged
from stub_cloud import SESSION

from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.testing.sdk_diary import Heard
from mentra_trio.testing.sdk_rules import AS_2_1_29, WELL_BEHAVED, SdkQuirks
from mentra_trio.testing.sdk_script import (
    Disconnect,
    Draw,
    Pause,
    Say,
    Script,
    SwitchLanguage,
    Unsubscribe,
)
from mentra_trio.wire.from_app import RequestWifiSetup


async def test_handlers_send_a_list_each_and_one_more(autojump_clock: object) -> None:
    steps = (BUTTON, HEAD, BUTTON, Unsubscribe("head_position"), Draw("ready"))
    async with rigged(Script(steps=steps)) as rig:
        caller = await rig.started()
        button, head = "button_press", "head_position"
        assert await hear_all(caller) == [[], [button], [button, head], [button], "display_event"]
        assert rig.answers == [SUCCESS]


async def test_a_switch_of_language_sends_a_list_without_any(autojump_clock: object) -> None:
    steps = (SwitchLanguage("en-US"), BUTTON, SwitchLanguage("de-DE"))
    async with rigged(Script(steps=steps)) as rig:
        caller = await rig.started()
        english, german = "transcription:en-US", "transcription:de-DE"
        button = "button_press"
        lists = [[], [english], [english, button], [button], [button, german]]
        assert await hear_all(caller) == lists


async def test_without_the_quirks_changes_of_one_moment_share_a_list(
    autojump_clock: object,
) -> None:
    steps = (SwitchLanguage("en-US"), BUTTON, SwitchLanguage("de-DE"))
    async with rigged(Script(steps=steps), WELL_BEHAVED) as rig:
        caller = await rig.started()
        assert await hear_all(caller) == [[], ["button_press", "transcription:de-DE"]]


async def test_every_ack_is_answered_with_the_whole_list(autojump_clock: object) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        await hear_all(caller)
        caller.say({"type": "tpa_connection_ack"})
        assert await hear_all(caller) == [["button_press"]]
        await rig.lose(caller)
        again = await rig.cloud.next()
        await again.greet()
        assert await hear_all(again) == [["button_press"]]


async def test_only_streams_with_a_handler_are_heard(autojump_clock: object) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        for stream in ("button_press", "head_position"):
            caller.say({"type": "data_stream", "streamType": stream, "data": {"n": 1}})
        caller.say(b"audio")
        await trio.sleep(0.1)
        heard = rig.server.diary.of(Heard)
        assert [(one.stream, one.data) for one in heard] == [("button_press", {"n": 1})]


async def test_a_second_webhook_hands_over(autojump_clock: object) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        await hear_all(caller)
        rig.nursery.start_soon(rig.call)
        release = await caller.hear()
        released_at = trio.current_time()
        assert release["type"] == "ownership_release"
        assert (release["reason"], release["sessionId"]) == ("switching_clouds", SESSION)
        newer = await rig.cloud.next()
        assert round(newer.at - released_at, 3) == 0.1
        assert await caller.until_gone() == CloseReason(1005, "")
        await newer.greet()
        assert await hear_all(newer) == [[], ["button_press"]]
        assert rig.answers == [SUCCESS, SUCCESS]
        assert rig.server.diary.stops() == []
        assert len(rig.server.sessions) == 1


async def test_a_second_webhook_while_away_says_nothing_to_anybody(autojump_clock: object) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        await rig.lose(caller)
        rig.nursery.start_soon(rig.call)
        newer = await rig.cloud.next(0.1)
        await newer.greet()
        assert await rig.cloud.nobody_comes(20)
        assert rig.server.diary.sent("ownership_release") == []
        assert rig.server.diary.stops() == []


async def test_a_stop_runs_onstop_whether_there_is_a_session_or_not(autojump_clock: object) -> None:
    async with rigged() as rig:
        assert await rig.stop() == SUCCESS
        caller = await rig.started()
        assert await rig.stop("system_stop") == SUCCESS
        assert await caller.until_gone() == CloseReason(1005, "")
        assert rig.server.diary.stops() == ["user_disabled", "system_stop"]
        assert rig.server.sessions == []


async def test_an_overridden_onstop_leaves_the_session(autojump_clock: object) -> None:
    async with rigged(OVERRIDING) as rig:
        await rig.started()
        assert await rig.stop() == SUCCESS
        await trio.sleep(1)
        assert rig.server.sessions[0].is_open


async def test_an_onstop_that_takes_long_and_fails(autojump_clock: object) -> None:
    async with rigged(Script(stop_takes_s=3.0, stop_fails=True)) as rig:
        await rig.started()
        began = trio.current_time()
        status, body = await rig.stop()
        assert (status, body["message"]) == (500, "Failed to process stop request")
        assert trio.current_time() - began == pytest.approx(3.0, abs=0.1)
        assert rig.server.sessions[0].is_open


async def test_what_a_dead_session_is_asked_for(autojump_clock: object) -> None:
    wifi = Say(RequestWifiSetup(reason="r"))
    steps = (Disconnect("user_logout"), Draw("x"), BUTTON, wifi)
    async with rigged(Script(steps=steps)) as rig:
        caller = await rig.started()
        assert await caller.until_gone() == CloseReason(1005, "")
        await trio.sleep(1)
        assert rig.answers == [FAILURE], "sending fails, drawing and registering do not"
        (release,) = rig.server.diary.sent("ownership_release")
        assert release.message["reason"] == "user_logout"
        assert rig.server.diary.sent("display_event") == []


async def test_onsession_goes_on_when_nobody_waits_for_the_answer(autojump_clock: object) -> None:
    script = Script(steps=(Pause(20), HEAD), later=(Pause(5), BUTTON))
    async with rigged(script) as rig:
        async with trio.open_nursery() as waiting:
            waiting.start_soon(rig.call)
            await (await rig.cloud.next()).greet()
            await trio.sleep(1)
            waiting.cancel_scope.cancel("the cloud has no patience")
        await trio.sleep(25)
        lists = [[], ["head_position"], ["head_position", "button_press"]]
        assert rig.server.diary.lists() == lists
        assert rig.answers == []
        assert rig.server.diary.answers() == [200]


async def test_a_webhook_that_does_not_say_where_to_fails_at_once(autojump_clock: object) -> None:
    async with rigged() as rig:
        body = {"type": "session_request", "sessionId": SESSION, "userId": "u-1@x.org"}
        began = trio.current_time()
        assert await rig.cloud.post("app", "/webhook", body) == FAILURE
        assert trio.current_time() == began
        status, body = await rig.cloud.post("app", "/webhook", {"type": "other"})
        assert (status, body["message"]) == (400, "Unknown webhook request type")


async def test_health_settings_and_tools(autojump_clock: object) -> None:
    async with rigged(Script(tool_reply="done")) as rig:
        await rig.started()
        health = {"status": "healthy", "app": "com.t.a", "activeSessions": 1}
        assert await rig.cloud.get("app", "/health") == (200, health)
        status, body = await rig.cloud.post(
            "app", "/settings", {"userIdForSettings": "u-1@x.org", "settings": []}
        )
        assert (status, body["sessionsUpdated"]) == (200, 1)
        tool = {"toolId": "t", "toolParameters": {}, "userId": "u-1@x.org"}
        reply = (200, {"status": "success", "reply": "done"})
        assert await rig.cloud.post("app", "/tool", tool) == reply
        hello = (200, {"status": "success", "reply": "Hello, world!"})
        assert await rig.cloud.get("app", "/tool") == hello
        assert (await rig.cloud.post("app", "/tool", b"{"))[0] == 400


async def test_a_webhook_while_onsession_runs_hands_over_too(autojump_clock: object) -> None:
    async with rigged(Script(steps=(BUTTON, Pause(2), HEAD))) as rig:
        caller = await rig.started()
        rig.nursery.start_soon(rig.call)
        newer = await rig.cloud.next(1)
        await newer.greet()
        assert "ownership_release" in await hear_all(caller)
        await trio.sleep(3)
        assert rig.answers == [SUCCESS, SUCCESS]
        assert rig.server.diary.lists()[-1] == ["button_press", "head_position"]


@pytest.mark.parametrize("quirks", [AS_2_1_29, WELL_BEHAVED])
async def test_handlers_change_while_there_is_no_connection(
    autojump_clock: object, quirks: SdkQuirks
) -> None:
    async with rigged(quirks=quirks) as rig:
        caller = await rig.started()
        session = rig.server.session_of("u-1@x.org")
        await rig.lose(caller)
        await HEAD.carry_out(session)
        await Draw("nobody sees this").carry_out(session)
        again = await rig.cloud.next()
        await again.greet()
        assert await hear_all(again) == [["button_press", "head_position"]]
        await again.close(1000)
        await trio.sleep(1)
        await Unsubscribe("head_position").carry_out(session)
        await SwitchLanguage("en-US").carry_out(session)
        assert rig.server.ghosts == []
