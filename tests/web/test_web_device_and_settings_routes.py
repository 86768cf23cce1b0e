"""What the phone says of the glasses, and changes of settings, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from trio.testing import MockClock

from mentra_trio.domain.ids import package_name
from mentra_trio.testing.household import APP, Household

from .site_under_test import AS_USER, USER, open_house_site

SCHEMA = [
    {"type": "slider", "key": "size", "min": 1, "max": 5, "defaultValue": 3},
    {"type": "toggle", "key": "on", "defaultValue": True},
]
STATE, SETTINGS = "/api/client/device/state", "/api/client/user/settings"


async def post(client: httpx.AsyncClient, path: str, body: Any) -> httpx.Response:
    return await client.post(path, headers=AS_USER, json=body)


# -- device state ----------------------------------------------------------------------


async def test_a_state_is_applied_and_answered(autojump_clock: MockClock) -> None:
    async with open_house_site() as (house, client):
        await house.add_app()
        await house.attached_glasses()
        app = await house.running_app()
        answer = await post(client, STATE, {"modelName": "Mentra Live", "new": {}})
        assert answer.status_code == 200
        body = answer.json()
        assert body["success"] is True
        assert body["timestamp"].endswith("Z")
        applied = body["appliedState"]
        assert applied["isGlassesConnected"] is True
        assert applied["isPhoneConnected"] is True
        assert applied["modelName"] == "Mentra Live"
        assert applied["capabilities"]["hasCamera"] is True
        assert app.of_type("device_state_update")[-1]["state"] == {
            "modelName": "Mentra Live",
            "connected": True,
        }
        answer = await post(client, STATE, {"connected": False})
        assert answer.json()["appliedState"]["isGlassesConnected"] is False


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"batteryLevel": "full"}, "$.batteryLevel "),
        ({"modelName": "x" * 300}, "$.modelName "),
        ({"connected": None}, "$.connected "),
        ([], "the body"),
    ],
)
async def test_a_bad_state_is_refused_with_its_path(
    body: object, path: str, autojump_clock: MockClock
) -> None:
    async with open_house_site() as (house, client):
        await house.attached_glasses()
        answer = await post(client, STATE, body)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(path)
        assert house.directory.live(USER).desk.device.snapshot == {"connected": False}


async def test_a_state_needs_a_session_and_a_token(autojump_clock: MockClock) -> None:
    async with open_house_site() as (_, client):
        assert (await post(client, STATE, {})).status_code == 409
        assert (await client.post(STATE, json={})).status_code == 401


async def test_the_phone_sees_which_apps_its_glasses_can_serve(autojump_clock: MockClock) -> None:
    async with open_house_site() as (house, client):
        camera = {"type": "CAMERA", "level": "REQUIRED", "description": "to see"}
        wifi = {"type": "WIFI", "level": "OPTIONAL", "description": ""}
        await house.add_app(hardware=[camera, wifi], description="Sees", version="3")
        await house.attached_glasses()
        (app,) = (await client.get("/api/client/apps", headers=AS_USER)).json()["data"]
        assert app["compatibility"]["isCompatible"] is True
        assert (app["description"], app["version"]) == ("Sees", "3")
        assert app["hardwareRequirements"] == [camera, wifi]
        await post(client, STATE, {"modelName": "Vuzix Z100"})
        (app,) = (await client.get("/api/client/apps", headers=AS_USER)).json()["data"]
        assert app["compatibility"] == {
            "isCompatible": False,
            "missingRequired": [camera],
            "missingOptional": [wifi],
            "message": "glasses: Vuzix Z100 has no camera and no wifi",
        }
        answer = await post(client, f"/apps/{APP}/start", None)
        assert answer.status_code == 500
        assert answer.json()["code"] == "HARDWARE_CHECK"
        assert answer.json()["message"] == f"App {APP}: glasses: Vuzix Z100 has no camera"


# -- settings of apps ------------------------------------------------------------------


async def settings_of(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    answer = await client.get(path, headers=AS_USER)
    assert answer.status_code == 200
    assert answer.json()["success"] is True
    return {one["key"]: one["value"] for one in answer.json()["settings"]}


@pytest.mark.parametrize("prefix", ["/appsettings", "/tpasettings"])
async def test_settings_of_an_app_that_does_not_run(prefix: str, autojump_clock: MockClock) -> None:
    async with open_house_site() as (house, client):
        await house.add_app(settings=SCHEMA, description="Shows")
        path = f"{prefix}/{APP}"
        assert await settings_of(client, path) == {"size": 3, "on": True}
        answer = await post(client, path, {"key": "size", "value": 5})
        assert (answer.status_code, answer.json()["success"]) == (200, True)
        answer = await post(client, path, [{"key": "on", "value": False, "label": "On"}])
        assert answer.status_code == 200
        assert await settings_of(client, path) == {"size": 5, "on": False}
        info = (await client.get(path, headers=AS_USER)).json()
        assert (info["packageName"], info["description"]) == (APP, "Shows")


async def test_settings_of_an_app_that_runs(autojump_clock: MockClock) -> None:
    async with open_house_site() as (house, client):
        await house.add_app(settings=SCHEMA)
        await house.attached_glasses()
        app = await house.running_app()
        answer = await post(client, f"/appsettings/{APP}", {"key": "size", "value": 2})
        assert answer.status_code == 200
        kinds = [message["type"] for message in app.messages[-2:]]
        assert kinds == ["settings_update", "augmentos_settings_update"]
        call = await house.webhooks.next_post()
        assert call.path == "/settings"
        read_by_app = await client.get(
            f"/tpasettings/user/{APP}", headers={"authorization": f"Bearer {USER}-{APP}"}
        )
        assert read_by_app.json()["settings"][0]["value"] == 2


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"key": "size", "value": 9}, "$.value "),
        ([{"key": "on", "value": True}, {"key": "size", "value": "2"}], "$[1].value "),
        ([7], "$[0] "),
        ({"value": 7}, "$.key "),
        ("size", "$ "),
    ],
)
async def test_a_value_that_the_schema_does_not_admit(
    body: object, path: str, autojump_clock: MockClock
) -> None:
    async with open_house_site() as (house, client):
        await house.add_app(settings=SCHEMA)
        answer = await post(client, f"/appsettings/{APP}", body)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(path)
        assert await house.store.app_settings(USER, package_name(APP)) == {}


async def test_settings_of_an_app_that_there_is_not(autojump_clock: MockClock) -> None:
    async with open_house_site() as (_, client):
        path = "/appsettings/com.nobody"
        assert (await client.get(path, headers=AS_USER)).status_code == 404
        assert (await post(client, path, {"key": "a", "value": 1})).status_code == 404
        assert (await client.get(path)).status_code == 401
        assert (await client.post(path, json={})).status_code == 401


async def test_a_body_that_is_not_json(autojump_clock: MockClock) -> None:
    async with open_house_site() as (house, client):
        await house.add_app()
        answer = await client.post(f"/appsettings/{APP}", headers=AS_USER, content=b"{")
        assert (answer.status_code, answer.json()["message"]) == (400, "the body must be JSON")


# -- the user's own --------------------------------------------------------------------


async def running(house: Household) -> Any:
    await house.add_app()
    glasses = await house.attached_glasses()
    return glasses, await house.running_app()


async def test_a_toggled_metric_system_leaves_the_other_settings_intact(
    autojump_clock: MockClock,
) -> None:
    async with open_house_site() as (house, client):
        glasses, app = await running(house)
        answer = await client.put(SETTINGS, headers=AS_USER, json={"metric_system_enabled": True})
        assert answer.json()["data"]["metricSystemEnabled"] is True
        (update,) = app.of_type("augmentos_settings_update")
        assert update["settings"] == answer.json()["data"]
        assert len(update["settings"]) == 10
        await client.put(SETTINGS, headers=AS_USER, json={"metric_system_enabled": True})
        await trio.sleep(1)
        assert len(app.of_type("augmentos_settings_update")) == 1
        assert glasses.of_type("settings_update") == []


async def test_the_default_wearable_decides_what_apps_are_compatible(
    autojump_clock: MockClock,
) -> None:
    async with open_house_site() as (house, client):
        _, app = await running(house)
        path = SETTINGS + "/key/default_wearable"
        await client.put(path, headers=AS_USER, json={"value": "Mentra Live"})
        (update,) = app.of_type("capabilities_update")
        assert update["modelName"] == "Mentra Live"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"metric_system_enabled": "yes"}, "$.metricSystemEnabled "),
        ({"brightness": None}, "$.brightness "),
        ({f"k{number}": 0 for number in range(300)}, "$ "),
    ],
)
async def test_a_value_that_a_setting_cannot_have(
    body: dict[str, Any], path: str, autojump_clock: MockClock
) -> None:
    async with open_house_site() as (house, client):
        answer = await client.put(SETTINGS, headers=AS_USER, json=body)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith(path)
        assert await house.store.user_settings(USER) == {}
