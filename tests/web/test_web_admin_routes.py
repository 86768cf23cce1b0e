"""What operators call, and who may not."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from mentra_trio.domain.apps import key_matches
from mentra_trio.domain.breaker import BreakerState, Sign
from mentra_trio.domain.ids import UserId
from mentra_trio.domain.starting import StartStage, failed
from mentra_trio.sessions.endpoint import EndpointSnapshot

from .site_under_test import (
    ADMIN,
    AS_ADMIN,
    NOW,
    PACKAGE,
    USER,
    Site,
    app_snapshot,
    user_snapshot,
)

# -- what operators call -------------------------------------------------------------
ADMIN_ROUTES = [
    ("GET", "/api/admin/users"),
    ("GET", f"/api/admin/users/{USER}"),
    ("GET", f"/api/admin/users/{USER}/journal"),
    ("GET", f"/api/admin/users/{USER}/apps/{PACKAGE}/why"),
    ("POST", f"/api/admin/users/{USER}/apps/{PACKAGE}/start"),
    ("POST", f"/api/admin/users/{USER}/apps/{PACKAGE}/stop"),
    ("POST", f"/api/admin/users/{USER}/apps/{PACKAGE}/retry"),
    ("GET", "/api/admin/apps"),
    ("POST", "/api/admin/apps"),
    ("GET", f"/api/admin/apps/{PACKAGE}"),
    ("DELETE", f"/api/admin/apps/{PACKAGE}"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", f"Basic {ADMIN}", "Bearer ü"])
async def test_admin_routes_need_the_admin_token(
    site: Site, method: str, path: str, authorization: str | None, autojump_clock: Any
) -> None:
    value = (authorization or "").encode("latin-1")
    headers = [(b"authorization", value)] if authorization else []
    answer = await site.client.request(method, path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["success"] is False
    assert answer.json()["fix"]
    assert await site.store.app(PACKAGE) is not None


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
async def test_admin_routes_are_not_served_under_a_strangers_name(
    site: Site, method: str, path: str, autojump_clock: Any
) -> None:
    headers = {**AS_ADMIN, "host": "evil.example.org:8002"}
    answer = await site.client.request(method, path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (421, "UNKNOWN_HOST")


@pytest.mark.parametrize("host", ["[x", "[::1", "[x]", "::1]"])
async def test_a_host_that_is_none_is_no_name_of_ours(
    site: Site, host: str, autojump_clock: Any
) -> None:
    for headers in ([], list(AS_ADMIN.items())):
        raw = [(name.encode(), value.encode()) for name, value in headers]
        answer = await site.get("/api/admin/users", headers=[*raw, (b"host", host.encode())])
        assert (answer.status_code, answer.json()["code"]) == (421, "UNKNOWN_HOST")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8002", "[::1]:8002", "localhost", "server", "glasses.example.com"],
)
async def test_names_that_are_ours(site: Site, host: str, autojump_clock: Any) -> None:
    answer = await site.get("/api/admin/users", headers={**AS_ADMIN, "host": host})
    assert answer.status_code == 200


async def test_users_come_in_pages(site: Site, autojump_clock: Any) -> None:
    for n in range(5):
        site.sessions.snapshots[UserId(f"u{n}")] = user_snapshot(UserId(f"u{n}"))

    async def page(query: str) -> tuple[list[str], str | None]:
        body = (await site.get(f"/api/admin/users?{query}", headers=AS_ADMIN)).json()
        return [user["userId"] for user in body["users"]], body["next"]

    assert await page("") == (["u0", "u1", "u2", "u3", "u4"], None)
    assert await page("limit=2") == (["u0", "u1"], "u1")
    assert await page("limit=2&after=u1") == (["u2", "u3"], "u3")
    assert await page("limit=2&after=u3") == (["u4"], None)
    assert await page("after=u11") == (["u2", "u3", "u4"], None)
    assert await page("after=z") == ([], None)


async def test_a_page_of_users_looks_at_those_on_it_only(site: Site, autojump_clock: Any) -> None:
    for n in range(100):
        site.sessions.snapshots[UserId(f"u{n:02}")] = user_snapshot(UserId(f"u{n:02}"))
    await site.get("/api/admin/users?limit=3&after=u50", headers=AS_ADMIN)
    assert site.sessions.looked_at == 4, "one more, which tells that there is another page"


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "", "9" * 30, "²"])
async def test_bad_limits(site: Site, limit: str, autojump_clock: Any) -> None:
    for path in ("/api/admin/users", f"/api/admin/users/{USER}/journal"):
        answer = await site.get(path, params={"limit": limit}, headers=AS_ADMIN)
        assert answer.status_code == 400


async def test_one_user(site: Site, autojump_clock: Any) -> None:
    app = app_snapshot(next_attempt_at=NOW, give_up_at=NOW, last_seen=NOW)
    site.sessions.snapshots[USER] = attrs.evolve(user_snapshot(USER, app), last_seen=NOW)
    answer = await site.get("/api/admin/users/U-1%40x.org", headers=AS_ADMIN)
    assert answer.json() == {
        "userId": USER,
        "state": "CONNECTED",
        "since": "2026-01-02T03:04:05.000Z",
        "connected": True,
        "lastSeen": "2026-01-02T03:04:05.000Z",
        "apps": [
            {
                "packageName": PACKAGE,
                "state": "running",
                "appState": "CONNECTED",
                "since": "2026-01-02T03:04:05.000Z",
                "cause": "a link is attached",
                "subscriptions": ["button_press"],
                "epoch": 1,
                "attempt": 2,
                "nextAttemptAt": "2026-01-02T03:04:05.000Z",
                "outbox": 0,
                "giveUpAt": "2026-01-02T03:04:05.000Z",
                "lastSeen": "2026-01-02T03:04:05.000Z",
            }
        ],
    }
    assert (await site.get("/api/admin/users/nobody", headers=AS_ADMIN)).status_code == 404
    assert (await site.get("/api/admin/users/%00", headers=AS_ADMIN)).status_code == 404


async def test_a_user_id_with_slashes(site: Site, autojump_clock: Any) -> None:
    user = UserId("a/b/apps/@x.org")
    site.sessions.snapshots[user] = user_snapshot(user)
    path = "/api/admin/users/a%2Fb%2Fapps%2F%40x.org"
    assert (await site.get(path, headers=AS_ADMIN)).json()["userId"] == user
    answer = await site.get(f"{path}/journal", headers=AS_ADMIN)
    assert answer.json() == {"facts": [{"user": user, "limit": 100}]}
    for command in ("start", "retry", "stop"):
        answer = await site.post(f"{path}/apps/{PACKAGE}/{command}", headers=AS_ADMIN)
        assert answer.status_code == 200
        assert site.sessions.commands[-1][1:] == (user, PACKAGE)
    assert (await site.get(f"{path}/apps/{PACKAGE}/why", headers=AS_ADMIN)).json()["lines"]


async def test_journal_and_why(site: Site, autojump_clock: Any) -> None:
    answer = await site.get(f"/api/admin/users/{USER}/journal?limit=7", headers=AS_ADMIN)
    assert answer.json() == {"facts": [{"user": USER, "limit": 7}]}
    answer = await site.get(f"/api/admin/users/{USER}/apps/{PACKAGE}/why", headers=AS_ADMIN)
    assert answer.json() == {"lines": [f"{USER} {PACKAGE}"]}


@pytest.mark.parametrize("package", ["%E7%9C%BC", "a%20b", "%00", "x" * 300])
async def test_why_of_what_is_no_package_name(
    site: Site, package: str, autojump_clock: Any
) -> None:
    answer = await site.get(f"/api/admin/users/{USER}/apps/{package}/why", headers=AS_ADMIN)
    assert (answer.status_code, answer.json()["code"]) == (404, "APP_NOT_FOUND")


@pytest.mark.parametrize("verb", ["start", "retry"])
async def test_an_operators_start(site: Site, verb: str, autojump_clock: Any) -> None:
    path = f"/api/admin/users/{USER}/apps/{PACKAGE}/{verb}"
    assert (await site.post(path, headers=AS_ADMIN)).status_code == 404
    site.sessions.snapshots[USER] = user_snapshot()
    assert (await site.post(path, headers=AS_ADMIN)).json() == {"success": True}
    site.sessions.result = failed(StartStage.WEBHOOK, "connection refused")
    answer = await site.post(path, headers=AS_ADMIN)
    assert answer.status_code == 500
    assert answer.json()["success"] is False
    assert answer.json()["error"] == {"stage": "WEBHOOK", "message": "connection refused"}


async def test_an_operators_stop(site: Site, autojump_clock: Any) -> None:
    path = f"/api/admin/users/{USER}/apps/{PACKAGE}/stop"
    assert (await site.post(path, headers=AS_ADMIN)).status_code == 404
    site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot())
    assert (await site.post(path, headers=AS_ADMIN)).json() == {"success": True, "stopped": True}
    assert (await site.post(path, headers=AS_ADMIN)).json() == {"success": True, "stopped": False}


async def test_registrations(site: Site, autojump_clock: Any) -> None:
    new = {"packageName": "com.t.b", "url": "https://b.example/", "permissions": ["location"]}
    answer = await site.post("/api/admin/apps", headers=AS_ADMIN, json=new)
    assert answer.status_code == 201
    assert answer.json()["url"] == "https://b.example"
    assert len(answer.json()["apiKey"]) > 30
    listed = (await site.get("/api/admin/apps", headers=AS_ADMIN)).json()["apps"]
    assert [app["packageName"] for app in listed] == [PACKAGE, "com.t.b"]
    assert "hash" not in str(listed).lower()
    shown = await site.get("/api/admin/apps/com.t.b", headers=AS_ADMIN)
    assert shown.json()["permissions"] == ["LOCATION"]
    for status in (200, 404):
        gone = await site.client.delete("/api/admin/apps/com.t.b", headers=AS_ADMIN)
        assert gone.status_code == status
    assert site.sessions.commands == [("removed", USER, "com.t.b")]
    assert (await site.get("/api/admin/apps/com.t.b", headers=AS_ADMIN)).status_code == 404


async def test_a_registration_anew_keeps_the_key_unless_one_is_given(
    site: Site, autojump_clock: Any
) -> None:
    async def register(**more: str) -> Any:
        new = {"packageName": PACKAGE, "url": "https://b.example", **more}
        answer = await site.post("/api/admin/apps", headers=AS_ADMIN, json=new)
        assert answer.status_code == 201
        return answer.json()["apiKey"]

    async def accepted(key: str) -> bool:
        return key_matches(key, await site.store.app(PACKAGE))

    assert await register() is None
    assert await accepted("key")
    assert await register(apiKey="other") == "other"
    assert await accepted("other")
    assert not await accepted("key")


async def test_the_servers_and_networks_of_a_registration(site: Site, autojump_clock: Any) -> None:
    async def register(**more: Any) -> Any:
        new = {"packageName": "com.t.b", "url": "http://b", **more}
        answer = await site.post("/api/admin/apps", headers=AS_ADMIN, json=new)
        assert answer.status_code == 201
        shown = await site.get("/api/admin/apps/com.t.b", headers=AS_ADMIN)
        told = {k: v for k, v in shown.json().items() if k != "endpoint"}
        assert answer.json() == {**told, "apiKey": answer.json()["apiKey"]}
        return told

    networks = ["10.1.2.3/8", "::1", "10.0.0.0/8"]
    first = await register(serverUrls=["http://c/", "http://c"], allowedNetworks=networks)
    assert first["webhookUrl"] == "http://b/webhook"
    assert first["serverUrls"] == ["http://c"]
    assert first["allowedNetworks"] == ["10.0.0.0/8", "::1/128"]
    again = await register()
    assert again["registrationId"] == first["registrationId"] != ""
    assert again["serverUrls"] == again["allowedNetworks"] == []
    await site.client.delete("/api/admin/apps/com.t.b", headers=AS_ADMIN)
    assert (await register())["registrationId"] != first["registrationId"]


async def test_what_else_a_registration_says(site: Site, autojump_clock: Any) -> None:
    said = {
        "hardwareRequirements": [{"type": "CAMERA", "level": "OPTIONAL", "description": "to see"}],
        "tools": [{"id": "note", "description": "Writes a note"}],
        "description": "Writes notes",
        "version": "1.2.0",
        "settings": [{"type": "toggle", "key": "on", "defaultValue": True}],
    }
    new = {
        "packageName": "com.t.b",
        "url": "http://b",
        "permissions": ["LOCATION", {"type": "microphone", "description": "to hear"}],
        **said,
    }
    answer = await site.post("/api/admin/apps", headers=AS_ADMIN, json=new)
    assert answer.status_code == 201
    shown = (await site.get("/api/admin/apps/com.t.b", headers=AS_ADMIN)).json()
    assert {name: shown[name] for name in said} == said
    assert shown["permissions"] == ["LOCATION", "MICROPHONE"]
    assert shown["permissionDescriptions"] == {"MICROPHONE": "to hear"}
    public = (await site.get("/api/public/permissions/com.t.b")).json()["permissions"]
    assert [one["description"] for one in public] == ["", "to hear"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"hardwareRequirements": [{"type": "LASER"}]}, "'LASER' is not a type of hardware"),
        ({"hardwareRequirements": [{"type": "IMU"}] * 2}, "the hardware IMU is there twice"),
        ({"hardwareRequirements": [7]}, "hardwareRequirements[0]"),
        ({"tools": [{"id": ""}]}, "tools[0].id"),
        ({"settings": [{"type": "toggle"}]}, "settings[0].key"),
        ({"settings": [{"key": "a", "type": "slider", "defaultValue": "x"}]}, "defaultValue"),
        ({"permissions": [{"description": "x"}]}, "permissions[0]"),
        ({"permissions": [{"type": "FLY"}]}, "'FLY' is not a permission"),
        ({"description": 7}, "description"),
        ({"version": 1.0}, "version"),
    ],
)
async def test_a_registration_that_cannot_be_is_one_clear_error(
    wrong: dict[str, Any], words: str, site: Site, autojump_clock: Any
) -> None:
    new = {"packageName": "com.t.b", "url": "http://b", **wrong}
    answer = await site.post("/api/admin/apps", headers=AS_ADMIN, json=new)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert "\n" not in answer.json()["message"]
    assert (await site.get("/api/admin/apps/com.t.b", headers=AS_ADMIN)).status_code == 404


async def test_how_an_app_server_is(site: Site, autojump_clock: Any) -> None:
    answer = await site.get("/api/admin/apps/com.t.a", headers=AS_ADMIN)
    well = {"breaker": "closed", "waiting": 0, "canary": False, "failures": 0}
    assert answer.json()["endpoint"] == well
    site.sessions.endpoints[PACKAGE] = EndpointSnapshot(
        state=BreakerState.HALF_OPEN,
        sign=Sign.AWAY,
        since=NOW,
        failures=7,
        waiting=3,
        trial=True,
        next_trial_at=NOW,
    )
    answer = await site.get("/api/admin/apps/com.t.a", headers=AS_ADMIN)
    assert answer.json()["endpoint"] == {
        "breaker": "half_open",
        "sign": "away",
        "since": "2026-01-02T03:04:05.000Z",
        "failures": 7,
        "canary": True,
        "nextCanaryAt": "2026-01-02T03:04:05.000Z",
        "waiting": 3,
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"packageName": "com.t.b"},
        {"packageName": "no good", "url": "http://b"},
        {"packageName": "com.t.b", "url": "ftp://b"},
        {"packageName": "com.t.b", "url": "http://b\0c"},
        {"packageName": "com.t.b", "url": "http://b c"},
        {"packageName": "com.t.b", "url": "http://b/webhook"},
        {"packageName": "com.t.b", "url": "http://b", "type": "odd"},
        {"packageName": "com.t.b", "url": "http://b", "permissions": ["FLY"]},
        {"packageName": "com.t.b", "url": "http://b", "surprise": 1},
        {"packageName": 7, "url": "http://b"},
        {"packageName": "com.t.b", "url": "http://b", "serverUrls": ["ftp://b"]},
        {"packageName": "com.t.b", "url": "http://b", "serverUrls": "http://b"},
        {"packageName": "com.t.b", "url": "http://b", "allowedNetworks": ["everywhere"]},
        {"packageName": "com.t.b", "url": "http://b", "allowedNetworks": ["10.0.0.0/33"]},
    ],
)
async def test_bad_registrations(site: Site, body: dict[str, Any], autojump_clock: Any) -> None:
    answer = await site.post("/api/admin/apps", headers=AS_ADMIN, json=body)
    assert answer.status_code == 400
    assert answer.json()["message"]
