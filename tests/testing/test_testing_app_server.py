"""An app server as the SDK makes it, against a cloud that a test serves by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import pytest
import trio
from stub_cloud import SESSION, Caller, StubCloud, open_cloud

from mentra_trio.domain.close_reasons import CloseReason
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.testing.app_server import SdkApp, SdkAppServer
from mentra_trio.testing.sdk_diary import Answered, Began, Closed, Dialled, Heard, Stopped
from mentra_trio.testing.sdk_rules import AS_2_1_29, WELL_BEHAVED, SdkQuirks
from mentra_trio.testing.sdk_script import (
    Disconnect,
    Draw,
    Pause,
    Say,
    Script,
    Subscribe,
    SwitchLanguage,
    Throw,
    Unsubscribe,
)
from mentra_trio.wire.from_app import RequestWifiSetup

BUTTON, HEAD = Subscribe("button_press"), Subscribe("head_position")
ONE = Script(steps=(BUTTON,))
OVERRIDING = Script(steps=(BUTTON,), overrides_stop=True)
LOST = "Connection permanently lost: Maximum reconnection attempts exceeded"
SUCCESS = (200, {"status": "success"})
FAILURE = (500, {"status": "error", "message": "Failed to connect"})


@attrs.define(eq=False)
class Rig:
    """A served app, and a cloud that asks it for sessions."""

    cloud: StubCloud
    server: SdkAppServer
    nursery: trio.Nursery
    answers: list[Any] = attrs.field(factory=list)

    async def call(self) -> None:
        self.answers.append(await self.cloud.request_session("app"))

    async def started(self) -> Caller:
        """A session that is acknowledged; its side of the cloud."""
        self.nursery.start_soon(self.call)
        caller = await self.cloud.next()
        await caller.greet()
        await trio.sleep(0.01)
        return caller

    async def lose(self, caller: Caller) -> float:
        """Lose the connection; when that was."""
        self.cloud.cut()
        caller.leave()
        at = trio.current_time()
        await trio.sleep(0.001)
        return at

    def dialled(self, since: float) -> list[float]:
        return [round(one.at - since, 1) for one in self.server.diary.of(Dialled)[1:]]

    def stopped(self, since: float) -> list[float]:
        return [round(one.at - since, 1) for one in self.server.diary.of(Stopped)]

    async def stop(self, reason: str = "user_disabled") -> Any:
        body = {"type": "stop_request", "sessionId": SESSION, "userId": "u-1@x.org"}
        return await self.cloud.post("app", "/webhook", body | {"reason": reason})


@asynccontextmanager
async def rigged(script: Script = ONE, quirks: SdkQuirks = AS_2_1_29) -> AsyncGenerator[Rig]:
    async with open_cloud() as cloud, trio.open_nursery() as nursery:
        app = SdkApp("com.t.a", "secret", script=script, quirks=quirks)
        listeners = [cloud.network.listen("app", 80)]
        async with app.serve("app", 80, listeners=listeners, dial=cloud.network.dial) as server:
            yield Rig(cloud, server, nursery)
            assert not server.crashes
        nursery.cancel_scope.cancel("test over")


async def hear_all(caller: Caller) -> list[Any]:
    """What is there to hear now: of lists the streams, of others the type."""
    heard = []
    with trio.move_on_after(0.5), suppress(LinkClosed):
        while True:
            message = await caller.hear()
            heard.append(message.get("subscriptions", message["type"]))
    return heard


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


@pytest.mark.parametrize(
    ("quirks", "overrides", "dials", "stops"),
    [
        (AS_2_1_29, False, [1, 3], [6]),
        (AS_2_1_29, True, [1, 3, 7], [6, 7, 8, 12]),
        (WELL_BEHAVED, False, [1, 3, 7], [7]),
        (WELL_BEHAVED, True, [1, 3, 7], [7]),
    ],
)
async def test_the_schedule_when_every_attempt_fails(
    autojump_clock: object,
    quirks: SdkQuirks,
    *,
    overrides: bool,
    dials: list[float],
    stops: list[float],
) -> None:
    async with rigged(OVERRIDING if overrides else ONE, quirks) as rig:
        caller = await rig.started()
        rig.cloud.refuse_with = 503
        lost_at = await rig.lose(caller)
        await trio.sleep(30)
        assert rig.dialled(lost_at) == dials
        assert rig.stopped(lost_at) == stops
        assert rig.server.diary.stops() == [LOST] * len(stops)
        assert rig.server.sessions == rig.server.ghosts == []


async def test_the_third_attempt_brings_back_a_session_that_is_forgotten(
    autojump_clock: object,
) -> None:
    async with rigged(OVERRIDING) as rig:
        caller = await rig.started()
        rig.cloud.refuse_with = 503
        lost_at = await rig.lose(caller)
        await trio.sleep(6.5)
        rig.cloud.refuse_with = None
        again = await rig.cloud.next()
        assert round(again.at - lost_at, 1) == 7
        await again.greet()
        assert await hear_all(again) == [["button_press"]]
        await trio.sleep(10)
        assert rig.server.sessions == []
        assert len(rig.server.ghosts) == 1
        assert rig.server.diary.stops() == [LOST]


async def test_an_ack_resets_the_count(autojump_clock: object) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        for _ in range(5):
            lost_at = await rig.lose(caller)
            caller = await rig.cloud.next()
            assert round(caller.at - lost_at, 1) == 1
            await caller.greet()
            await trio.sleep(0.1)


@pytest.mark.parametrize(("quirks", "back"), [(AS_2_1_29, 2.0), (WELL_BEHAVED, 1.0)])
async def test_an_ack_after_five_seconds_does_not_reset_the_count(
    autojump_clock: object, quirks: SdkQuirks, back: float
) -> None:
    quirks = attrs.evolve(AS_2_1_29, late_ack_counts_not=quirks.late_ack_counts_not)
    async with rigged(quirks=quirks) as rig:
        await rig.lose(await rig.started())
        hung = await rig.cloud.next()
        await trio.sleep(5.5)
        await hung.greet()
        await trio.sleep(0.1)
        lost_at = await rig.lose(hung)
        again = await rig.cloud.next()
        assert round(again.at - lost_at, 1) == back


@pytest.mark.parametrize(("quirks", "waits"), [(AS_2_1_29, True), (WELL_BEHAVED, False)])
async def test_a_hung_attempt_is_given_up_only_by_the_cloud(
    autojump_clock: object, quirks: SdkQuirks, *, waits: bool
) -> None:
    async with rigged(quirks=quirks) as rig:
        lost_at = await rig.lose(await rig.started())
        hung = await rig.cloud.next()
        if waits:
            assert await rig.cloud.nobody_comes(60)
            await hung.close(1013)
            closed_at = trio.current_time()
            assert round((await rig.cloud.next()).at - closed_at, 1) == 2
        else:
            assert round((await rig.cloud.next()).at - lost_at, 1) == 8


async def test_the_count_is_reset_by_app_stopped(autojump_clock: object) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        await rig.lose(caller)
        again = await rig.cloud.next()
        again.say({"type": "app_stopped"})
        await trio.sleep(0.1)
        lost_at = await rig.lose(again)
        assert round((await rig.cloud.next()).at - lost_at, 1) == 1


@pytest.mark.parametrize(
    ("code", "text", "stops", "kept", "returns"),
    [
        (1000, "App stopped", ["Clean disconnect: App stopped"], False, False),
        (1001, "", ["Clean disconnect: "], False, False),
        (1008, "Superseded", [], True, False),
        (1008, "User session ended", ["User session ended"], False, False),
        (1013, "Later", [], True, True),
    ],
)
async def test_what_a_close_does(
    autojump_clock: object, code: int, text: str, stops: list[str], *, kept: bool, returns: bool
) -> None:
    async with rigged() as rig:
        caller = await rig.started()
        await caller.close(code, text)
        assert await rig.cloud.nobody_comes(2) != returns
        assert rig.server.diary.stops() == stops
        assert len(rig.server.sessions) == kept
        closed = rig.server.diary.of(Closed)[0]
        assert closed.reason == CloseReason(code, text)


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


@pytest.mark.parametrize("by_id", [True, False])
async def test_the_end_of_the_first_of_two_sessions_ends_the_second(
    autojump_clock: object, *, by_id: bool
) -> None:
    quirks = attrs.evolve(AS_2_1_29, stop_by_id=by_id)
    async with rigged(quirks=quirks) as rig:
        rig.nursery.start_soon(rig.call)
        first = await rig.cloud.next()
        rig.nursery.start_soon(rig.call)
        second = await rig.cloud.next()
        for caller in (first, second):
            await caller.greet()
            await trio.sleep(0.1)
        assert len(rig.server.diary.of(Began)) == 2
        await first.close(1000)
        await trio.sleep(1)
        assert rig.server.diary.stops() == ["Clean disconnect: "]
        assert len(rig.server.sessions) == (not by_id)


async def test_a_failing_author_leaves_a_session_that_comes_back(autojump_clock: object) -> None:
    async with rigged(Script(steps=(BUTTON, Throw()))) as rig:
        caller = await rig.started()
        assert rig.answers == [FAILURE]
        lost_at = await rig.lose(caller)
        again = await rig.cloud.next()
        assert round(again.at - lost_at, 1) == 1
        await again.greet()
        assert await hear_all(again) == [["button_press"]]
        await again.close(1000, "App stopped")
        await trio.sleep(1)
        assert rig.server.diary.stops() == [], "nobody listens for its end"
        assert len(rig.server.sessions) == 1


async def test_without_the_ghost_a_failing_author_ends_the_session(autojump_clock: object) -> None:
    async with rigged(Script(steps=(Throw(),)), WELL_BEHAVED) as rig:
        caller = await rig.started()
        assert await caller.until_gone() == CloseReason(1005, "")
        assert rig.server.sessions == rig.server.ghosts == []


async def test_a_webhook_without_an_ack_fails_after_five_seconds_and_leaves_a_ghost(
    autojump_clock: object,
) -> None:
    async with rigged() as rig:
        rig.nursery.start_soon(rig.call)
        caller = await rig.cloud.next()
        await trio.sleep(5.5)
        (answered,) = rig.server.diary.of(Answered)
        assert (answered.status, round(answered.at - caller.at, 1)) == (500, 5.0)
        await caller.close(1013)
        ghost = await rig.cloud.next()
        await ghost.greet()
        assert await hear_all(ghost) == [[]]
        assert rig.server.diary.of(Began) == []
        assert rig.server.sessions == []
        assert len(rig.server.ghosts) == 1


async def test_an_attempt_that_fails_before_the_ack_is_repeated_within_the_webhook(
    autojump_clock: object,
) -> None:
    async with rigged() as rig:
        rig.nursery.start_soon(rig.call)
        await (await rig.cloud.next()).close(1013)
        await (await rig.cloud.next()).greet()
        await trio.sleep(0.1)
        assert rig.answers == [SUCCESS]


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


@pytest.mark.parametrize("silent", [True, False])
async def test_a_sigterm_closes_what_is_known_and_drops_what_is_not(
    autojump_clock: object, *, silent: bool
) -> None:
    quirks = attrs.evolve(AS_2_1_29, silent_exit=silent)
    async with open_cloud() as cloud, trio.open_nursery() as nursery:
        app = SdkApp("com.t.a", "secret", quirks=quirks)
        listeners = [cloud.network.listen("app", 80)]
        async with app.serve("app", 80, listeners=listeners, dial=cloud.network.dial) as server:
            rig = Rig(cloud, server, nursery)
            nursery.start_soon(cloud.request_session, "app", "another")
            ghost = await cloud.next()
            await trio.sleep(6)
            known = await rig.started()
            assert (len(server.sessions), len(server.ghosts)) == (1, 1)
        assert ("ownership_release" in await hear_all(known)) != silent
        assert await known.until_gone() == CloseReason(1005, "")
        assert (await ghost.until_gone()).code == 1006
        assert await cloud.nobody_comes(20)
        nursery.cancel_scope.cancel("test over")
