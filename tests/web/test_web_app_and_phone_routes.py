"""What apps and phones call."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mentra_trio.domain.ids import UserId
from mentra_trio.domain.starting import StartStage, failed

from .site_under_test import (
    ADMIN,
    AS_USER,
    PACKAGE,
    USER,
    Site,
    app_snapshot,
    user_snapshot,
)


# -- what apps call ------------------------------------------------------------------
async def test_sdk_version(site: Site, autojump_clock: Any) -> None:
    answer = await site.get("/api/sdk/version")
    assert answer.json() == {"success": True, "data": {"latest": "2.1.29"}}


async def test_permissions(site: Site, autojump_clock: Any) -> None:
    answer = await site.get(f"/s/tok/api/public/permissions/{PACKAGE}")
    assert answer.json()["packageName"] == PACKAGE
    assert [one["type"] for one in answer.json()["permissions"]] == ["CAMERA", "MICROPHONE"]
    assert set(answer.json()["permissions"][0]) == {"type", "description", "_id"}
    assert (await site.get("/api/public/permissions/com.unknown")).status_code == 404


@pytest.mark.parametrize("presented", [f"{USER}-{PACKAGE}", USER, USER.upper()])
async def test_app_settings_of_a_running_app(
    site: Site, presented: str, autojump_clock: Any
) -> None:
    site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot())
    path, headers = f"/appsettings/user/{PACKAGE}", {"authorization": f"Bearer {presented}"}
    (setting,) = (await site.get(path, headers=headers)).json()["settings"]
    assert setting == {"key": "size", "type": "number", "defaultValue": 3, "value": 3}
    await site.store.put_app_settings(USER, PACKAGE, {"size": 7})
    (setting,) = (await site.get(path, headers=headers)).json()["settings"]
    assert setting["value"] == 7


@pytest.mark.parametrize("presented", ["", "somebody@else.org", f"x@y-{PACKAGE}", "\x00", "a b"])
async def test_app_settings_need_a_live_session(
    site: Site, presented: str, autojump_clock: Any
) -> None:
    site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot())
    site.sessions.snapshots[UserId("somebody@else.org")] = user_snapshot(
        UserId("somebody@else.org")
    )
    headers = {"authorization": f"Bearer {presented}"}
    answer = await site.get(f"/appsettings/user/{PACKAGE}", headers=headers)
    assert answer.status_code == 401


async def test_app_settings_without_a_name_say_what_to_send(
    site: Site, autojump_clock: Any
) -> None:
    for headers in ({}, {"authorization": "Basic x"}):
        answer = await site.get(f"/appsettings/user/{PACKAGE}", headers=headers)
        assert answer.status_code == 401
        assert "Authorization: Bearer <session id>" in answer.json()["message"]


# -- what phones call ----------------------------------------------------------------
USER_ROUTES = [
    ("POST", f"/apps/{PACKAGE}/start"),
    ("POST", f"/apps/{PACKAGE}/stop"),
    ("POST", f"/api/apps/{PACKAGE}/start"),
    ("GET", "/api/client/apps"),
    ("GET", "/api/client/user/settings"),
    ("PUT", "/api/client/user/settings"),
    ("GET", "/api/client/user/settings/key/x"),
    ("POST", "/api/client/user/settings/key/x"),
]


@pytest.mark.parametrize(("method", "path"), USER_ROUTES)
@pytest.mark.parametrize("token", [None, "rubbish", ADMIN])
async def test_phone_routes_need_a_core_token(
    site: Site, method: str, path: str, token: str | None, autojump_clock: Any
) -> None:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = await site.client.request(method, path, headers=headers, json={"value": 1})
    assert answer.status_code == 401
    assert answer.json()["code"] == "UNAUTHORIZED"
    assert site.sessions.commands == []


@pytest.mark.parametrize("prefix", ["", "/api", "/s/tok"])
async def test_start_and_stop(site: Site, prefix: str, autojump_clock: Any) -> None:
    site.sessions.snapshots[USER] = user_snapshot()
    answer = await site.post(f"{prefix}/apps/{PACKAGE}/start", headers=AS_USER)
    assert answer.json() == {
        "success": True,
        "data": {"status": "started", "packageName": PACKAGE, "appState": "CONNECTED"},
    }
    answer = await site.post(f"{prefix}/apps/{PACKAGE}/stop", headers=AS_USER)
    assert answer.json() == {
        "success": True,
        "data": {"status": "stopped", "packageName": PACKAGE, "appState": "DISCONNECTED"},
    }
    assert site.sessions.commands == [("start", USER, PACKAGE), ("stop", USER, PACKAGE)]


async def test_a_start_that_fails_is_told(site: Site, autojump_clock: Any) -> None:
    site.sessions.snapshots[USER] = user_snapshot()
    site.sessions.result = failed(StartStage.TIMEOUT, "no init within 10 s")
    answer = await site.post(f"/apps/{PACKAGE}/start", headers=AS_USER)
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False,
        "code": "TIMEOUT",
        "message": "no init within 10 s",
    }


@pytest.mark.parametrize("verb", ["start", "stop"])
async def test_unknown_apps_and_users_without_a_session(
    site: Site, verb: str, autojump_clock: Any
) -> None:
    answer = await site.post(f"/apps/com.unknown/{verb}", headers=AS_USER)
    assert (answer.status_code, answer.json()["message"]) == (404, "App not found")
    answer = await site.post(f"/apps/{PACKAGE}/{verb}", headers=AS_USER)
    assert (answer.status_code, answer.json()["code"]) == (409, "NO_SESSION")


async def test_the_list_of_apps(site: Site, autojump_clock: Any) -> None:
    async def listed() -> dict[str, Any]:
        (app,) = (await site.get("/api/client/apps", headers=AS_USER)).json()["data"]
        return cast("dict[str, Any]", app)

    app = await listed()
    assert app["packageName"] == PACKAGE
    assert (app["running"], app["healthy"], app["appState"]) == (False, True, "DISCONNECTED")
    site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot(state="grace_period"))
    assert (await listed())["running"] is True
    site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot(state="evicted"))
    app = await listed()
    assert (app["running"], app["healthy"]) == (False, False)
    assert "key" not in str(app).lower()


async def test_user_settings(site: Site, autojump_clock: Any) -> None:
    path = "/api/client/user/settings"
    assert (await site.get(path, headers=AS_USER)).json()["data"]["brightness"] == 50
    for method, changes in (("PUT", {"metric_system_enabled": True}), ("POST", {"brightness": 9})):
        answer = await site.client.request(method, path, headers=AS_USER, json=changes)
        assert answer.json()["success"] is True
    data = (await site.get(path, headers=AS_USER)).json()["data"]
    assert (data["metricSystemEnabled"], data["brightness"]) == (True, 9)
    assert len(data) == 10


async def test_one_user_setting(site: Site, autojump_clock: Any) -> None:
    path = "/api/client/user/settings/key/head_up_angle"
    assert (await site.get(path, headers=AS_USER)).json()["data"]["value"] == 20
    assert (await site.client.put(path, headers=AS_USER, json={"value": 30})).status_code == 200
    assert (await site.get(path, headers=AS_USER)).json()["data"]["value"] == 30
    assert (await site.client.put(path, headers=AS_USER, json={})).status_code == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b"\xff", b"[" * 100_000, b'"x"'])
async def test_bodies_that_are_no_objects(site: Site, body: bytes, autojump_clock: Any) -> None:
    answer = await site.client.put("/api/client/user/settings", headers=AS_USER, content=body)
    assert answer.status_code == 400
