from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from app_rig import Rig, stream
from stub_cloud import SESSION, Caller

from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.events import MissedMessages
from mentra_trio.domain.close_reasons import APP_STOPPED, STALE_TOKEN, USER_SESSION_ENDED
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.wire.from_glasses import ButtonPress

SUCCESS = (200, {"status": "success"})
FAILURE = (500, {"status": "error", "message": "Failed to connect"})


async def test_a_start_as_the_sdk_does_it(rig: Rig, autojump_clock: object) -> None:
    async def set_up(session: AppSession) -> None:
        assert session.device_state == {"modelName": "Even Realities G1"}
        assert session.settings == {"size": 2, "font": "mono"}
        assert session.mentraos_settings == {"metricSystemEnabled": True}
        assert session.capabilities == {"hasDisplay": True}
        await trio.sleep(20)  # longer than any ack may take
        await session.show_text("Hello", duration_ms=500)

    rig.set_up = set_up  # type: ignore[method-assign]
    rig.nursery.start_soon(rig.request)
    caller = await rig.cloud.next()
    assert caller.path == "/s/t1/app-ws"
    caller.say(
        {"type": "device_state_update", "state": {"modelName": "Even Realities G1"}},
    )
    init = await caller.greet(
        settings=[{"key": "size", "value": 2}, {"key": "font", "defaultValue": "mono"}],
        mentraosSettings={"metricSystemEnabled": True},
        capabilities={"hasDisplay": True},
    )
    assert init == {
        "type": "tpa_connection_init",
        "sessionId": SESSION,
        "packageName": "com.t.a",
        "apiKey": "secret",
    }
    assert (await caller.hear())["subscriptions"] == []
    assert rig.answers == []
    shown = await caller.hear()
    assert shown["layout"] == {"layoutType": "text_wall", "text": "Hello"}
    assert (shown["view"], shown["durationMs"], shown["packageName"]) == ("main", 500, "com.t.a")
    await trio.lowlevel.checkpoint()
    await trio.testing.wait_all_tasks_blocked()
    assert rig.answers == [SUCCESS]
    assert rig.server.sessions == rig.sessions
    caller.leave()


async def test_every_handler_is_asked_for_and_called(rig: Rig, autojump_clock: object) -> None:
    heard: list[object] = []

    async def set_up(session: AppSession) -> None:
        session.on_transcription(lambda said: heard.append(said.text))
        session.on_translation(lambda said: heard.append(said.text), source="es-ES", target="en-US")
        session.on_button_press(heard.append)
        session.on_head_position(lambda event: heard.append(event.position))
        session.on_touch(lambda event: heard.append(("any", event.gesture_name)))
        session.on_touch(lambda event: heard.append(("double", event.gesture_name)), "double_tap")
        session.on_location(lambda event: heard.append(event.lat))
        session.on_battery(lambda event: heard.append(event.level))
        session.on_audio(heard.append)
        session.on_stream("from_the_future", heard.append)
        session.on_message("custom_message", lambda message: heard.append(message.action))
        await trio.lowlevel.checkpoint()

    rig.set_up = set_up  # type: ignore[method-assign]
    caller = await rig.start()
    wanted = (await caller.hear())["subscriptions"] or (await caller.hear())["subscriptions"]
    assert wanted == [
        "transcription:en-US",
        "translation:es-ES-to-en-US",
        "button_press",
        "head_position",
        "touch_event",
        "touch_event:double_tap",
        "location_update",
        "glasses_battery_update",
        "audio_chunk",
        "from_the_future",
    ]
    caller.say(
        stream("transcription:en-US", type="transcription", text="hi", isFinal=True),
        stream("transcription:de-DE", text="not mine"),
        stream("translation:es-ES-to-en-US", text="hello", isFinal=False),
        stream("button_press", type="button_press", buttonId="main", pressType="short"),
        stream("head_position", type="head_position", position="up"),
        stream("touch_event", type="touch_event", gesture_name="double_tap"),
        stream("touch_event:double_tap", type="touch_event", gesture_name="double_tap"),
        stream("location_update", type="location_update", lat=1.5, lng=2),
        stream("glasses_battery_update", type="glasses_battery_update", level=80),
        b"\1\2\3",
        stream("from_the_future", new=True),
        {"type": "custom_message", "action": "update_datetime", "payload": 1},
    )
    await trio.sleep(0.1)
    assert heard == [
        "hi",
        "hello",
        ButtonPress(button_id="main", press_type="short"),
        "up",
        ("any", "double_tap"),
        ("double", "double_tap"),
        1.5,
        80,
        b"\1\2\3",
        {"new": True},
        "update_datetime",
    ]
    caller.leave()


