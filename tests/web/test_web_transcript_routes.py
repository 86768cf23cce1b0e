"""What was said lately: to those who may know it, and to nobody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import attrs
import httpx
import pytest
import trio
from trio.testing import MockClock

from mentra_trio.domain.ids import PackageName, UserId, session_readings
from mentra_trio.environment import wire_time
from mentra_trio.testing.household import APP, USER, Household, open_household, token_of
from mentra_trio.web.asgi import make_app
from mentra_trio.wire.tokens import mint_core_token

from .site_under_test import SECRET, open_site

SESSION = f"{USER}-{APP}"
BY_KEY = {"authorization": "Bearer key"}


@attrs.define(eq=False)
class Spoken:
    """A household in which something was said, and its routes.

    ``token`` is that of the URL that the app was given.
    """

    house: Household
    client: httpx.AsyncClient
    token: str

    async def ask(
        self, session: str = SESSION, *, headers: Mapping[str, str] = BY_KEY, **query: Any
    ) -> httpx.Response:
        return await self.client.get(
            f"/api/transcripts/{quote(session)}", headers=headers, params=query
        )

    async def texts(self, **query: Any) -> list[str]:
        answer = await self.ask(**query)
        assert answer.status_code == 200, answer.text
        return [segment["text"] for segment in answer.json()["segments"]]

    @property
    def now(self) -> datetime:
        return self.house.directory.surroundings.environment.utcnow()

    def core(self, user: str = USER) -> dict[str, str]:
        token = mint_core_token(UserId(user), SECRET, now=self.now, ttl_s=None)
        return {"authorization": f"Bearer {token}"}


@asynccontextmanager
async def spoken(*, permissions: tuple[str, ...] = ("MICROPHONE",)) -> AsyncGenerator[Spoken]:
    """One word is said every minute from now on: three of them."""
    async with open_household() as house, open_site() as site:
        await house.add_app(permissions=permissions)
        glasses = await house.attached_glasses()
        await house.running_app()
        token = token_of(house.webhooks.starts[-1])
        for word, language in (("one", "en-US"), ("zwei", "de-DE"), ("three", "en-US")):
            message = {"type": "local_transcription", "text": word, "isFinal": True}
            glasses.say({**message, "transcribeLanguage": language, "speakerId": 7})
            await trio.sleep(60)
        services = attrs.evolve(
            site.services,
            directory=house.directory,
            environment=house.directory.surroundings.environment,
        )
        transport = httpx.ASGITransport(make_app(services), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Spoken(house, client, token)


async def test_the_shape(autojump_clock: MockClock) -> None:
    async with spoken() as site:
        answer = await site.ask(duration="100")
        assert answer.status_code == 200
        assert answer.json() == {
            "language": "en-US",
            "segments": [
                {
                    "resultId": "3",
                    "speakerId": "7",
                    "text": "three",
                    "timestamp": wire_time(site.now - timedelta(seconds=60)),
                    "isFinal": True,
                }
            ],
        }


async def test_ranges(autojump_clock: MockClock) -> None:
    async with spoken() as site:
        ago = {seconds: site.now - timedelta(seconds=seconds) for seconds in (200, 90, 30)}
        milliseconds = str(int(ago[90].timestamp() * 1000))
        assert await site.texts(duration="1800") == ["one", "three"]
        assert await site.texts(duration="9e9") == ["one", "three"]
        assert await site.texts(duration="1800", language="de-DE") == ["zwei"]
        assert await site.texts(startTime=wire_time(ago[90])) == ["three"]
        assert await site.texts(startTime=milliseconds) == ["three"]
        assert await site.texts(endTime=wire_time(ago[90])) == ["one"]
        assert await site.texts(startTime=ago[90].isoformat(), endTime=wire_time(ago[30])) == [
            "three"
        ]
        assert await site.texts(startTime=ago[200].replace(tzinfo=None).isoformat()) == [
            "one",
            "three",
        ]
        assert await site.texts(duration="10") == []


async def test_what_is_half_an_hour_old_is_gone(autojump_clock: MockClock) -> None:
    async with spoken() as site:
        await trio.sleep(1_800 - 100)
        assert await site.texts(duration="1800") == ["three"]


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"duration": ""},
        {"language": "en-US"},
        {"duration": "soon"},
        {"duration": "-1"},
        {"duration": "0"},
        {"duration": "nan"},
        {"startTime": "yesterday"},
        {"startTime": "9" * 15},
        {"endTime": "2026-13-01"},
    ],
)
async def test_no_range_or_a_wrong_one(query: dict[str, Any], autojump_clock: MockClock) -> None:
    async with spoken() as site:
        answer = await site.ask(**query)
        assert answer.status_code == 400
        assert answer.json()["code"] == "BAD_REQUEST"


# -- who may know ------------------------------------------------------------------------


@pytest.mark.parametrize("presented", ["key", f"{APP}:key"])
async def test_the_apps_key(presented: str, autojump_clock: MockClock) -> None:
    async with spoken() as site:
        headers = {"authorization": f"Bearer {presented}"}
        assert (await site.ask(duration="99", headers=headers)).status_code == 200


async def test_an_unmodified_app_under_the_url_that_it_was_given(
    autojump_clock: MockClock,
) -> None:
    async with spoken() as site:
        path = f"/s/{site.token}/api/transcripts/{SESSION}?duration=1800"
        answer = await site.client.get(path)
        assert answer.status_code == 200
        assert len(answer.json()["segments"]) == 2


async def test_the_user(autojump_clock: MockClock) -> None:
    async with spoken() as site:
        assert (await site.ask(duration="99", headers=site.core())).status_code == 200
        other = await site.ask(duration="99", headers=site.core("eve@x.org"))
        assert other.status_code == 404


async def test_nobody_without_a_name(autojump_clock: MockClock) -> None:
    async with spoken() as site:
        for session in (SESSION, "nobody-com.t.a"):
            answer = await site.ask(session, headers={}, duration="99")
            assert answer.status_code == 401
            assert answer.json()["code"] == "UNAUTHORIZED"


@pytest.mark.parametrize(
    ("session", "headers", "prefix"),
    [
        (SESSION, {"authorization": "Bearer wrong"}, ""),
        (SESSION, {"authorization": "Bearer com.t.other:key"}, ""),
        (SESSION, {"authorization": f"Bearer {SESSION}"}, ""),
        (SESSION, {}, "/s/t999"),
        ("nobody@x.org-com.t.a", BY_KEY, ""),
        (f"{USER}-com.t.never", BY_KEY, ""),
        ("-", BY_KEY, ""),
        ("x", BY_KEY, ""),
        ("-" * 2_000, BY_KEY, ""),
    ],
)
async def test_what_is_not_theirs_is_not_there(
    session: str, headers: dict[str, str], prefix: str, autojump_clock: MockClock
) -> None:
    async with spoken() as site:
        path = f"{prefix}/api/transcripts/{quote(session)}?duration=99"
        answer = await site.client.get(path, headers=headers)
        assert answer.status_code == 404
        assert answer.json()["message"] == "Session not found"
        assert "one" not in answer.text.split()


async def test_the_url_of_another_app_of_the_same_user(autojump_clock: MockClock) -> None:
    async with spoken() as site:
        other = await site.house.add_app("com.t.deaf", permissions=(), kind="background")
        await site.house.running_app(USER, PackageName(other))
        token = token_of(site.house.webhooks.starts[-1])
        path = f"/s/{token}/api/transcripts"
        assert (await site.client.get(f"{path}/{SESSION}?duration=9")).status_code == 404
        deaf = await site.client.get(f"{path}/{USER}-{other}?duration=9")
        assert (deaf.status_code, deaf.json()["code"]) == (403, "PERMISSION_DENIED")


async def test_a_runtime_that_was_replaced_reads_no_more(autojump_clock: MockClock) -> None:
    async with spoken() as site:
        links = site.house.connect_when_called()
        await site.house.directory.stop_app(USER, APP)
        await site.house.directory.start_app(USER, APP)
        assert len(links) == 1
        old = await site.client.get(f"/s/{site.token}/api/transcripts/{SESSION}?duration=9")
        assert old.status_code == 404
        assert (await site.ask(duration="1800")).status_code == 200


def test_an_id_is_read_in_every_way() -> None:
    found: Any = list(session_readings("u-1@x.org-com.t.a-b"))
    assert found == [
        ("u", "1@x.org-com.t.a-b"),
        ("u-1@x.org", "com.t.a-b"),
        ("u-1@x.org-com.t.a", "b"),
    ]
    assert list(session_readings("none")) == []
