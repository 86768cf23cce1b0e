"""A site over real sessions in which every operation has something to work on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attrs
import jwt
import trio
from starlette.types import ASGIApp

from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.testing.household import APP, USER, Household, open_household
from mentra_trio.testing.scripted_voice import ScriptedVoice
from mentra_trio.web.asgi import Services, make_app
from mentra_trio.web.described.operation import Access, Operation
from mentra_trio.web.speaking import Speaker
from mentra_trio.wire.tokens import mint_core_token

from .site_under_test import ADMIN, CORE, NOW, SECRET, SUPABASE_SECRET, services_of_house

OTHER_USER: Final = user_id("o@x.org")
OTHER_APP: Final = package_name("com.t.other")
OTHER_CORE: Final = mint_core_token(OTHER_USER, SECRET, now=NOW, ttl_s=None)
SECRET_TEXT: Final = "what nobody else may read"
TEMPORARY: Final = "temporary-token"
SETTINGS: Final = (
    {"type": "slider", "key": "size", "min": 1, "max": 5, "defaultValue": 3},
    {"type": "toggle", "key": "on", "defaultValue": True},
)
TOOL: Final = {"id": "note", "description": "Writes a note", "parameters": {}}
HARDWARE: Final = {"type": "CAMERA", "level": "OPTIONAL", "description": "to see"}
PLAYLIST: Final = Path(__file__).with_name("playlist.m3u8")


@attrs.frozen(kw_only=True)
class Furnished:
    """Two users with glasses and apps, and the application that answers requests about them."""

    house: Household
    app: ASGIApp
    registration: str


@asynccontextmanager
async def open_furnished(*, live: bool = True) -> AsyncIterator[Furnished]:
    """A site with apps, and, if it is ``live``, with sessions of two users."""
    async with open_household() as house:
        for package, key in ((APP, "key"), (OTHER_APP, "other-key")):
            await house.catalog.add(
                package,
                url=f"http://{package}.test",
                api_key=key,
                permissions=["ALL"],
                kind="standard" if package == APP else "background",
                settings=SETTINGS,
                hardware=[HARDWARE],
                tools=[TOOL],
            )
            house.connect_when_called(package)
        if live:
            await _people_come(house)
        for user in (USER, OTHER_USER):
            kept = {"brightness": SECRET_TEXT if user == OTHER_USER else "own"}
            await house.store.put_simple_storage(user, APP, kept)
            await house.store.put_user_settings(user, {"note": kept["brightness"]})
            await house.store.put_app_settings(user, APP, {"note": kept["brightness"]})
        registration = await house.catalog.get(APP)
        assert registration is not None
        yield Furnished(
            house=house, app=make_app(_services(house)), registration=registration.registration_id
        )


async def _people_come(house: Household) -> None:
    for user in (USER, OTHER_USER):
        glasses = await house.attached_glasses(user)
        for package in (APP, OTHER_APP):
            assert (await house.directory.start_app(user, package)).success
        said = {"type": "local_transcription", "isFinal": True, "transcribeLanguage": "en-US"}
        glasses.say({**said, "text": SECRET_TEXT if user == OTHER_USER else "own"})
    await trio.sleep(1)


def _services(house: Household) -> Services:
    services = attrs.evolve(
        services_of_house(house),
        environment=house.directory.surroundings.environment,
        speaker=Speaker(voice=ScriptedVoice()),
        stream_file=lambda name, file: PLAYLIST if name == "name" else None,
    )
    services.temporary_tokens.issue(TEMPORARY, USER, APP, trio.current_time())
    return services


# -- a good example of every operation -----------------------------------------------------

BEARERS: Final[Mapping[Access, str]] = {
    Access.EVERYBODY: "",
    Access.USER: CORE,
    Access.OPERATOR: ADMIN,
    Access.APP: "key",
    Access.NAMED_APP: f"{APP}:key",
    Access.SESSION: f"{USER}-{APP}",
}
PLACE: Final = {"location": {"lat": 47.4, "lng": 8.5}}
NOTIFICATION: Final = {"notificationId": "n1", "app": "Mail", "title": "Hi", "content": "you"}
SUPABASE: Final = jwt.encode(
    {"email": USER, "aud": "authenticated", "exp": NOW.timestamp() + 9e9}, SUPABASE_SECRET
)
BODIES: Final[Mapping[str, Any]] = {
    "/api/sdk/simple-storage/{userId}": {"data": {"a": "1"}},
    "/api/sdk/simple-storage/{userId}/{key}": {"value": "1"},
    "/auth/exchange-user-token": {"aos_temp_token": TEMPORARY, "packageName": APP},
    "/api/app-communication/discover-users": {
        "packageName": APP,
        "userId": USER,
        "includeUserProfiles": True,
    },
    "/api/admin/apps": {"packageName": "com.t.new", "url": "http://n.test", "settings": SETTINGS},
    "/api/client/user/settings": {"brightness": 7, "metric_system_enabled": True, "own": [{}]},
    "/api/client/user/settings/key/{key}": {"value": 8},
    "/api/client/feedback": {"feedback": {"rating": 5}},
    "/api/client/audio/configure": {"format": "pcm"},
    "/auth/exchange-token": {"supabaseToken": SUPABASE},
    "/auth/generate-webview-token": {"packageName": APP},
    "/auth/generate-webview-signed-user-token": {"packageName": APP},
    "/auth/hash-with-api-key": {"stringToHash": USER, "packageName": APP},
    "/api/client/device/state": {"modelName": "Mentra Live", "batteryLevel": 50},
    "/api/client/location": PLACE,
    "/api/client/location/poll-response/{correlationId}": PLACE,
    "/api/client/calendar": {"events": [{"eventId": "e1", "title": "Tea"}]},
    "/api/client/notifications": NOTIFICATION,
    "/api/client/notifications/dismissed": {**NOTIFICATION, "notificationKey": "k"},
    "/api/client/photo/response": {"requestId": "p1", "success": True},
    "/api/user-data/set-datetime": {"userId": USER, "datetime": "2026-01-02T03:04:05Z"},
    "/api/hardware/button-press": {"buttonId": "main", "pressType": "short"},
    "/appsettings/{packageName}": [{"key": "size", "value": 4}],
    "/api/tools/apps/{packageName}/tool": {
        "toolId": "note",
        "userId": USER,
        "toolParameters": {"text": "hi"},
    },
}
"""What is sent, by path. Where several methods have a path, only those send it that take a body."""
QUERIES: Final[Mapping[str, str]] = {
    "/api/tts": "text=hello&voice_settings=%7B%7D",
    "/api/transcripts/{appSessionId}": "duration=1000",
    "/api/admin/users": "limit=1",
    "/api/admin/users/{userId}/journal": "limit=5",
}


@attrs.frozen(kw_only=True)
class Example:
    """A request that succeeds."""

    method: str
    path: str
    query: str
    bearer: str
    body: Any


def parameters(registration: str) -> dict[str, str]:
    """A value that means something for each parameter of a path."""
    return {
        "packageName": APP,
        "userId": USER,
        "key": "brightness",
        "registrationId": registration,
        "correlationId": "c1",
        "appSessionId": f"{USER}-{APP}",
        "stream": "name",
        "file": "master.m3u8",
    }


def example(one: Operation, canonical: str, registration: str) -> Example:
    """How ``one``, an operation or another name of it, is asked for well."""
    path = one.path
    for name, value in parameters(registration).items():
        path = path.replace("{" + name + "}", quote(value, safe=""))
    return Example(
        method=one.method,
        path=path,
        query=QUERIES.get(canonical, ""),
        bearer="key" if canonical.startswith("/api/transcripts/") else BEARERS[one.access],
        body=BODIES[canonical] if one.body is not None else None,
    )


async def kept_of_the_other(site: Furnished) -> tuple[Any, ...]:
    """Everything that is kept of the other user."""
    store = site.house.store
    return (
        await store.user_settings(OTHER_USER),
        await store.app_settings(OTHER_USER, APP),
        await store.simple_storage(OTHER_USER, APP),
        await store.wanted_apps(OTHER_USER),
    )