async def test_a_handler_taken_away_is_not_asked_for(rig: Rig, autojump_clock: object) -> None:
    caller = await rig.start()
    assert (await caller.hear())["subscriptions"] == []
    session = await rig.server.next_session()
    first = session.on_button_press(print)
    second = session.on_button_press(print)
    assert (await caller.hear())["subscriptions"] == ["button_press"]
    first()
    second()
    assert (await caller.hear())["subscriptions"] == []
    caller.leave()


async def test_handlers_run_one_after_the_other_and_may_fail(
    rig: Rig, autojump_clock: object
) -> None:
    heard: list[int] = []

    async def slow(event: Any) -> None:
        if event["n"] == 1:
            await trio.sleep(5)
        if event["n"] == 2:
            raise ValueError("planted")
        heard.append(event["n"])

    async def set_up(session: AppSession) -> None:
        session.on_stream("x", slow)
        await trio.lowlevel.checkpoint()

    rig.set_up = set_up  # type: ignore[method-assign]
    caller = await rig.start()
    caller.say(*(stream("x", n=number) for number in (1, 2, 3)))
    await trio.sleep(6)
    assert heard == [1, 3]
    (session,) = rig.server.sessions
    assert [str(crash) for crash in session.crashes] == ["planted"]
    assert rig.server.crashes == session.crashes
    rig.server.crashes.clear()
    assert session.connected
    caller.leave()


async def test_a_lost_link_comes_back_as_the_sdk_does(rig: Rig, autojump_clock: object) -> None:
    async def set_up(session: AppSession) -> None:
        session.on_button_press(print)
        await trio.lowlevel.checkpoint()

    rig.set_up = set_up  # type: ignore[method-assign]
    caller = await rig.start()
    await trio.sleep(1)
    lost_at = trio.current_time()
    rig.cloud.cut()
    caller.leave()
    (session,) = rig.server.sessions
    await trio.sleep(0.5)
    assert not session.connected
    assert await session.show_text("into the void") is False
    again = await rig.cloud.next()
    assert again.at - lost_at == pytest.approx(1.0)
    assert again.path == "/s/t1/app-ws"
    await again.greet()
    assert (await again.hear())["subscriptions"] == ["button_press"]
    assert rig.sessions == [session]
    assert rig.stops == []
    again.leave()


async def test_who_comes_back_shows_that_it_was_there(rig: Rig, autojump_clock: object) -> None:
    missed: list[MissedMessages] = []

    async def set_up(session: AppSession) -> None:
        session.on_missed(missed.append)
        await trio.lowlevel.checkpoint()

    rig.set_up = set_up  # type: ignore[method-assign]
    rig.nursery.start_soon(rig.request)
    caller = await rig.cloud.next()
    first = await caller.greet(reconnectToken="one")
    assert "reconnect" not in first
    await trio.sleep(1)
    rig.cloud.cut()
    caller.leave()
    again = await rig.cloud.next()
    init = await again.greet(reconnectToken="two")
    assert (init["reconnect"], init["reconnectToken"]) == (True, "one")
    gap = {"count": 3, "since": "2026-01-01T00:00:00.000Z", "reason": "too old"}
    again.say({"type": "custom_message", "action": "messages_missed", "payload": gap})
    again.say({"type": "custom_message", "action": "messages_missed", "payload": {"count": []}})
    again.say({"type": "custom_message", "action": "update_datetime", "payload": gap})
    await trio.sleep(1)
    assert missed == [MissedMessages(**gap), MissedMessages()]  # type: ignore[arg-type]
    again.leave()


