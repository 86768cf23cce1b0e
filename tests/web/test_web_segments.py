"""Parameters of paths, taken from what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from mentra_trio.domain.ids import UserId

from .site_under_test import AS_ADMIN, AS_USER, PACKAGE, Site, user_snapshot


@pytest.mark.parametrize("prefix", ["", "/s/tok"])
async def test_an_encoded_slash_does_not_make_another_route(
    site: Site, prefix: str, autojump_clock: Any
) -> None:
    path = f"{prefix}/api/admin/users/u%2Fapps%2F{PACKAGE}%2Fwhy"
    answer = await site.get(path, headers=AS_ADMIN)
    assert (answer.status_code, answer.json()["code"]) == (404, "USER_NOT_FOUND")
    answer = await site.post(f"{prefix}/api/apps/%2F/start", headers=AS_USER)
    assert (answer.status_code, answer.json()["code"]) == (404, "APP_NOT_FOUND")


@pytest.mark.parametrize("sent", ["a/b", "a%2Fb", "a%2fb"])
async def test_users_of_operators_may_have_slashes(
    site: Site, sent: str, autojump_clock: Any
) -> None:
    user = UserId("a/b")
    site.sessions.snapshots[user] = user_snapshot(user)
    answer = await site.get(f"/api/admin/users/{sent}", headers=AS_ADMIN)
    assert answer.json()["userId"] == "a/b"
    answer = await site.get(f"/api/admin/users/{sent}/journal", headers=AS_ADMIN)
    assert answer.json()["facts"][0]["user"] == "a/b"


async def test_settings_may_have_any_name(site: Site, autojump_clock: Any) -> None:
    path = "/api/client/user/settings/key/a%2F%25b"
    assert (await site.client.put(path, headers=AS_USER, json={"value": 1})).status_code == 200
    data = (await site.get("/api/client/user/settings", headers=AS_USER)).json()["data"]
    assert data["a/%b"] == 1
