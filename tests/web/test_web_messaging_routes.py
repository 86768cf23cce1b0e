"""Who else uses an app now, as its server asks for it: check 81 of protocol.md."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import attrs
import httpx
import pytest
from trio.testing import MockClock

from mentra_trio.domain.ids import user_id
from mentra_trio.testing.household import APP, Household, open_household
from mentra_trio.web import messaging_routes
from mentra_trio.web.asgi import make_app

from .site_under_test import Site

PATH = "/api/app-communication/discover-users"
USERS = [user_id(f"{name}@x.org") for name in ("ann", "ben", "cat")]
ANN, BEN, CAT = USERS
WITH_KEY = {"authorization": "Bearer key"}


@attrs.define
class Community:
    """A site behind which there are three users with the app."""

    house: Household
    client: httpx.AsyncClient

    async def ask(self, body: object, headers: Any = WITH_KEY, path: str = PATH) -> httpx.Response:
        return await self.client.post(path, json=body, headers=headers)


@pytest.fixture
async def community(site: Site, autojump_clock: MockClock) -> AsyncGenerator[Community]:
    async with open_household() as house:
        await house.add_app()
        await house.running_apps(USERS)
        services = attrs.evolve(
            site.services, directory=house.directory, catalog=house.catalog, store=house.store
        )
        transport = httpx.ASGITransport(make_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield Community(house, client)


def question(**changes: Any) -> dict[str, Any]:
    return {"packageName": APP, "userId": ANN, **changes}


@pytest.mark.parametrize("name", ["app-communication", "tpa-communication"])
async def test_the_others_are_listed_and_not_the_caller(community: Community, name: str) -> None:
    answer = await community.ask(question(), path=f"/api/{name}/discover-users")
    assert answer.status_code == 200
    body = answer.json()
    assert [one["userId"] for one in body["users"]] == [BEN, CAT]
    assert [one["sessionId"] for one in body["users"]] == [f"{BEN}-{APP}", f"{CAT}-{APP}"]
    assert all(set(one) == {"userId", "sessionId", "joinedAt"} for one in body["users"])
    assert body["totalUsers"] == 2
    assert body["timestamp"]


async def test_what_is_known_of_them_is_told_only_if_asked(community: Community) -> None:
    answer = await community.ask(question(includeUserProfiles=True))
    assert [one["userProfile"] for one in answer.json()["users"]] == [
        {"userId": BEN},
        {"userId": CAT},
    ]


async def test_who_has_stopped_the_app_is_not_listed(community: Community) -> None:
    await community.house.directory.stop_app(BEN, APP)
    answer = await community.ask(question(userId=" ANN@x.org"))
    assert [one["userId"] for one in answer.json()["users"]] == [CAT]


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": "x"}])
async def test_a_wrong_key_is_401(community: Community, headers: dict[str, str]) -> None:
    answer = await community.ask(question(), headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


async def test_the_key_of_another_app_is_401(community: Community) -> None:
    await community.house.catalog.add("com.t.b", url="http://b", api_key="other")
    answer = await community.ask(question(), {"authorization": "Bearer other"})
    assert answer.status_code == 401
    answer = await community.ask(question(packageName="com.unknown"))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body",
    [[], {}, {"packageName": APP}, {"userId": ANN}, {"packageName": 1, "userId": ANN}, None],
)
async def test_a_body_that_lacks_something_is_400(community: Community, body: object) -> None:
    answer = await community.ask(body)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("user", ["nobody@x.org", "\x00"])
async def test_a_caller_without_a_session_is_404(community: Community, user: str) -> None:
    answer = await community.ask(question(userId=user))
    assert (answer.status_code, answer.json()["code"]) == (404, "NO_SESSION")


async def test_a_long_list_is_cut_and_counted(
    community: Community, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messaging_routes, "USERS_LISTED_MAX", 1)
    body = (await community.ask(question())).json()
    assert ([one["userId"] for one in body["users"]], body["totalUsers"]) == ([BEN], 2)