async def test_a_token_that_is_not_current_is_forgotten_and_not_shown_again(
    rig: Rig, autojump_clock: object
) -> None:
    """The ack with the newer one got lost."""
    rig.nursery.start_soon(rig.request)
    caller = await rig.cloud.next()
    await caller.greet(reconnectToken="one")
    await trio.sleep(1)
    rig.cloud.cut()
    caller.leave()
    again = await rig.cloud.next()
    assert (await again.hear())["reconnectToken"] == "one"
    refused_at = trio.current_time()
    again.say({"type": "tpa_connection_error", "code": "STALE_RECONNECT_TOKEN", "message": "no"})
    await again.close(STALE_TOKEN.code, STALE_TOKEN.text)
    once_more = await rig.cloud.next()
    assert once_more.at == refused_at, "at once"
    init = await once_more.greet()
    assert init["reconnect"] is True
    assert "reconnectToken" not in init
    once_more.leave()


async def test_three_attempts_then_no_more(rig: Rig, autojump_clock: object) -> None:
    caller = await rig.start()
    await trio.sleep(1)
    lost_at = trio.current_time()
    await caller.close(1012, "Server restarting")
    attempts = []
    for _ in range(3):
        attempt = await rig.cloud.next()
        attempts.append(round(attempt.at - lost_at, 3))
        rig.cloud.cut()
        attempt.leave()
    assert attempts == [1.0, 3.0, 7.0]
    assert await rig.cloud.nobody_comes(3600)
    assert rig.stops == [("u-1@x.org", "Connection permanently lost")]


async def test_an_ack_resets_the_count(rig: Rig, autojump_clock: object) -> None:
    caller = await rig.start()
    for _ in range(5):
        await trio.sleep(0.1)
        lost_at = trio.current_time()
        await caller.close(1013, "Slow consumer")
        caller = await rig.cloud.next()
        assert caller.at - lost_at == pytest.approx(1.0)
        await caller.greet()
    caller.leave()


async def test_an_attempt_without_an_ack_is_given_up(rig: Rig, autojump_clock: object) -> None:
    first = await rig.start()
    await first.hear()
    lost_at = trio.current_time()
    await first.close(1011, "x")
    silent = await rig.cloud.next()
    assert silent.at - lost_at == pytest.approx(1)
    assert (await silent.until_gone()).code == 1000
    silent.leave()
    later = await rig.cloud.next()
    assert later.at - lost_at == pytest.approx(1 + 5 + 2)
    await later.greet()
    later.leave()


@pytest.mark.parametrize(
    ("code", "text", "told"),
    [
        (APP_STOPPED.code, APP_STOPPED.text, "Clean disconnect: App stopped"),
        (1001, "", "Clean disconnect: "),
        (USER_SESSION_ENDED.code, USER_SESSION_ENDED.text, "User session ended"),
        (4000, "App stopped for good", "App stopped for good"),
    ],
)
async def test_a_final_close_is_final(
    rig: Rig, code: int, text: str, told: str, autojump_clock: object
) -> None:
    caller = await rig.start()
    await trio.sleep(1)
    await caller.close(code, text)
    assert await rig.cloud.nobody_comes(3600)
    assert rig.stops == [("u-1@x.org", told)]


async def test_why_a_session_was_stopped_is_told_before_the_close(
    rig: Rig, autojump_clock: object
) -> None:
    caller = await rig.start()
    await trio.sleep(1)
    caller.say({"type": "app_stopped", "reason": "user_disabled"})
    await caller.close(APP_STOPPED.code, APP_STOPPED.text)
    await rig.cloud.nobody_comes(10)
    assert rig.stops == [("u-1@x.org", "user_disabled")]


async def test_not_yet_is_tried_again_within_the_same_webhook(
    rig: Rig, autojump_clock: object
) -> None:
    rig.nursery.start_soon(rig.request)
    await (await rig.cloud.next()).close(1013, "No valid init in time")
    caller = await rig.cloud.next()
    await caller.greet()
    await trio.sleep(0.1)
    assert rig.answers == [SUCCESS]
    caller.leave()


async def test_no_ack_in_five_seconds_fails_the_webhook(rig: Rig, autojump_clock: object) -> None:
    rig.nursery.start_soon(rig.request)
    caller = await rig.cloud.next()
    await caller.until_gone()
    caller.leave()
    await trio.sleep(1)
    assert rig.answers == [FAILURE]
    assert trio.current_time() == pytest.approx(6, abs=0.1)
    assert await rig.cloud.nobody_comes(3600)


