"""Settings, device state, hardware and tools: checks 73-75, 77 and 82 of protocol.md 8.5."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import trio

from .notes_app import CONFIG, NOTES
from .real_app import RealApp, handler
from .running_server import RunningServer
from .sockets import open_phone
from .steps import start, wear
from .timeline import eventually

SETTLE_S = 0.6
MENTRAOS_KEYS = 10


def on_settings(user_key: str, app_key: str) -> tuple[dict[str, Any], ...]:
    return (
        {"call": "settings.onMentraosChange", "args": [user_key, handler("mentraos")]},
        {"call": "settings.onValueChange", "args": [app_key, handler("value")]},
    )


async def test_73_settings_saved_while_the_app_runs(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await notes.script(user, *on_settings("metricSystemEnabled", "size"))
    phone = await open_phone(nursery, server, user)
    await start(phone, notes, user)
    position = len(notes.seen.records)
    answer = await server.post(f"/appsettings/{NOTES}", user, {"key": "size", "value": 5})
    assert answer.status_code == 200
    assert await notes.first_fired(user, "value") == 5
    call = await notes.seen.first(event="answered", path="/settings", since=position)
    assert call["status"] == 200
    assert call["body"]["userIdForSettings"] == user
    assert call["body"]["settings"][0]["value"] == 5
    assert await notes.reached_by_settings(user) == 1
    got = notes.seen.all(event="received", session=notes.session_of(user), since=position)
    kinds = [one["message"]["type"] for one in got if "settings" in one["message"]["type"]]
    assert kinds == ["settings_update", "augmentos_settings_update"]
    # The SDK forgets them with the first message, and has them all again after the second.
    await eventually(
        partial(mentraos_setting, notes, user, "brightness"), lambda value: value == 50
    )
    assert await mentraos_setting(notes, user, "metricSystemEnabled") is False


async def mentraos_setting(app: RealApp, user: str, key: str) -> Any:
    return await app.run(user, {"call": "settings.getMentraOS", "args": [key]})


async def test_73_a_value_that_the_schema_does_not_admit(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, notes, user)
    answer = await server.post(f"/appsettings/{NOTES}", user, [{"key": "size", "value": 9}])
    assert answer.status_code == 400
    assert answer.json()["message"] == "$[0].value must be at most 5"


async def test_74_settings_saved_while_the_app_is_stopped(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    answer = await server.post(f"/appsettings/{NOTES}", user, [{"key": "size", "value": 4}])
    assert answer.status_code == 200
    phone = await open_phone(nursery, server, user)
    await start(phone, notes, user)
    ack = await notes.received(user, "tpa_connection_ack")
    assert [(one["key"], one["value"]) for one in ack["settings"]] == [("size", 4)]
    assert ack["config"]["version"] == "1.2.0"
    value = await notes.run(user, {"call": "settings.get", "args": ["size"]})
    assert value == 4


async def test_75_the_metric_system_is_toggled(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, *on_settings("metricSystemEnabled", "size"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    path = "/api/client/user/settings"
    assert (await server.post(path, user, {"metric_system_enabled": True})).status_code == 200
    assert await app_a.first_fired(user, "mentraos") is True
    update = await app_a.received(user, "augmentos_settings_update")
    assert len(update["settings"]) == MENTRAOS_KEYS
    assert await mentraos_setting(app_a, user, "brightness") == 50
    for _ in range(20):
        status = {"status": {"core_info": {"metric_system_enabled": False}}}
        await phone.send("core_status_update", status=json.dumps(status))
    assert await app_a.first_fired(user, "mentraos", number=2) is False
    await trio.sleep(SETTLE_S)
    assert app_a.fired(user, "mentraos") == [True, False]
    assert await mentraos_setting(app_a, user, "contextualDashboard") is True


async def test_77_a_hundred_identical_states_are_one_message(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    steps = {"call": "device.state.batteryLevel.onChange", "args": [handler("battery")]}
    await app_a.script(user, steps)
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    state = {"modelName": "Mentra Live", "batteryLevel": 41, "wifiSsid": "home"}
    headers = {"Authorization": f"Bearer {server.token(user)}"}
    async with httpx.AsyncClient(trust_env=False, timeout=20, headers=headers) as client:
        for _ in range(100):
            answer = await client.post(server.url + "/api/client/device/state", json=state)
            assert answer.status_code == 200
    assert answer.json()["appliedState"]["capabilities"]["hasCamera"] is True
    assert await app_a.first_fired(user, "battery") == 41
    await trio.sleep(SETTLE_S)
    got = app_a.seen.all(event="received", session=app_a.session_of(user))
    updates = [
        one["message"]["state"]
        for one in got
        if one["message"]["type"] == "device_state_update" and "fullSnapshot" not in one["message"]
    ]
    assert updates == [{**state, "connected": True}]
    assert app_a.fired(user, "battery") == [41]


async def test_82_a_tool_with_and_without_a_live_session(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    path = f"/api/tools/apps/{NOTES}/tool"
    call = {"toolId": "note", "toolParameters": {"text": "milk"}, "userId": user}
    answer = await server.post(path, user, call)
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "reply": None})
    assert (await notes.seen.first(event="tool", user=user))["session"] is None
    phone = await open_phone(nursery, server, user)
    await start(phone, notes, user)
    await notes.command("configure", toolReply="noted")
    answer = await server.post(path, user, call)
    assert (answer.status_code, answer.json()) == (200, {"status": "success", "reply": "noted"})
    called = await notes.seen.first(event="tool", user=user, number=2)
    assert called["session"] == notes.session_of(user)
    assert called["parameters"] == {"text": "milk"}
    failing = {**call, "toolParameters": {"fail": "no paper"}}
    answer = await server.post(path, user, failing)
    assert answer.status_code == 500
    assert answer.json() == {"status": "error", "message": "no paper"}
    tools = (await server.get(f"/api/tools/apps/{NOTES}/tools", user)).json()
    assert tools == [{**CONFIG["tools"][0], "appPackageName": NOTES}]


async def test_an_app_that_needs_a_camera_runs_only_with_glasses_that_have_one(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await wear(phone, "Even Realities G1")
    await eventually(partial(compatible, server, user), lambda found: found is False)
    answer = await server.post(f"/apps/{NOTES}/start", user)
    assert answer.status_code == 500
    assert answer.json()["code"] == "HARDWARE_CHECK"
    assert answer.json()["message"].endswith("glasses: Even Realities G1 has no camera")
    assert notes.webhooks(user) == []
    await wear(phone, "Mentra Live")
    await start(phone, notes, user)
    position = len(phone.seen.records)
    await wear(phone, "Even Realities G1")
    change = await phone.message("app_state_change", error=lambda text: text, since=position)
    assert change["error"] == answer.json()["message"]
    end = await notes.seen.first(event="closed", session=notes.session_of(user))
    assert (end["code"], end["reason"]) == (1000, "App stopped")
    (stop,) = await eventually(partial(stops_of, notes, user), lambda found: found)
    assert stop["reason"] == "system_stop"
    await wear(phone, "Mentra Live")
    await notes.running(user, number=2)


async def compatible(server: RunningServer, user: str) -> bool:
    apps = (await server.get("/api/client/apps", user)).json()["data"]
    found: bool = next(one for one in apps if one["packageName"] == NOTES)["compatibility"][
        "isCompatible"
    ]
    return found


async def stops_of(app: RealApp, user: str) -> list[dict[str, Any]]:
    await trio.lowlevel.checkpoint()
    return app.webhooks(user, "stop_request")
