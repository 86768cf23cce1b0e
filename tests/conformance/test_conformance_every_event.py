"""Every handler that an app can register hears what it is for, until it is taken back."""

from __future__ import annotations

from typing import Any, Final

import trio

from .real_app import RealApp, Step, call, handler
from .running_server import RunningServer
from .sockets import Socket, open_phone
from .steps import say, start, subscribed, wear

SETTLE_S = 0.4
POSITION: Final = {"lat": 48.1, "lng": 11.6, "accuracy": 12}
NOTE: Final = {"notificationId": "n", "app": "Mail", "title": "t", "content": "c"}
MEETING: Final = {
    "eventId": "e",
    "title": "Stand-up",
    "dtStart": "2100-01-01T10:00:00Z",
    "dtEnd": "2100-01-01T11:00:00Z",
    "timezone": "UTC",
    "timeStamp": "2026-01-01T00:00:00Z",
}
PLACE: Final = {"deviceModel": "G1", "requestId": "r", "confidence": 0.5} | {
    axis: number for number, axis in enumerate(("x", "y", "z", "qx", "qy", "qz", "qw"))
}
MODEL: Final = {"modelName": "Mentra Live", "status": "CONNECTED"}

HEARD: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "events.onHeadPosition": ("head_position", {"position": "up"}),
    "onHeadPosition": ("head_position", {"position": "up"}),
    "events.onButtonPress": ("button_press", {"buttonId": "main", "pressType": "long"}),
    "onButtonPress": ("button_press", {"buttonId": "main", "pressType": "long"}),
    "events.onTouchEvent": ("touch_event", {"device_model": "G1", "gesture_name": "up_swipe"}),
    "onTouchEvent": ("touch_event", {"device_model": "G1", "gesture_name": "up_swipe"}),
    "events.onPhoneNotifications": ("phone_notification", {**NOTE, "priority": "low"}),
    "onPhoneNotifications": ("phone_notification", {**NOTE, "priority": "low"}),
    "events.onPhoneNotificationDismissed": (
        "phone_notification_dismissed",
        {**NOTE, "notificationKey": "k"},
    ),
    "onPhoneNotificationDismissed": (
        "phone_notification_dismissed",
        {**NOTE, "notificationKey": "k"},
    ),
    "events.onGlassesBattery": ("glasses_battery_update", {"level": 41, "charging": True}),
    "events.onPhoneBattery": ("phone_battery_update", {"level": 87, "charging": False}),
    "events.onVoiceActivity": ("VAD", {"status": True}),
    "events.onLocation": ("location_update", POSITION),
    "events.onCalendarEvent": ("calendar_event", MEETING),
    "events.onVpsCoordinates": ("vps_coordinates", PLACE),
    "onVpsCoordinates": ("vps_coordinates", PLACE),
    "events.onPhotoTaken": ("photo_taken", {"photoData": "/9j/", "mimeType": "image/jpeg"}),
    "onPhotoTaken": ("photo_taken", {"photoData": "/9j/", "mimeType": "image/jpeg"}),
    "onGlassesConnectionState": ("glasses_connection_state", MODEL),
}
"""What the phone says for each method that takes a handler and nothing else."""
BY_NAME: Final = {"events.on": "head_position", "on": "button_press"}
STREAMS: Final = {said for said, _ in HEARD.values()}


async def say_everything(phone: Socket) -> None:
    """Let the phone say each thing once."""
    for type_, fields in dict(HEARD.values()).items():
        await phone.send(type_, **fields)


async def test_every_event_of_phone_and_glasses_reaches_its_handlers(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    registered = {path: call(path, handler(path), keep=path) for path in HEARD}
    named = {path: call(path, type_, handler(path), keep=path) for path, type_ in BY_NAME.items()}
    await app_a.script(user, *registered.values(), *named.values())
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, *STREAMS)
    assert set(await app_a.run(user, call("events.getRegisteredStreams"))) == STREAMS

    await say_everything(phone)
    for path, (type_, fields) in HEARD.items():
        data = await app_a.first_fired(user, path)
        assert {key: data[key] for key in fields} == fields, path
        assert data["type"] == type_
    for path, type_ in BY_NAME.items():
        assert (await app_a.first_fired(user, path))["type"] == type_

    await app_a.run(user, *({"undo": path} for path in (*HEARD, *BY_NAME)))
    await subscribed(server, user, app_a)
    assert await app_a.run(user, call("events.getRegisteredStreams")) == []
    await say_everything(phone)
    await trio.sleep(SETTLE_S)
    counts = {path: len(app_a.fired(user, path)) for path in (*HEARD, *BY_NAME)}
    assert set(counts.values()) == {1}, counts