async def test_a_refused_key_fails_the_webhook(rig: Rig, autojump_clock: object) -> None:
    rig.nursery.start_soon(rig.request)
    caller = await rig.cloud.next()
    caller.say({"type": "tpa_connection_error", "code": "INVALID_API_KEY", "message": "no"})
    await caller.close(1008, "Invalid API key")
    assert await rig.cloud.nobody_comes(3600)
    assert rig.answers == [FAILURE]


async def test_a_failing_author_ends_that_session_only(rig: Rig, autojump_clock: object) -> None:
    caller = await rig.start()
    await trio.sleep(1)

    async def broken(session: AppSession) -> None:
        raise ValueError("planted")

    rig.set_up = broken  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        answers: list[Any] = []

        async def request_another() -> None:
            answers.append(await rig.cloud.request_session(session_id="u-2@x.org-com.t.a"))

        nursery.start_soon(request_another)
        other = await rig.cloud.next()
        await other.greet()
        await other.until_gone()
        other.leave()
    assert answers == [FAILURE]
    assert [session.session_id for session in rig.server.sessions] == [SESSION]
    assert [str(crash) for crash in rig.server.crashes] == ["planted"]
    rig.server.crashes.clear()
    assert rig.sessions[0].connected
    caller.leave()


async def test_a_second_request_releases_the_first_session(
    rig: Rig, autojump_clock: object
) -> None:
    old = await rig.start()
    assert (await old.hear())["type"] == "subscription_update"
    await trio.sleep(1)
    asked_at = trio.current_time()
    rig.nursery.start_soon(rig.request)
    released = await old.hear()
    assert released["type"] == "ownership_release"
    assert released["reason"] == "switching_clouds"
    new = await rig.cloud.next()
    assert new.at - asked_at == pytest.approx(0.1)
    await old.until_gone()
    old.leave()
    await new.greet()
    await trio.sleep(0.1)
    assert rig.server.sessions == [rig.sessions[1]]
    assert rig.answers == [SUCCESS, SUCCESS]
    assert rig.stops == [("u-1@x.org", "replaced by a newer session")]
    new.leave()


async def test_overlapping_requests_leave_one_session(rig: Rig, autojump_clock: object) -> None:
    old = await rig.start()
    await trio.sleep(1)
    rig.nursery.start_soon(rig.request)
    rig.nursery.start_soon(rig.request)

    async def acknowledge(caller: Caller) -> None:
        try:
            await caller.greet()
            await caller.until_gone()
        except LinkClosed:
            pass  # replaced before it had said anything
        caller.leave()

    async def acknowledge_everybody() -> None:
        while True:
            rig.nursery.start_soon(acknowledge, await rig.cloud.next(3600))

    rig.nursery.start_soon(acknowledge_everybody)
    await trio.sleep(10)
    assert [session.connected for session in rig.server.sessions] == [True]
    assert len(rig.answers) == 3
    assert rig.answers.count(FAILURE) <= 1
    old.leave()


async def test_a_stop_request_ends_the_session(rig: Rig, autojump_clock: object) -> None:
    caller = await rig.start()
    await trio.sleep(1)
    stop = {"type": "stop_request", "sessionId": SESSION, "reason": "user_disabled"}
    assert await rig.cloud.post("app", "/webhook", stop) == SUCCESS
    assert (await caller.until_gone()).code == 1000
    caller.leave()
    assert rig.stops == [("u-1@x.org", "user_disabled")]
    assert await rig.cloud.nobody_comes(3600)
    assert await rig.cloud.post("app", "/webhook", stop) == SUCCESS


async def test_a_failing_on_stop_is_told(rig: Rig, autojump_clock: object) -> None:
    @rig.app.on_stop
    async def broken(session: AppSession, reason: str) -> None:
        raise ValueError("planted")

    rig.server._stop = broken
    caller = await rig.start()
    await caller.hear()
    stop = {"type": "stop_request", "sessionId": SESSION, "reason": "error"}
    status, answer = await rig.cloud.post("app", "/webhook", stop)
    assert (status, answer["message"]) == (500, "Failed to process stop request")
    assert [str(crash) for crash in rig.server.crashes] == ["planted"]
    rig.server.crashes.clear()
    caller.leave()


