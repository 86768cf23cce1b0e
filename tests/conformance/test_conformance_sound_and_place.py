"""Sound, LEDs, locations, calendar and clock: checks 49 to 52, 68 and 69 of protocol.md 8."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import trio
import trustme

import mentra_trio
from mentra_trio.clients.glasses import open_glasses
from mentra_trio.testing.scripted_voice import MPEG_FRAME, ScriptedVoice
from mentra_trio.wire import from_glasses, to_glasses

from .real_app import RealApp, Step, handler, on
from .running_server import RunningServer
from .sockets import Socket, open_phone
from .steps import start, subscribed

HERE = {"lat": 48.1, "lng": 11.6, "accuracy": 12}
QUICKLY_S = 2.0
SETTLE_S = 0.4


def tiers(phone: Socket) -> list[str]:
    return [one["tier"] for one in phone.seen.all(type="set_location_tier")]


def stream(rate: str) -> dict[str, Any]:
    return {"stream": "location_stream", "rate": rate}


def wants(*entries: Any) -> dict[str, Any]:
    return {"type": "subscription_update", "subscriptions": list(entries)}


LATEST: Step = {"call": "location.getLatestLocation", "args": [{"accuracy": "high"}]}


async def settled(seconds: float = SETTLE_S) -> None:
    await trio.sleep(seconds)


@asynccontextmanager
async def promised(app: RealApp, user: str, step: Step) -> AsyncGenerator[list[Any]]:
    """What the promise of ``step`` comes to is in the list when the block is over."""
    found: list[Any] = []

    async def ask() -> None:
        found.append(await app.run(user, step))

    async with trio.open_nursery() as asking:
        asking.start_soon(ask)
        yield found


# -- calendar ------------------------------------------------------------------------------


async def test_49_who_subscribes_later_hears_what_is_to_come_first(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onCalendarEvent", "calendar"))
    phone = await open_phone(nursery, server, user)
    for title, begins in (("past", "2020"), ("far", "2101"), ("soon", "2100")):
        await phone.send(
            "calendar_event",
            eventId=title,
            title=title,
            dtStart=f"{begins}-01-01T10:00:00Z",
            dtEnd=f"{begins}-01-01T11:00:00Z",
            timezone="UTC",
            timeStamp="2026-01-01T00:00:00Z",
            location="Room 5",
        )
    await start(phone, app_a, user)
    await app_a.first_fired(user, "calendar", number=3)
    told = app_a.fired(user, "calendar")
    assert [one["title"] for one in told] == ["soon", "far", "past"]
    assert told[0]["location"] == "Room 5"


async def test_49_also_over_http_and_as_they_come(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(user, on("onCalendarEvent", "calendar"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "calendar_event")
    events = [{"eventId": "e", "title": "t", "dtStart": "2100-01-01T10:00:00Z"}]
    answer = await server.post("/api/client/calendar", user, {"events": events})
    assert answer.json()["success"] is True
    assert (await app_a.first_fired(user, "calendar"))["title"] == "t"


async def test_notifications_over_http_reach_their_handlers(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    steps = [on("onPhoneNotifications", "come"), on("onPhoneNotificationDismissed", "gone")]
    await app_a.script(user, *steps)
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "phone_notification", "phone_notification_dismissed")
    note = {"notificationId": "n", "app": "Mail", "title": "t", "content": "c", "priority": "low"}
    await server.post("/api/client/notifications", user, note)
    await server.post("/api/client/notifications/dismissed", user, {**note, "notificationKey": "k"})
    assert (await app_a.first_fired(user, "come"))["content"] == "c"
    assert (await app_a.first_fired(user, "gone"))["notificationKey"] == "k"


# -- location ------------------------------------------------------------------------------


async def test_50_the_finest_wish_of_all_apps_is_told(
    server: RunningServer, app_a: RealApp, app_b: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await start(phone, app_b, user)
    await app_a.send_raw(user, wants(stream("high")))
    await phone.message("set_location_tier", tier="high", within_s=QUICKLY_S)
    await app_b.send_raw(user, wants(stream("reduced")))
    await subscribed(server, user, app_b, "location_stream")
    await app_a.send_raw(user, wants(stream("high"), "button_press"))
    await settled()
    assert tiers(phone) == ["reduced", "high"], "the first is told to every phone that comes"
    await phone.send("stop_app", packageName=app_a.package)
    await phone.message("set_location_tier", tier="reduced", number=2)
    assert tiers(phone) == ["reduced", "high", "reduced"]


async def test_50_the_handlers_of_the_sdk_ask_for_it(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(
        user,
        {"call": "events.on", "args": ["location_stream", handler("stream")]},
        {
            "call": "location.subscribeToStream",
            "args": [{"accuracy": "realtime"}, handler("location")],
        },
    )
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await phone.message("set_location_tier", tier="realtime")
    await phone.send("location_update", **HERE)
    assert (await app_a.first_fired(user, "stream"))["lat"] == HERE["lat"]
    assert (await app_a.first_fired(user, "location"))["lat"] == HERE["lat"]


async def test_51_a_fresh_location_answers_without_the_phone(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await phone.send("location_update", **HERE)
    await settled()
    with trio.fail_after(QUICKLY_S):
        found = await app_a.run(user, LATEST)
    assert {key: found[key] for key in HERE} == HERE
    assert phone.seen.count(type="request_single_location") == 0


@pytest.mark.parametrize("over_http", [False, True])
async def test_51_else_the_phone_is_asked_and_only_the_asker_is_answered(
    server: RunningServer,
    app_a: RealApp,
    app_b: RealApp,
    nursery: trio.Nursery,
    user: str,
    *,
    over_http: bool,
) -> None:
    await app_b.script(user, on("onLocation", "location"))
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await start(phone, app_b, user)
    await subscribed(server, user, app_b, "location_update")
    async with promised(app_a, user, LATEST) as found:
        asked = await phone.message("request_single_location")
        assert asked["accuracy"] == "high"
        name = asked["correlationId"]
        if over_http:
            path = f"/api/client/location/poll-response/{name}"
            assert (await server.post(path, user, {"location": HERE})).status_code == 200
        else:
            await phone.send("location_update", correlationId=name, **HERE)
    assert found[0]["lat"] == HERE["lat"]
    assert found[0]["correlationId"] == name
    await settled()
    assert app_b.fired(user, "location") == []


# -- clock ---------------------------------------------------------------------------------


async def test_52_the_time_of_the_user_reaches_its_handlers(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    await app_a.script(
        user,
        on("onCustomMessage", "datetime", "update_datetime"),
        {"call": "events.on", "args": ["custom_message", handler("custom")]},
    )
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await subscribed(server, user, app_a, "custom_message")
    moment = "2026-01-31T13:00:00+01:00"
    async with httpx.AsyncClient(trust_env=False) as client:  # as phones do: no header
        body = {"coreToken": server.token(user), "datetime": moment}
        answer = await client.post(f"{server.url}/api/user-data/set-datetime", json=body)
    assert answer.json() == {"success": True, "userId": user, "datetime": moment}
    payload = {"datetime": moment, "section": "topLeft"}
    assert await app_a.first_fired(user, "datetime") == payload
    assert (await app_a.first_fired(user, "custom"))["payload"] == payload


# -- sound ---------------------------------------------------------------------------------


def play(**options: Any) -> Step:
    return {
        "call": "audio.playAudio",
        "args": [{"audioUrl": "https://a.test/b.mp3", "trackId": 1, **options}],
    }


async def test_68_the_promise_has_what_the_glasses_answer(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    async with promised(app_a, user, play(volume=0.5)) as found:
        asked = await phone.message("audio_play_request")
        assert asked["trackId"] == 1
        assert asked["volume"] == 0.5
        assert asked["packageName"] == asked["appId"] == app_a.package
        assert asked["stopOtherAudio"] is True
        await phone.send(
            "audio_play_response", requestId=asked["requestId"], success=True, duration=2.5
        )
    assert found == [{"success": True, "duration": 2.5}]
    await app_a.run(user, {"call": "audio.stopAudio", "args": [1]})
    stop = await phone.message("audio_stop_request")
    assert (stop["appId"], stop["trackId"]) == (app_a.package, 1)


async def test_68_without_a_phone_it_fails_quickly(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await phone.close()
    await phone.end()
    await settled()
    with trio.fail_after(QUICKLY_S):
        found = await app_a.run(user, play())
    assert found == {"success": False, "error": "phone: not connected"}
    assert app_a.seen.count(event="closed", session=app_a.session_of(user)) == 0


async def test_68_the_answer_finds_an_app_that_has_reconnected(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    async with promised(app_a, user, play()) as found:
        asked = await phone.message("audio_play_request")
        await app_a.reset_socket(user)
        await phone.send(
            "audio_play_response", requestId=asked["requestId"], success=True, duration=1
        )
    assert found == [{"success": True, "duration": 1}]
    assert app_a.sessions(user) == 1


# -- LEDs and wifi -------------------------------------------------------------------------


async def test_69_leds_and_wifi_reach_the_glasses_as_asked(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await phone.send("glasses_connection_state", modelName="Mentra Live", status="CONNECTED")
    await app_a.received(user, "capabilities_update")
    await app_a.run(
        user,
        {"call": "led.blink", "args": ["red", 500, 250, 3]},
        {"call": "led.turnOff", "args": []},
        {"call": "requestWifiSetup", "args": ["to stream"]},
    )
    command = await phone.message("rgb_led_control")
    wanted = {"action": "on", "color": "red", "ontime": 500, "offtime": 250, "count": 3}
    assert {key: command[key] for key in wanted} == wanted
    assert command["packageName"] == command["appId"] == app_a.package
    assert command["sessionId"] == user
    assert command["requestId"].startswith("led_req_")
    assert (await phone.message("rgb_led_control", number=2))["action"] == "off"
    wifi = await phone.message("show_wifi_setup")
    assert (wifi["reason"], wifi["appPackageName"]) == ("to stream", app_a.package)
    await phone.send("rgb_led_control_response", requestId=command["requestId"], success=True)
    assert (await app_a.received(user, "rgb_led_control_response"))["success"] is True


async def test_69_what_cannot_work_is_an_error_event_and_no_close(
    server: RunningServer, app_a: RealApp, nursery: trio.Nursery, user: str
) -> None:
    phone = await open_phone(nursery, server, user)
    await start(phone, app_a, user)
    await phone.close()
    await phone.end()
    await settled()
    await app_a.run(user, {"call": "led.turnOff", "args": []})
    error = await app_a.seen.first(
        event="error", session=app_a.session_of(user), within_s=QUICKLY_S
    )
    assert "phone: not connected" in error["message"]
    await settled()
    assert app_a.seen.count(event="closed", session=app_a.session_of(user)) == 0


# -- speech over TLS -----------------------------------------------------------------------


class Authority:
    """A certificate for this machine, and who vouches for it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        self.ca, self.cert, self.key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        authority.cert_pem.write_to_path(str(self.ca))
        certificate.cert_chain_pems[0].write_to_path(str(self.cert))
        certificate.private_key_pem.write_to_path(str(self.key))
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def tls_app(
    node: None, authority: Authority, nursery: trio.Nursery, callers: list[RealApp]
) -> AsyncGenerator[RealApp]:
    """An app whose process trusts the certificate of this test."""
    environ = {"NODE_EXTRA_CA_CERTS": str(authority.ca)}
    app = RealApp("com.t.tls", "key of tls", authority.ca.with_name("tls.log"), environ=environ)
    callers.append(app)
    await trio.to_thread.run_sync(app.start)
    await nursery.start(app.watch)
    yield app
    await trio.to_thread.run_sync(app.end)


