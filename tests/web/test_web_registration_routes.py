"""What an app server asks about its own registration (seed 004)."""

from __future__ import annotations

from typing import Any

import pytest

from mentra_trio.domain.ids import PackageName, UserId
from mentra_trio.domain.lifecycle import AppState

from .site_under_test import (
    ADMIN,
    CORE,
    PACKAGE,
    USER,
    Site,
    app_snapshot,
    user_snapshot,
)


async def path_of(site: Site, package: str = PACKAGE) -> str:
    registration = await site.services.catalog.get(package)
    assert registration is not None
    assert registration.registration_id.startswith("reg_")
    return f"/api/registrations/{registration.registration_id}"


def with_key(key: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {key}".encode()}


@pytest.mark.parametrize("key", ["key", f"{PACKAGE}:key"])
async def test_a_registration_as_its_app_server_sees_it(
    site: Site, key: str, autojump_clock: Any
) -> None:
    path = await path_of(site)
    await site.services.catalog.add(
        PACKAGE, url="http://127.0.0.1:7010/", server_urls=["https://b.example/"]
    )
    answer = await site.get(path, headers=with_key(key))
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "registrationId": path.rpartition("/")[2],
        "packageName": PACKAGE,
        "webhookUrl": "http://127.0.0.1:7010/webhook",
        "serverUrls": ["https://b.example"],
        "activeSessions": [],
    }


async def test_active_sessions_are_those_that_run_or_are_coming_back(
    site: Site, autojump_clock: Any
) -> None:
    for state in AppState:
        user = UserId(f"{state.value}@x.org")
        other = app_snapshot(package=PackageName("com.t.other"))
        site.sessions.snapshots[user] = user_snapshot(user, other, app_snapshot(state=state.value))
    site.sessions.snapshots[USER] = user_snapshot(USER)
    answer = await site.get(await path_of(site), headers=with_key("key"))
    assert answer.json()["activeSessions"] == [
        f"{state}@x.org-{PACKAGE}"
        for state in (
            *("backoff", "connecting", "disconnected", "grace_period", "resurrecting", "running"),
        )
    ]


async def test_a_restarted_server_gets_its_sessions_back(site: Site, autojump_clock: Any) -> None:
    site.sessions.recovered = 3
    answer = await site.post(await path_of(site) + "/restarted", headers=with_key("key"))
    assert answer.json() == {"success": True, "recovered": 3}
    assert site.sessions.commands == [("recover", UserId(""), PACKAGE)]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer wrong",
        "Bearer :key",
        "Bearer key:",
        "Bearer com.t.b:key",
        f"Bearer {PACKAGE}:",
        f"Bearer {PACKAGE}:wrong",
        "Bearer other-key",
        "Bearer com.t.b:other-key",
        f"Bearer {ADMIN}",
        f"Bearer {CORE}",
        "Basic key",
        "Bearer ü",
    ],
)
async def test_only_the_apps_own_key_opens_its_registration(
    site: Site, authorization: str | None, autojump_clock: Any
) -> None:
    await site.services.catalog.add("com.t.b", url="http://b", api_key="other-key")
    value = (authorization or "").encode("latin-1")
    headers = [(b"authorization", value)] if authorization else []
    known, unknown = await path_of(site), "/api/registrations/reg_unknown"
    answers = [
        answer
        for path in (known, unknown)
        for answer in (
            await site.get(path, headers=headers),
            await site.post(path + "/restarted", headers=headers),
        )
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1, "strangers learn which ids there are"
    assert answers[0].json()["code"] == "UNAUTHORIZED"
    assert answers[0].json()["success"] is False
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert site.sessions.commands == []


async def test_an_unknown_registration_has_no_key(site: Site, autojump_clock: Any) -> None:
    for key in ("key", f"{PACKAGE}:key", ""):
        answer = await site.get("/api/registrations/reg_unknown", headers=with_key(key))
        assert answer.status_code == 401


async def test_a_key_with_a_colon_in_it(site: Site, autojump_clock: Any) -> None:
    path = await path_of(site)
    await site.services.catalog.rotate_key(PACKAGE, "a:b")
    for key, status in (("a:b", 200), (f"{PACKAGE}:a:b", 200), ("b", 401), ("a", 401)):
        assert (await site.get(path, headers=with_key(key))).status_code == status


async def test_a_removed_registration_is_unknown(site: Site, autojump_clock: Any) -> None:
    path = await path_of(site)
    await site.services.catalog.remove(PACKAGE)
    assert (await site.get(path, headers=with_key("key"))).status_code == 401
    await site.services.catalog.add(PACKAGE, url="http://a", api_key="key")
    assert (await site.get(path, headers=with_key("key"))).status_code == 401
    assert (await site.get(await path_of(site), headers=with_key("key"))).status_code == 200