@pytest.mark.parametrize("body", [{"type": "other"}, {}, b"{", [1], {"type": 7}])
async def test_other_webhooks_are_refused(rig: Rig, body: object, autojump_clock: object) -> None:
    assert await rig.cloud.post("app", "/webhook", body) == (
        400,
        {"status": "error", "message": "Unknown webhook request type"},
    )


async def test_the_other_routes(rig: Rig, autojump_clock: object) -> None:
    caller = await rig.start()
    await trio.sleep(1)
    cloud = rig.cloud
    health = {"status": "healthy", "app": "com.t.a", "activeSessions": 1}
    assert await cloud.get("app", "/health") == (200, health)
    assert (await cloud.get("app", "/nothing"))[0] == 404
    assert (await cloud.post("app", "/settings", {"settings": []}))[0] == 400
    assert (await cloud.post("app", "/webhook", b" " * 200_000))[0] == 413
    body = {"userIdForSettings": "u-1@x.org", "settings": [{"key": "size", "value": 3}]}
    assert (await cloud.post("app", "/settings", body))[1]["sessionsUpdated"] == 1
    assert rig.sessions[0].settings == {}  # it has a link, over which this comes in order
    cloud.cut()
    caller.leave()
    again = await cloud.next()
    assert (await cloud.post("app", "/settings", body))[1]["sessionsUpdated"] == 1
    assert rig.sessions[0].settings == {"size": 3}
    again.leave()


async def test_attributes_follow_what_the_server_says(rig: Rig, autojump_clock: object) -> None:
    caller = await rig.start()
    caller.say(
        {"type": "settings_update", "settings": [{"key": "a", "value": 1}, "junk", {"value": 2}]},
        {"type": "augmentos_settings_update", "settings": {"brightness": 50}},
        {"type": "capabilities_update", "capabilities": {"hasCamera": True}, "modelName": "M"},
        {"type": "device_state_update", "state": {"batteryLevel": 7}},
        {"type": "device_state_update", "state": {"connected": True}},
        "garbage",
    )
    await trio.sleep(0.1)
    (session,) = rig.server.sessions
    assert session.settings == {"a": 1}
    assert session.mentraos_settings == {"brightness": 50}
    assert session.capabilities == {"hasCamera": True}
    assert session.device_state == {"batteryLevel": 7, "connected": True}
    caller.leave()


async def test_a_missing_permission_is_told_to_the_author(
    rig: Rig, caplog: pytest.LogCaptureFixture, autojump_clock: object
) -> None:
    caller = await rig.start()
    detail = {"requiredPermission": "MICROPHONE", "message": "x"}
    details = [{**detail, "stream": f"transcription:x{number}\n"} for number in range(99)]
    caller.say({"type": "permission_error", "message": "Some were rejected", "details": details})
    await trio.sleep(0.1)
    warnings = [one for one in caplog.records if one.levelname == "WARNING"]
    assert len(warnings) == 20
    assert warnings[0].getMessage() == (
        "com.t.a gets nothing of 'transcription:x0\\n': "
        "its registration lacks the permission MICROPHONE"
    )
    caller.leave()


async def test_a_task_of_the_author_ends_with_the_session(rig: Rig, autojump_clock: object) -> None:
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(trio.current_time())
            await trio.sleep(1)

    async def set_up(session: AppSession) -> None:
        session.nursery.start_soon(tick)
        await trio.lowlevel.checkpoint()

    rig.set_up = set_up  # type: ignore[method-assign]
    caller = await rig.start()
    await trio.sleep(3.5)
    await caller.close(1000, "App stopped")
    await trio.sleep(60)
    assert len(ticks) == 4


@pytest.mark.parametrize("_again", range(12))
async def test_a_display_does_not_overtake_what_was_asked_for_before_it(
    _again: int, rig: Rig, autojump_clock: object
) -> None:
    async def set_up(session: AppSession) -> None:
        session.on_transcription(lambda heard: None)
        await session.show_text("on")

    rig.set_up = set_up  # type: ignore[method-assign]
    caller = await rig.start()
    asked: list[object] = []
    while (message := await caller.hear())["type"] != "display_event":
        asked.append(message["subscriptions"])
    assert asked[-1] == ["transcription:en-US"]
