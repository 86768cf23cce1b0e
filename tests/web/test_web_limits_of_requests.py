"""Odd requests: unusual methods, bodies that are too deep, ids with anything in them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import attrs
import pytest
from starlette.routing import Route
from trio.testing import MockClock

from mentra_trio.domain.app_settings import STORED_BYTES_MAX as APP_STORED_MAX
from mentra_trio.domain.ids import PackageName, UserId
from mentra_trio.domain.nesting import DEPTH_MAX
from mentra_trio.domain.user_settings import STORED_BYTES_MAX
from mentra_trio.ports import AppAnswer
from mentra_trio.testing.household import APP, USER
from mentra_trio.web.asgi import make_app
from mentra_trio.web.openapi import OPERATIONS, names_of
from mentra_trio.web.segments import SegmentRoute

from .asking import Asked, ask
from .furnished_site import Furnished, example, open_furnished
from .site_under_test import ADMIN, CORE, Site

HOST = {"host": b"localhost"}
AS_USER = {**HOST, "authorization": f"Bearer {CORE}".encode()}
AS_ADMIN = {**HOST, "authorization": f"Bearer {ADMIN}".encode()}
SETTINGS = "/api/client/user/settings"


async def send(site: Furnished, path: str, body: object, method: str = "POST") -> Asked:
    return await ask(site.app, method, path, AS_USER, json.dumps(body).encode())


# -- methods -------------------------------------------------------------------------------


async def test_head_is_there_wherever_get_is_and_ends(autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        for one in (one for operations in OPERATIONS.values() for one in operations):
            if one.method != "GET":
                continue
            for name in names_of(one.path):
                good = example(attrs.evolve(one, path=name), one.path, site.registration)
                headers = {**HOST, "authorization": f"Bearer {good.bearer}".encode()}
                answer = await ask(site.app, "HEAD", f"{good.path}?{good.query}", headers)
                assert answer.status in (one.statuses or one.errors), (name, answer)
                if answer.body == b"":
                    continue
                assert answer.headers["content-length"] == str(len(answer.body)), name


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/sdk/simple-storage/u", "DELETE, GET, HEAD, PUT"),
        ("/s/tok/api/client/user/settings", "GET, HEAD, POST, PUT"),
        ("/api/admin/apps", "GET, HEAD, POST"),
        ("/api/apps/x/start", "POST"),
        ("/livez", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "get"])
async def test_other_methods_are_told_which_there_are(
    path: str, allowed: str, method: str, site: Site, autojump_clock: MockClock
) -> None:
    answer = await ask(make_app(site.services), method, path, AS_USER)
    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert json.loads(answer.body)["code"] == "METHOD_NOT_ALLOWED"
    assert "access-control-allow-origin" not in answer.headers


# -- bodies --------------------------------------------------------------------------------


def nested(depth: int) -> Any:
    inner: Any = []
    for _ in range(depth - 1):
        inner = [inner]
    return inner


async def test_a_body_may_be_so_deep_and_no_deeper(autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        answer = await send(site, SETTINGS, {"own": nested(DEPTH_MAX - 1)})
        assert answer.status == 200
        for deeper in (nested(DEPTH_MAX), [{"a": nested(DEPTH_MAX - 2)}, *[[]] * 9, "x"]):
            answer = await send(site, SETTINGS, {"own": deeper})
            assert answer.status == 400
            assert "deep" in json.loads(answer.body)["message"]
        wide: dict[str, Any] = {f"k{number}": [{}] for number in range(DEPTH_MAX)}
        assert (await send(site, SETTINGS, wide)).status == 200
        spoken = "/api/tts?text=x&voice_settings=" + quote(json.dumps({"a": nested(DEPTH_MAX)}))
        assert (await ask(site.app, "GET", spoken, HOST)).status == 400


async def test_all_settings_of_a_user_together_have_a_bound(autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        value = "x" * 16_000
        for number in range(STORED_BYTES_MAX // 16_100):
            assert (await send(site, SETTINGS, {f"k{number}": value})).status == 200
        answer = await send(site, SETTINGS, {"more": value})
        assert answer.status == 400
        assert json.loads(answer.body)["message"].startswith("$ would make settings of more than")
        assert "more" not in await site.house.store.user_settings(USER)


async def test_all_settings_of_an_app_together_have_a_bound(autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        path, value = f"/appsettings/{APP}", "x" * 65_000
        for number in range(APP_STORED_MAX // 65_100):
            assert (await send(site, path, {"key": f"k{number}", "value": value})).status == 200
        answer = await send(site, path, {"key": "more", "value": value})
        assert answer.status == 400
        assert "more" not in await site.house.store.app_settings(USER, APP)


# -- answers of apps -------------------------------------------------------------------------

TOOL = f"/api/tools/apps/{APP}/tool"
CALL = {"toolId": "note", "userId": USER}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>Cannot POST /tool</html>"),
        (200, b""),
        (200, b'{"cut": "o'),
        (302, b'{"moved": true}'),
        (200, b"\xff"),
    ],
)
async def test_what_an_app_answers_is_json_or_is_not_passed_on(
    status: int, body: bytes, autojump_clock: MockClock
) -> None:
    async with open_furnished() as site:
        site.house.webhooks.post_answer = AppAnswer(status=status, body=body)
        answer = await send(site, TOOL, CALL)
        told = json.loads(answer.body)
        assert (answer.status, told["code"], told["error"]) == (502, "APP_ANSWER_UNUSABLE", True)
        assert told["message"] == f"app: {APP} answered {status}, and not with JSON"


# -- paths ---------------------------------------------------------------------------------


async def test_every_route_with_parameters_takes_them_as_they_were_sent(
    site: Site, autojump_clock: MockClock
) -> None:
    for route in make_app(site.services).routes:
        assert isinstance(route, Route)
        assert "{" not in route.path or isinstance(route, SegmentRoute), route.path


async def test_a_correlation_id_may_have_anything_in_it(autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        place = {"location": {"lat": 1, "lng": 2}}
        path = "/api/client/location/poll-response/a%2Fb%2F%2E%2E"
        assert (await send(site, path, place)).status == 200
        assert (await send(site, path.replace("%2F", "/"), place)).status == 404


async def test_a_session_whose_user_has_a_slash_has_transcripts(
    autojump_clock: MockClock,
) -> None:
    async with open_furnished() as site:
        user = UserId("a/b")
        glasses = await site.house.attached_glasses(user)
        assert (await site.house.directory.start_app(user, PackageName(APP))).success
        glasses.say({"type": "local_transcription", "text": "hi", "isFinal": True})
        path = f"/api/transcripts/{quote(f'{user}-{APP}', safe='')}?duration=9"
        answer = await ask(site.app, "GET", path, {**HOST, "authorization": b"Bearer key"})
        assert answer.status == 200, answer


@pytest.mark.parametrize("prefix", ["", "/s/tok", "/s/t%6Fk"])
@pytest.mark.parametrize(
    "path",
    [
        f"/api/apps/{APP}/start",
        f"/%61pi/apps/{APP}/start",
        f"/api%2Fapps/{APP}/start",
        f"/api/apps/{APP}%2Fstart",
        f"/api/apps/%2F..%2F{APP}/start",
        f"/apps/../apps/{APP}/start",
        f"/API/APPS/{APP}/START",
        f"/apps/{APP.upper()}/start",
        f"//apps/{APP}/start",
    ],
)
async def test_names_of_paths_are_exact(prefix: str, path: str, autojump_clock: MockClock) -> None:
    """What is not a name of a route is none of another route either, whoever asks."""
    async with open_furnished() as site:
        for headers in (HOST, AS_USER, AS_ADMIN):
            answer = await ask(site.app, "POST", prefix + path, headers)
            exact = path == f"/api/apps/{APP}/start" and prefix != "/s/t%6Fk"
            if exact and headers is AS_USER:
                assert answer.status == 200
            else:
                assert answer.status in (401, 404), answer


async def test_ids_of_users_are_the_same_in_capitals(autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        headers = {**HOST, "authorization": f"Bearer {APP}:key".encode()}
        for spelled in ("u-1%40x.org", "U-1@X.ORG", "%55-1@x.org", "%20u-1@x.org%20"):
            path = f"/api/sdk/simple-storage/{spelled}"
            answer = await ask(site.app, "GET", path, headers)
            assert json.loads(answer.body)["data"] == {"brightness": "own"}