async def test_what_a_session_alone_subscribes_to_is_nothing(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    """2.1.29 lists what it has handlers for; these three only send the list again."""
    gestures: Step = call("subscribeToGestures", ["double_tap"], keep="gestures")
    await app_a.script(user, call("events.onButtonPress", handler("button")))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await app_a.run(user, gestures, call("subscribe", "head_position"))
    await app_a.run(user, {"undo": "gestures"}, call("unsubscribe", "button_press"))
    await subscribed(server, user, app_a, "button_press")
    await phone.send("button_press", buttonId="main", pressType="short")
    await app_a.first_fired(user, "button")
    sent = app_a.seen.all(event="sent", session=app_a.session_of(user))
    lists = [
        one["message"]["subscriptions"]
        for one in sent
        if one["message"]["type"] == "subscription_update"
    ]
    assert lists == [[], *[["button_press"]] * 5]


async def test_a_language_takes_the_place_of_the_one_before(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(
        user,
        call("onTranscription", handler("english")),
        call("onTranscriptionForLanguage", "de-DE", handler("german"), True),
        call("onTranslationForLanguage", "es-ES", "en-US", handler("translated")),
    )
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    german = "transcription:de-DE?no-language-identification=true"
    translated = "translation:es-ES-to-en-US"
    await subscribed(server, user, app_a, "transcription:en-US", german, translated)
    await say(phone, "hello", "en-US")
    await say(phone, "hallo", "de-DE")
    words = {"text": "good day", "transcribeLanguage": "es-ES", "translateLanguage": "en-US"}
    await phone.send("translation", **words, isFinal=True, startTime=0, endTime=900)
    for name, text in (("english", "hello"), ("german", "hallo"), ("translated", "good day")):
        assert (await app_a.first_fired(user, name))["text"] == text

    french = call("onTranscriptionForLanguage", "fr-FR", handler("french"))
    await app_a.run(user, french)
    await subscribed(server, user, app_a, "transcription:en-US", "transcription:fr-FR", translated)
    await say(phone, "hallo", "de-DE")
    await say(phone, "salut", "fr-FR")
    assert (await app_a.first_fired(user, "french"))["text"] == "salut"
    assert len(app_a.fired(user, "german")) == 1


async def test_every_event_of_the_cloud_reaches_its_handlers(
    server: RunningServer, notes: RealApp, nursery: trio.Nursery, user: str
) -> None:
    events = ("onConnected", "onDisconnected", "onSettingsUpdate", "onCapabilitiesUpdate")
    never = ("onDashboardAlwaysOnChange", "onPermissionError", "onPermissionDenied")
    for_all = (*events, *never, "onError")
    await notes.script(
        user,
        *(call(f"events.{name}", handler(name), keep=name) for name in for_all),
        call("events.onSettingChange", "size", handler("onSettingChange"), keep="size"),
    )
    phone = await open_phone(nursery, server, user)
    await start(phone, notes, user)

    await wear(phone, "Mentra Live")
    change = await notes.first_fired(user, "onCapabilitiesUpdate")
    assert change["modelName"] == change["capabilities"]["modelName"] == "Mentra Live"

    await server.post(f"/appsettings/{notes.package}", user, {"key": "size", "value": 5})
    (update,) = await notes.first_fired(user, "onSettingsUpdate")
    assert (update["key"], update["value"]) == ("size", 5)
    assert await notes.first_fired(user, "onSettingChange") == 5

    await notes.reset_socket(user)
    gone = await notes.first_fired(user, "onDisconnected")
    assert (gone["code"], gone["wasClean"]) == (1006, False)
    (setting,) = await notes.first_fired(user, "onConnected")
    assert (setting["key"], setting["value"]) == ("size", 5)

    await phone.close()
    await phone.end()
    await trio.sleep(SETTLE_S)
    await notes.run(user, call("led.turnOff"))
    await notes.seen.first(event="error", message=lambda text: "phone: not connected" in text)
    await notes.first_fired(user, "onError")
    assert [notes.fired(user, name) for name in never] == [[], [], []]

    local = {"message": "said by the app itself", "details": []}
    await notes.run(user, call("events.emit", "permission_error", local))
    assert await notes.first_fired(user, "onPermissionError") == local
    await notes.run(user, *({"undo": name} for name in (*for_all, "size")))
    await notes.run(user, call("events.emit", "permission_error", local))
    await trio.sleep(SETTLE_S)
    assert len(notes.fired(user, "onPermissionError")) == 1
