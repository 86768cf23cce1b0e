"""What the numbered checks do not call of the SDK: each method once, and what comes of it.

``sdk_methods`` says which method is called where.
"""

from __future__ import annotations

import base64
import json
import struct
from functools import partial
from typing import Any, Final

import pytest
import trio

from .notes_app import CONFIG, NOTES
from .real_app import RealApp, Step, call, handler
from .running_server import RunningServer
from .sdk_methods import OBSERVABLES
from .sockets import open_phone
from .steps import start, subscribed, untouched, wear
from .timeline import Record, eventually

SETTLE_S = 0.4


def bitmap(width: int, height: int) -> str:
    """A white 24-bit BMP, in base64."""
    pixels = (b"\xff" * width * 3).ljust(-(-width * 3 // 4) * 4, b"\0") * height
    head = struct.pack("<2sIHHI", b"BM", 54 + len(pixels), 0, 0, 54)
    about = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    return base64.b64encode(head + about + pixels).decode()


# -- layouts -------------------------------------------------------------------------------


async def test_every_layout_is_drawn_as_the_sdk_sends_it(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    frames = [bitmap(8, 8)] * 2
    drawn: dict[str, tuple[Step, Record]] = {
        "double_text_wall": (
            call("layouts.showDoubleTextWall", "above", "below"),
            {"topText": "above", "bottomText": "below"},
        ),
        "reference_card": (
            call("layouts.showReferenceCard", "Recipe", "Eggs"),
            {"title": "Recipe", "text": "Eggs"},
        ),
        "dashboard_card": (
            call("layouts.showDashboardCard", "left", "right", {"view": "main"}),
            {"leftText": "left", "rightText": "right"},
        ),
        "bitmap_animation": (
            call("layouts.showBitmapAnimation", frames, 500, True, keep="film"),
            {"frames": frames, "interval": 500, "repeat": True},
        ),
    }
    for kind, (step, fields) in drawn.items():
        await app_a.run(user, step)
        found = await phone.message(
            "display_event",
            packageName=app_a.package,
            layout=lambda it, kind=kind: it["layoutType"] == kind,
        )
        assert found["layout"] == {"layoutType": kind, **fields}
        assert found["view"] == "main"

    cleared = {"packageName": app_a.package, "layout": {"layoutType": "clear_view"}}
    await app_a.run(user, {"undo": "film", "method": "stop"})
    await phone.message("display_event", **cleared)
    await app_a.run(user, call("layouts.showBitmapView", bitmap(526, 100)))
    picture = await phone.message(
        "display_event", layout=lambda it: it["layoutType"] == "bitmap_view"
    )
    padded = base64.b64decode(picture["layout"]["data"])
    assert struct.unpack_from("<ii", padded, 18) == (576, 135)
    await app_a.run(user, call("layouts.clearView"))
    await phone.message("display_event", number=2, **cleared)


async def test_a_card_for_the_dashboard_and_content_for_both_modes(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await app_a.run(user, call("layouts.showDashboardCard", "left", "right"))
    card = {"layoutType": "dashboard_card", "leftText": "left", "rightText": "right"}
    await phone.message("display_event", view="dashboard", layout=card)
    await app_a.run(user, call("dashboard.content.write", "for both", ["main", "expanded"]))
    await phone.message(
        "display_event",
        view="dashboard",
        layout=lambda it: it.get("bottomText", "").endswith("for both"),
    )
    assert await app_a.run(user, call("dashboard.content.getCurrentMode")) == "none"


# -- settings ------------------------------------------------------------------------------


async def test_settings_are_read_in_every_way_there_is(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    hears: tuple[Step, ...] = (
        call("settings.onChange", handler("change")),
        call("settings.onMentraosSettingsChange", "brightness", handler("plural")),
        call("settings.onMentraosSettingChange", "brightness", handler("singular")),
    )
    await notes.script(user, *hears)
    phone = await open_phone(nursery, server, user)
    await start(phone, notes, user)
    await server.post("/api/client/user/settings", user, {"brightness": 70})
    assert await notes.first_fired(user, "plural") == 70
    assert await notes.first_fired(user, "singular") == 70
    for path in ("settings.getMentraOS", "settings.getMentraosSetting"):
        assert await notes.run(user, call(path, "brightness")) == 70
        assert await notes.run(user, call(path, "no such thing", "else")) == "else"

    await server.post(f"/appsettings/{NOTES}", user, {"key": "size", "value": 5})
    assert await notes.first_fired(user, "change") == {"size": {"oldValue": 3, "newValue": 5}}
    assert await notes.run(user, call("settings.has", "size")) is True
    assert await notes.run(user, call("settings.has", "colour")) is False
    assert await notes.run(user, call("getSetting", "size")) == 5
    found = await notes.run(user, call("settings.getAll"))
    assert [(one["key"], one["value"]) for one in found] == [("size", 5)]
    assert await notes.run(user, call("getSettings")) == found
    assert await notes.run(user, call("settings.getSetting", "size")) == found[0]
    assert await notes.run(user, call("settings.fetch")) == found


async def test_an_app_knows_its_configuration_and_where_its_cloud_is(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, notes, user)
    config = await notes.run(user, call("getConfig"))
    assert config["name"] == CONFIG["name"]
    (default,) = await notes.run(user, call("getDefaultSettings"))
    assert (default["key"], default["value"]) == ("size", 3)
    assert (await notes.run(user, call("getSettingSchema", "size")))["max"] == 5
    assert await notes.run(user, call("getSessionId")) == notes.session_of(user)
    assert await notes.run(user, call("getPackageName")) == NOTES
    where = await notes.run(user, call("getServerUrl"))
    assert where.startswith(server.websocket_url + "/")
    assert (await notes.run(user, call("getHttpsServerUrl"))).startswith(
        server.url.replace("http:", "https:")
    )
    loaded = await notes.run(user, call("loadConfigFromJson", json.dumps(config)))
    assert loaded == config
    # The SDK asks for them at the address of its socket, with HTTP: nobody can answer.
    assert await notes.run(user, call("getInstructions")) is None


async def test_settings_may_decide_what_is_subscribed_to(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    """2.1.29 asks the author, and lists what there are handlers for all the same."""
    decides = {"$handler": "decides", "returns": ["button_press", "head_position"]}
    options = {"updateOnChange": ["size"], "handler": decides}
    await notes.script(
        user,
        call("events.onButtonPress", handler("button")),
        call("setSubscriptionSettings", options),
    )
    phone = await open_phone(nursery, server, user)
    await start(phone, notes, user)
    await server.post(f"/appsettings/{NOTES}", user, {"key": "size", "value": 4})
    await notes.first_fired(user, "decides", data=lambda it: it[0]["value"] == 4)
    await notes.run(user, call("updateSettingsForTesting", [{"key": "size", "value": 1}]))
    await notes.first_fired(user, "decides", data=lambda it: it[0]["value"] == 1)
    await subscribed(server, user, notes, "button_press")
    assert notes.seen.count(event="error", session=notes.session_of(user)) == 0


# -- what is kept, and the glasses ---------------------------------------------------------


async def test_storage_is_listed_counted_and_written_in_one_go(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    both = {"colour": "red", "size": "5"}
    await app_a.run(user, call("simpleStorage.setMultiple", both), call("simpleStorage.flush"))
    await phone.send("stop_app", packageName=app_a.package)
    await app_a.seen.first(event="stopped", user=user)
    await phone.send("start_app", packageName=app_a.package)
    await app_a.running(user, number=2)  # the new session has to ask for what is kept
    assert await app_a.run(user, call("simpleStorage.size")) == 2
    assert await app_a.run(user, call("simpleStorage.hasKey", "size")) is True
    assert await app_a.run(user, call("simpleStorage.hasKey", "weight")) is False
    assert await app_a.run(user, call("simpleStorage.getAllData")) == both


STATE: Final[dict[str, Any]] = {
    "wifiConnected": True,
    "wifiSsid": "home",
    "wifiLocalIp": "10.0.0.7",
    "batteryLevel": 41,
    "charging": True,
    "caseBatteryLevel": 77,
    "caseCharging": True,
    "caseOpen": True,
    "caseRemoved": True,
    "hotspotEnabled": True,
    "hotspotSsid": "glasses",
    "connected": True,
    "modelName": "Mentra Live",
}


async def test_every_part_of_the_state_of_the_glasses_is_observed(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    assert set(STATE) == OBSERVABLES
    steps = [call(f"device.state.{name}.onChange", handler(name)) for name in STATE]
    await app_a.script(user, *steps)
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    answer = await server.post("/api/client/device/state", user, STATE)
    assert answer.status_code == 200
    seen = partial(app_a.run, user, call("device.state.getSnapshot"))
    await eventually(seen, lambda found: found == STATE)
    for name, value in STATE.items():
        assert app_a.fired(user, name)[-1] == value, name
        assert await app_a.run(user, call(f"device.state.{name}.valueOf")) == value
        text = str(value).lower() if value is True else str(value)
        assert await app_a.run(user, call(f"device.state.{name}.toString")) == text


async def test_the_wifi_of_the_glasses_is_known_to_who_listens(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, call("onGlassesConnectionState", handler("state")))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    assert await app_a.run(user, call("getWifiStatus")) is None
    await subscribed(server, user, app_a, "glasses_connection_state")
    wifi = {"connected": True, "ssid": "home"}
    await wear(phone, "Mentra Live", wifi=wifi)
    await app_a.first_fired(user, "state")
    await app_a.received(user, "capabilities_update")
    assert await app_a.run(user, call("getWifiStatus")) == wifi
    assert await app_a.run(user, call("isWifiConnected")) is True


async def test_leds_may_be_lit_in_two_more_ways(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await wear(phone, "Mentra Live")
    await app_a.received(user, "capabilities_update")
    await app_a.run(user, call("led.solid", "green", 1500))
    await app_a.run(user, call("led.turnOn", {"color": "white", "ontime": 10, "count": 2}))
    assert await app_a.run(user, call("led.getCapabilities")) == []
    await app_a.run(user, call("led.cleanup"))
    solid = await phone.message("rgb_led_control")
    on = await phone.message("rgb_led_control", number=2)
    fields = ("action", "color", "ontime", "offtime", "count")
    assert [solid[name] for name in fields] == ["on", "green", 1500, 0, 1]
    assert [on[name] for name in fields] == ["on", "white", 10, 0, 2]


async def test_locations_are_no_longer_wanted(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    step = call("location.subscribeToStream", {"accuracy": "high"}, handler("location"))
    await app_a.script(user, step)
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "location_update")
    await app_a.run(user, call("location.unsubscribeFromStream"))
    await subscribed(server, user, app_a)
    await phone.send("location_update", lat=1, lng=2)
    await trio.sleep(SETTLE_S)
    assert app_a.fired(user, "location") == []


# -- the app's server ----------------------------------------------------------------------


async def test_photos_are_asked_for_and_given_up_at_the_apps_server(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    names = ("resolved", "rejected")
    ends = {"resolve": handler("resolved"), "reject": handler("rejected")}
    request = {"sessionId": app_a.session_of(user), "userId": user, **ends}
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    for name in ("one", "two"):
        await app_a.run(user, call("appServer.registerPhotoRequest", name, request))
        assert await app_a.run(user, call("appServer.getPhotoRequest", name))
    assert await app_a.run(user, call("appServer.completePhotoRequest", "one"))
    assert await app_a.run(user, call("appServer.getPhotoRequest", "one")) is None
    await app_a.run(user, call("appServer.cleanupPhotoRequestsForSession", request["sessionId"]))
    await app_a.first_fired(user, "rejected")
    assert [len(app_a.fired(user, name)) for name in names] == [0, 1]
    assert await app_a.run(user, call("appServer.getPhotoRequest", "two")) is None


async def test_tokens_of_the_apps_own_cannot_be_made(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    """2.1.29 fails under Node: it imports a CommonJS package by a name that Node does not see."""
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    make = call("appServer.generateToken", user, app_a.session_of(user), "secret")
    with pytest.raises(AssertionError, match="sign is not a function"):
        await app_a.run(user, make)
    assert untouched(app_a, user)
