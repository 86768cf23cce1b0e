"""Subscriptions and data: checks 38-43, 45 and 47 of protocol.md section 8.3."""

from __future__ import annotations

from typing import Any

import trio

from .conftest import API_KEYS
from .real_app import RealApp, call, handler, on
from .running_server import RunningServer
from .sockets import open_phone
from .steps import say, start, subscribed

GESTURES = (
    "single_tap",
    "double_tap",
    "triple_tap",
    "long_press",
    "forward_swipe",
    "backward_swipe",
    "up_swipe",
    "down_swipe",
)
SETTLE_S = 0.4


def texts(app: RealApp, user: str, name: str) -> list[str]:
    return [data["text"] for data in app.fired(user, name)]


async def test_38_the_last_of_a_burst_of_updates_counts(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onAudioChunk", "audio"), on("onTranscription", "speech"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "audio_chunk", "transcription:en-US")
    sent = app_a.seen.all(event="sent", session=app_a.session_of(user))
    updates = [m["message"] for m in sent if m["message"]["type"] == "subscription_update"]
    assert [sorted(update["subscriptions"]) for update in updates] == [
        [],
        ["audio_chunk"],
        ["audio_chunk", "transcription:en-US"],
    ]
    await phone.send_audio(b"\1\2" * 160)
    await say(phone, "hello", "en-US")
    assert (await app_a.first_fired(user, "audio"))["arrayBuffer"] == "0102" * 160
    assert (await app_a.first_fired(user, "speech"))["text"] == "hello"


async def test_38_five_hundred_rapid_updates_end_in_the_last(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    lists = [["head_position"], ["button_press", "VAD"], [], ["transcription:de-DE"]]
    frames: list[str | bytes | dict[str, Any]] = [
        {"type": "subscription_update", "subscriptions": lists[number % len(lists)]}
        for number in range(499)
    ]
    last = {"type": "subscription_update", "subscriptions": ["touch_event", "VAD"]}
    await app_a.send_raw(user, *frames, last)
    await subscribed(server, user, app_a, "touch_event", "VAD")
    await trio.sleep(SETTLE_S)
    await subscribed(server, user, app_a, "touch_event", "VAD")


async def test_39_twenty_handlers_make_little_noise_for_the_glasses(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    plain = (
        "onButtonPress",
        "onHeadPosition",
        "onGlassesBattery",
        "onPhoneBattery",
        "onVoiceActivity",
        "onLocation",
        "onCalendarEvent",
        "onAudioChunk",
        "onTranscription",
        "onPhoneNotifications",
        "onPhoneNotificationDismissed",
        "onTouchEvent",
    )
    steps = [on(method, method) for method in plain]
    steps += [on("onTouchEvent", gesture, gesture) for gesture in GESTURES]
    await app_a.script(user, *steps)
    phone = await open_phone(nursery, server, user)
    position = len(phone.seen.records)
    await start(phone, app_a, user)
    sent = app_a.seen.all(event="sent", session=app_a.session_of(user))
    updates = [m["message"] for m in sent if m["message"]["type"] == "subscription_update"]
    assert len(updates) == 21
    await subscribed(server, user, app_a, *updates[-1]["subscriptions"])
    await trio.sleep(1)
    assert phone.seen.count(since=position, type="microphone_state_change") <= 2
    assert 1 <= phone.seen.count(since=position, type="app_state_change") <= 2


async def test_40_a_language_stream_is_echoed_with_its_options(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    stream = "transcription:auto?hints=en%2Cfr"
    hints = {"hints": ["en", "fr"]}
    step = on("onTranscriptionForLanguage", "speech", "auto", after=[hints])
    await app_a.script(user, step)
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, stream)
    await say(phone, "bonjour", "fr-FR")
    assert (await app_a.first_fired(user, "speech"))["text"] == "bonjour"
    data = await app_a.received(user, "data_stream")
    assert data["streamType"] == stream


async def test_41_each_app_hears_its_own_language(
    server: RunningServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onTranscription", "speech"))
    await app_b.script(user, on("onTranscriptionForLanguage", "speech", "de-DE"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await start(phone, app_b, user)
    await subscribed(server, user, app_a, "transcription:en-US")
    await subscribed(server, user, app_b, "transcription:de-DE")
    await say(phone, "hello", "en-US")
    await say(phone, "hallo", "de-DE")
    await app_a.first_fired(user, "speech")
    await app_b.first_fired(user, "speech")
    await trio.sleep(SETTLE_S)
    assert texts(app_a, user, "speech") == ["hello"]
    assert texts(app_b, user, "speech") == ["hallo"]


async def test_42_translations_do_not_cross(
    server: RunningServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("ontranslationForLanguage", "words", "es-ES", "en-US"))
    await app_b.script(user, on("ontranslationForLanguage", "words", "es-ES", "fr-FR"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await start(phone, app_b, user)
    await subscribed(server, user, app_a, "translation:es-ES-to-en-US")
    await subscribed(server, user, app_b, "translation:es-ES-to-fr-FR")
    for text, target in (("good day", "en-US"), ("bonjour", "fr-FR")):
        await phone.send(
            "translation",
            text=text,
            isFinal=True,
            startTime=0,
            endTime=900,
            transcribeLanguage="es-ES",
            translateLanguage=target,
        )
    await app_a.first_fired(user, "words")
    await app_b.first_fired(user, "words")
    await trio.sleep(SETTLE_S)
    assert texts(app_a, user, "words") == ["good day"]
    assert texts(app_b, user, "words") == ["bonjour"]


async def test_43_both_kinds_of_touch_handler_fire_once(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onTouchEvent", "any"), on("onTouchEvent", "double", "double_tap"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "touch_event", "touch_event:double_tap")
    await phone.send("touch_event", device_model="G1", gesture_name="double_tap")
    await phone.send("touch_event", device_model="G1", gesture_name="single_tap")
    await app_a.first_fired(user, "any", number=2)
    await trio.sleep(SETTLE_S)
    gestures = [data["gesture_name"] for data in app_a.fired(user, "any")]
    assert gestures == ["double_tap", "single_tap"]
    assert [data["gesture_name"] for data in app_a.fired(user, "double")] == ["double_tap"]


async def test_45_a_stream_without_permission_is_refused_alone(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.become("com.t.quiet", API_KEYS["com.t.quiet"])
    await app_a.script(
        user,
        call("events.onPermissionError", handler("refused")),
        call("events.onPermissionDenied", handler("denied")),
        on("onAudioChunk", "audio"),
        on("onButtonPress", "button"),
    )
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "button_press")
    await phone.send_audio(b"\0" * 320)
    await phone.send("button_press", buttonId="main", pressType="short")
    await app_a.first_fired(user, "button")
    await trio.sleep(SETTLE_S)
    (refused,) = app_a.fired(user, "refused")
    (detail,) = refused["details"]
    assert (detail["stream"], detail["requiredPermission"]) == ("audio_chunk", "MICROPHONE")
    assert app_a.fired(user, "denied") == [detail]
    assert app_a.fired(user, "audio") == []


async def test_47_audio_arrives_as_it_was_sent_and_only_where_it_is_wanted(
    server: RunningServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onAudioChunk", "audio"))
    await app_b.script(user, on("onButtonPress", "button"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await start(phone, app_b, user)
    await subscribed(server, user, app_a, "audio_chunk")
    await subscribed(server, user, app_b, "button_press")
    chunks = [bytes([number]) * 320 for number in range(50)]
    for chunk in chunks:
        await phone.send_audio(chunk)
    await app_a.first_fired(user, "audio", number=len(chunks))
    await trio.sleep(SETTLE_S)
    assert [data["arrayBuffer"] for data in app_a.fired(user, "audio")] == [
        chunk.hex() for chunk in chunks
    ]
    assert app_b.seen.count(event="received", bytes=lambda it: it is not None) == 0
