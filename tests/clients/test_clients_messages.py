"""Messages between users, tools, and what the server tells an app that asked for nothing."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from app_rig import Rig, stream
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.tools import TOOL_S, ToolCall, ToolFailed
from mentra_trio.wire.from_glasses import CalendarEvent, PhoneNotification

from .test_clients_abilities import asked

TOOL = {"toolId": "add", "toolParameters": {"a": 1}, "timestamp": 5, "userId": "u-1@x.org"}


def updated(room: str, kind: str = "user_joined", **data: Any) -> dict[str, Any]:
    room_data = {"memberCount": 2, **data}
    return {
        "type": "app_room_updated",
        "roomId": room,
        "updateType": kind,
        "roomData": room_data,
    }


# -- between users -----------------------------------------------------------------------


async def test_a_broadcast_is_sent_and_others_are_heard(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    heard: list[Any] = []
    messages = session.messages
    messages.on_message(lambda one: heard.append((one.sender_user_id, one.payload, one.room_id)))
    messages.on_user_joined(lambda one: heard.append(("joined", one.user_id)))
    messages.on_user_left(lambda one: heard.append(("left", one.user_id)))
    messages.on_room_updated(lambda one: heard.append((one.update_type, one.room_id)))
    assert await messages.broadcast({"n": 1})
    sent = await caller.hear()
    assert (sent["type"], sent["payload"]) == ("app_broadcast_message", {"n": 1})
    assert "roomId" not in sent
    assert await messages.broadcast(2, room="r")
    assert (await caller.hear())["roomId"] == "r"
    assert await messages.leave("r")
    left = await caller.hear()
    assert (left["type"], left["roomId"]) == ("app_room_leave", "r")
    user = {"userId": "u-2@x.org", "sessionId": "s", "roomId": "r"}
    caller.say(
        {
            "type": "app_message_received",
            "payload": [3],
            "messageId": "m",
            "senderUserId": "u-2@x.org",
            "senderSessionId": "s",
        },
        {"type": "app_user_joined", "joinedAt": "2026", **user},
        {"type": "app_user_left", "leftAt": "2026", **user},
        updated("r", "user_left"),
    )
    await trio.sleep(0.1)
    assert heard == [
        ("u-2@x.org", [3], None),
        ("joined", "u-2@x.org"),
        ("left", "u-2@x.org"),
        ("user_left", "r"),
    ]
    caller.leave()


async def test_a_direct_message_is_delivered_or_says_why_not(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    answer = await asked(rig, session, lambda s: s.messages.send("u-2@x.org", "hi"))
    sent = await caller.hear()
    assert (sent["targetUserId"], sent["payload"]) == ("u-2@x.org", "hi")
    response = {"type": "app_direct_message_response", "targetUserId": "u-2@x.org"}
    caller.say({**response, "messageId": "another", "success": False})
    caller.say({**response, "messageId": sent["messageId"], "success": True})
    await trio.sleep(0.1)
    assert answer.over
    assert answer.failure is None
    answer = await asked(rig, session, lambda s: s.messages.send("u-3@x.org", "hi"))
    sent = await caller.hear()
    text = "app: it does not run for that user"
    caller.say({**response, "messageId": sent["messageId"], "success": False, "error": text})
    await trio.sleep(0.1)
    assert answer.failure is not None
    assert (answer.failure.hop, str(answer.failure)) == ("app", text)
    caller.leave()


async def test_a_room_is_joined_or_says_why_not(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    first = await asked(
        rig, session, lambda s: s.messages.join("r", max_users=2, private=True, metadata={"a": 1})
    )
    sent = await caller.hear()
    assert sent["roomConfig"] == {"maxUsers": 2, "isPrivate": True, "metadata": {"a": 1}}
    second = await asked(rig, session, lambda s: s.messages.join("full"))
    caller.say(updated("r", maxUsers=2))
    assert (await caller.hear())["roomConfig"] == {}  # one after the other
    caller.say({"type": "tpa_connection_error", "code": "OTHER", "message": "no"})
    await trio.sleep(0.1)
    assert (first.value.member_count, first.value.max_users) == (2, 2)
    assert not second.over
    full = {"type": "tpa_connection_error", "code": "ROOM_FULL"}
    caller.say({**full, "message": "cloud: the room is full"})
    await trio.sleep(0.1)
    assert second.failure is not None
    assert (second.failure.code, second.failure.hop) == ("ROOM_FULL", "cloud")
    caller.leave()


# -- tools -------------------------------------------------------------------------------


async def call_tool(rig: Rig, **changes: Any) -> tuple[int, Any]:
    return await rig.cloud.post("app", "/tool", {**TOOL, **changes})


async def test_a_tool_is_called_with_and_without_a_session(
    rig: Rig, autojump_clock: MockClock
) -> None:
    calls: list[ToolCall] = []

    async def tool(call: ToolCall) -> str:
        calls.append(call)
        await trio.sleep(1)
        return f"{call.tool_id} done"

    rig.server._tool = tool
    assert await call_tool(rig) == (200, {"status": "success", "reply": "add done"})
    caller, session = await rig.session()
    assert (await call_tool(rig))[0] == 200
    assert (await call_tool(rig, userId="u-2@x.org", toolParameters=None))[0] == 200
    assert [call.session for call in calls] == [None, session, None]
    assert calls[0].parameters == {"a": 1}
    assert (calls[0].user, calls[0].timestamp) == ("u-1@x.org", 5)
    caller.leave()


async def test_a_tool_need_not_wait_and_need_not_be_there(
    rig: Rig, autojump_clock: MockClock
) -> None:
    assert await call_tool(rig) == (200, {"status": "success", "reply": None})
    rig.server._tool = lambda call: None
    assert await call_tool(rig) == (200, {"status": "success", "reply": None})
    rig.server._tool = lambda call: call.user
    assert (await call_tool(rig))[1]["reply"] == "u-1@x.org"
    assert (await rig.cloud.get("app", "/tool"))[0] == 200
    assert (await call_tool(rig, toolId=7))[0] == 400
    assert (await rig.cloud.post("app", "/tool", b"{"))[0] == 400
    assert (await rig.cloud.post("app", "/tool", b" " * 200_000))[0] == 413


async def test_a_tool_that_fails_is_answered_with_an_error(
    rig: Rig, autojump_clock: MockClock
) -> None:
    def refuses(call: ToolCall) -> str:
        raise ToolFailed("there is no such list")

    rig.server._tool = refuses
    status, told = await call_tool(rig)
    assert (status, told["message"]) == (500, "there is no such list")
    assert rig.server.crashes == []

    def broken(call: ToolCall) -> str:
        raise ValueError("planted")

    rig.server._tool = broken
    status, told = await call_tool(rig)
    assert status == 500
    assert "planted" not in told["message"]
    assert [str(crash) for crash in rig.server.crashes] == ["planted"]
    rig.server.crashes.clear()


async def test_a_tool_that_takes_too_long_is_ended(rig: Rig, autojump_clock: MockClock) -> None:
    async def slow(call: ToolCall) -> None:
        await trio.sleep(10 * TOOL_S)

    rig.server._tool = slow
    began = trio.current_time()
    assert (await call_tool(rig))[0] == 500
    assert trio.current_time() - began == pytest.approx(TOOL_S)


async def test_tools_are_registered_with_a_decorator(rig: Rig, autojump_clock: MockClock) -> None:
    @rig.app.on_tool
    def tool(call: ToolCall) -> str:
        return "decorated"

    network = rig.cloud.network
    listeners = [network.listen("other", 80)]
    async with rig.app.serve("other", 80, listeners=listeners, dial=network.dial):
        assert (await rig.cloud.post("other", "/tool", TOOL))[1]["reply"] == "decorated"


# -- what is told -------------------------------------------------------------------------


async def test_a_setting_that_changes_is_told_once(rig: Rig, autojump_clock: MockClock) -> None:
    heard: list[Any] = []

    async def set_up(session: AppSession) -> None:
        session.on_setting("size", lambda value: heard.append(("size", value)))
        session.on_setting("gone", lambda value: heard.append(("gone", value)))
        session.on_mentraos_setting("brightness", lambda value: heard.append(("light", value)))
        session.on_settings(lambda update: heard.append(len(update.settings)))
        await trio.lowlevel.checkpoint()

    rig.set_up = set_up  # type: ignore[method-assign]
    settings = [{"key": "size", "value": 1}, {"key": "gone", "value": 1}]
    caller = await rig.start(settings=settings, mentraosSettings={"brightness": 50})
    await trio.sleep(0.1)
    assert heard == []
    changed = [{"key": "size", "value": 2}]
    caller.say({"type": "settings_update", "settings": changed})
    caller.say({"type": "augmentos_settings_update", "settings": {"brightness": 60}})
    await trio.sleep(0.1)
    body = {"userIdForSettings": "u-1@x.org", "settings": changed}
    assert (await rig.cloud.post("app", "/settings", body))[0] == 200
    await wait_all_tasks_blocked()
    assert heard == [("size", 2), ("gone", None), 1, ("light", 60)]
    caller.leave()


async def test_what_changed_while_it_was_away_is_told(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    heard: list[Any] = []
    session.on_setting("size", heard.append)
    session.on_mentraos_setting("brightness", heard.append)
    rig.cloud.cut()
    caller.leave()
    again = await rig.cloud.next()
    settings = [{"key": "size", "value": 3}]
    await again.greet(settings=settings, mentraosSettings={"brightness": 7})
    await trio.sleep(0.1)
    assert heard == [3, 7]
    again.leave()


async def test_everything_the_phone_tells_has_a_handler(
    rig: Rig, autojump_clock: MockClock
) -> None:
    caller, session = await rig.session()
    heard: list[Any] = []
    session.on_calendar_event(heard.append)
    session.on_notification(heard.append)
    session.on_notification_dismissed(lambda event: heard.append(event.notification_key))
    session.on_voice_activity(lambda event: heard.append(event.status))
    session.on_phone_battery(lambda event: heard.append(event.level))
    session.on_glasses(lambda event: heard.append(event.model_name))
    session.on_vps(lambda event: heard.append(event.x))
    session.on_photo_taken(lambda event: heard.append(event.mime_type))
    session.on_capabilities(lambda update: heard.append(update.model_name))
    session.on_device_state(lambda update: heard.append(update.state))
    session.on_permission_error(lambda error: heard.append(error.message))
    wanted = await caller.hear()
    assert wanted["subscriptions"] == [
        "calendar_event",
        "phone_notification",
        "phone_notification_dismissed",
        "VAD",
        "phone_battery_update",
        "glasses_connection_state",
        "vps_coordinates",
        "photo_taken",
    ]
    caller.say(
        stream("calendar_event", eventId="e", title="lunch", dtStart="2026"),
        stream("phone_notification", app="mail", title="you", content="have mail"),
        stream("phone_notification_dismissed", notificationKey="k"),
        stream("VAD", status=True),
        stream("phone_battery_update", level=7),
        stream("glasses_connection_state", status="CONNECTED", modelName="Mentra Live"),
        stream("vps_coordinates", x=1.5),
        stream("photo_taken", mimeType="image/png"),
        {"type": "capabilities_update", "capabilities": None, "modelName": "M"},
        {"type": "device_state_update", "state": {"connected": True}},
        {"type": "permission_error", "message": "some", "details": []},
    )
    await trio.sleep(0.1)
    assert heard == [
        CalendarEvent(event_id="e", title="lunch", dt_start="2026"),
        PhoneNotification(app="mail", title="you", content="have mail"),
        "k",
        True,
        7,
        "Mentra Live",
        1.5,
        "image/png",
        "M",
        {"connected": True},
        "some",
    ]
    caller.leave()


async def test_the_phones_time_is_asked_for_and_told(rig: Rig, autojump_clock: MockClock) -> None:
    caller, session = await rig.session()
    heard: list[Any] = []

    async def told(payload: Any) -> None:
        await trio.lowlevel.checkpoint()
        heard.append(payload["datetime"])

    off = session.on_datetime(told)
    session.on_custom_message("other", lambda payload: heard.append("other"))
    assert (await caller.hear())["subscriptions"] == ["custom_message"]
    payload = {"datetime": "2026-01-01T00:00:00Z", "section": "topLeft"}
    custom = {"type": "custom_message", "action": "update_datetime", "payload": payload}
    caller.say(custom)
    await trio.sleep(0.1)
    assert heard == ["2026-01-01T00:00:00Z"]
    off()
    assert (await caller.hear())["subscriptions"] == []
    caller.say(custom)
    await trio.sleep(0.1)
    assert len(heard) == 1
    caller.leave()
