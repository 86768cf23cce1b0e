"""Fan-out: what the glasses say reaches the apps that asked for it, and no others."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.facts import FrameDropped
from mentra_trio.domain.ids import PackageName
from mentra_trio.testing.household import USER, Household, open_household
from mentra_trio.testing.links import MemoryLink


async def subscribed(
    house: Household, package: str, *streams: Any, permissions: tuple[str, ...] = ("ALL",)
) -> MemoryLink:
    name = await house.add_app(package, permissions=permissions, kind="background")
    app = await house.running_app(USER, PackageName(name))
    app.say({"type": "subscription_update", "subscriptions": list(streams)})
    await wait_all_tasks_blocked()
    return app


def heard(app: MemoryLink) -> list[str]:
    return [message["streamType"] for message in app.of_type("data_stream")]


def speech(language: str, text: str = "hello") -> dict[str, Any]:
    return {
        "type": "local_transcription",
        "text": text,
        "isFinal": True,
        "startTime": 0,
        "endTime": 900,
        "speakerId": "1",
        "transcribeLanguage": language,
        "provider": "phone",
    }


async def test_a_local_transcription_becomes_a_transcription(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        app = await subscribed(house, "com.t.a", "transcription:en-US")
        glasses.say(speech("en-US"))
        message = await app.expect("data_stream")
        assert message["streamType"] == "transcription:en-US"
        assert message["sessionId"] == f"{USER}-com.t.a"
        assert message["data"] == {
            "type": "transcription",
            "text": "hello",
            "isFinal": True,
            "transcribeLanguage": "en-US",
            "startTime": 0,
            "endTime": 900,
            "speakerId": "1",
            "provider": "phone",
        }


async def test_each_app_gets_its_own_language_and_its_own_words_back(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        english = await subscribed(house, "com.t.en", "transcription:en-US")
        german = await subscribed(house, "com.t.de", "transcription:de-DE")
        automatic = await subscribed(house, "com.t.auto", "transcription:auto?hints=en%2Cfr")
        bare = await subscribed(house, "com.t.bare", "transcription")
        glasses.say(speech("en-US"), speech("de-DE"))
        await wait_all_tasks_blocked()
        assert heard(english) == ["transcription:en-US"]
        assert heard(german) == ["transcription:de-DE"]
        assert heard(automatic) == ["transcription:auto?hints=en%2Cfr"] * 2
        assert heard(bare) == ["transcription"]


async def test_a_gesture_reaches_both_of_an_apps_handlers_once_each(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        app = await subscribed(house, "com.t.a", "touch_event", "touch_event:double_tap")
        tap = {"type": "touch_event", "device_model": "Mentra Live"}
        glasses.say({**tap, "gesture_name": "double_tap"}, {**tap, "gesture_name": "single_tap"})
        await wait_all_tasks_blocked()
        assert sorted(heard(app)) == ["touch_event", "touch_event", "touch_event:double_tap"]
        assert app.of_type("data_stream")[0]["data"] == {**tap, "gesture_name": "double_tap"}


async def test_events_are_relayed_as_the_phone_wrote_them(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        app = await subscribed(house, "com.t.a", "button_press", "VAD", "weather_report")
        press = {"type": "button_press", "buttonId": "b", "pressType": "long", "new": {"x": [1]}}
        unknown = {"type": "weather_report", "rain": True}
        glasses.say(press, {"type": "VAD", "status": "true"}, unknown)
        await wait_all_tasks_blocked()
        assert heard(app) == ["button_press", "VAD", "weather_report"]
        assert app.of_type("data_stream")[0]["data"] == press
        assert app.of_type("data_stream")[2]["data"] == unknown


async def test_location_reaches_both_kinds_of_subscriber(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        both = await subscribed(
            house, "com.t.a", "location_update", {"stream": "location_stream", "rate": "high"}
        )
        plain = await subscribed(house, "com.t.b", "location_update")
        glasses.say({"type": "location_update", "lat": 1.5, "lng": 2})
        await wait_all_tasks_blocked()
        assert heard(both) == ["location_update", "location_stream"]
        assert heard(plain) == ["location_update"]


async def test_audio_is_binary_the_same_and_in_order(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        app = await subscribed(house, "com.t.a", "audio_chunk")
        other = await subscribed(house, "com.t.b", "button_press")
        frames = [bytes([n]) * 320 for n in range(50)]
        glasses.say(*frames, b"")
        await wait_all_tasks_blocked()
        assert app.audio == frames
        assert other.audio == []
        assert app.of_type("data_stream") == []


async def test_audio_is_never_queued_for_a_lost_app(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        app = await subscribed(house, "com.t.a", "audio_chunk")
        app.cut()
        await wait_all_tasks_blocked()
        glasses.say(b"lost")
        await wait_all_tasks_blocked()
        back = house.app(package=PackageName("com.t.a"))
        await back.expect("tpa_connection_ack")
        glasses.say(b"live")
        await wait_all_tasks_blocked()
        assert back.audio == [b"live"]
        assert len(house.webhooks.starts) == 1, "audio resurrects nobody"


async def test_a_slow_app_delays_neither_another_app_nor_the_glasses(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        slow = await subscribed(house, "com.t.slow", "button_press", "audio_chunk")
        quick = await subscribed(house, "com.t.quick", "button_press", "audio_chunk")
        slow.room = 0
        began = trio.current_time()
        for _ in range(10):
            glasses.say(b"pcm", {"type": "button_press", "buttonId": "b"}, {"type": "ping"})
        await wait_all_tasks_blocked()
        assert len(heard(quick)) == len(quick.audio) == len(glasses.of_type("pong")) == 10
        assert trio.current_time() == began
        assert not slow.is_open
        dropped = {fact.reason for fact in house.telemetry.of(FrameDropped)}
        assert dropped == {"audio for a peer that lags"}, "what is no audio is kept for its return"
        kept = house.snapshot(package=PackageName("com.t.slow"))
        assert kept is not None
        assert kept.outbox == 10


async def test_without_the_permission_a_stream_is_refused_once_per_link_and_the_rest_works(
    autojump_clock: MockClock,
) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        app = await subscribed(house, "com.t.a", "audio_chunk", "button_press", permissions=())
        for _ in range(5):
            app.say(
                {"type": "subscription_update", "subscriptions": ["audio_chunk", "button_press"]}
            )
        await wait_all_tasks_blocked()
        (error,) = app.of_type("permission_error")
        (detail,) = error["details"]
        assert (detail["stream"], detail["requiredPermission"]) == ("audio_chunk", "MICROPHONE")
        glasses.say(b"pcm", {"type": "button_press", "buttonId": "b"})
        await wait_all_tasks_blocked()
        assert app.audio == []
        assert heard(app) == ["button_press"]
        app.cut()
        await wait_all_tasks_blocked()
        back = house.app(package=PackageName("com.t.a"))
        back.say({"type": "subscription_update", "subscriptions": ["audio_chunk"]})
        await back.expect("permission_error")


async def test_a_wildcard_gets_what_its_permissions_allow(autojump_clock: MockClock) -> None:
    async with open_household() as house:
        glasses = await house.attached_glasses()
        app = await subscribed(house, "com.t.a", "*", permissions=("LOCATION",))
        glasses.say(
            {"type": "button_press", "buttonId": "b"},
            {"type": "location_update", "lat": 1, "lng": 2},
            {"type": "phone_notification", "notificationId": "1", "app": "x", "title": "t"},
            speech("en-US"),
            b"pcm",
        )
        await wait_all_tasks_blocked()
        assert app.audio == []
        assert "button_press" in heard(app)
        assert "location_update" in heard(app)
        assert "phone_notification" not in heard(app)
        assert not [stream for stream in heard(app) if stream.startswith("transcription")]