async def test_the_glasses_can_download_what_an_app_speaks(
    tls_app: RealApp, authority: Authority, user: str
) -> None:
    voice = ScriptedVoice()
    config = mentra_trio.Config(port=0, tls_cert=authority.cert, tls_key=authority.key)
    text = "Grüß Gott & welcome?"
    settings = {"speed": 1.1, "stability": 0.5}
    speak = {"call": "audio.speak", "args": [text, {"voice_id": "v", "voice_settings": settings}]}

    async with mentra_trio.open_server(config, voice=voice) as server:
        await server.apps.add(tls_app.package, url=tls_app.url, api_key=tls_app.api_key)
        token = server.token(user)
        async with open_glasses(server.url, token, ssl_context=authority.trust) as glasses:
            assert (await server.start_app(user, tls_app.package)).success
            await tls_app.running(user)
            async with promised(tls_app, user, speak) as found:
                asked = await glasses.next(to_glasses.AudioPlayRequest)
                assert asked.track_id == 2
                assert urlsplit(asked.audio_url).scheme == "https"
                assert parse_qs(urlsplit(asked.audio_url).query)["text"] == [text]
                async with httpx.AsyncClient(verify=authority.trust, trust_env=False) as client:
                    answer = await client.get(asked.audio_url)
                assert answer.status_code == 200
                assert answer.headers["content-type"] == "audio/mpeg"
                assert answer.content == MPEG_FRAME + text.encode()
                await glasses.send(
                    from_glasses.AudioPlayResponse(
                        request_id=asked.request_id, success=True, duration=1.5
                    )
                )
    assert found == [{"success": True, "duration": 1.5}]
    (speech,) = voice.asked
    assert (speech.voice, speech.settings) == ("v", settings)
