"""Versions, feedback, codecs, what is installed, and older names of routes."""

from __future__ import annotations

from typing import Any

import pytest

from mentra_trio.ports import Feedback

from .site_under_test import (
    AS_ADMIN,
    AS_USER,
    NOW,
    PACKAGE,
    USER,
    Site,
    app_snapshot,
    user_snapshot,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "/api/client/min-version",
            {"success": True, "data": {"required": "0.0.0", "recommended": "0.0.0"}},
        ),
        ("/api/apps/version", {"success": True, "version": "1.2.3"}),
        ("/apps/version", {"success": True, "version": "1.2.3"}),
        ("/api/instructions?userId=x", {"success": True, "instructions": None}),
    ],
)
async def test_what_everybody_may_ask(
    site: Site, path: str, expected: object, autojump_clock: Any
) -> None:
    answer = await site.get(path)
    assert (answer.status_code, answer.json()) == (200, expected)


async def test_phones_are_not_told_that_nothing_has_changed(
    site: Site, autojump_clock: Any
) -> None:
    answer = await site.get("/api/client/min-version")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["feedback", "audio/configure"])
async def test_only_users_say_something(site: Site, path: str, autojump_clock: Any) -> None:
    assert (await site.post(f"/api/client/{path}", json={"feedback": "x"})).status_code == 401
    assert await site.store.feedback(1) == []


async def test_feedback_reaches_the_operator(site: Site, autojump_clock: Any) -> None:
    path = "/api/client/feedback"
    for given in ("nice\n", {"type": "bug", "ä": [1]}, "x" * 5_000):
        answer = await site.post(path, headers=AS_USER, json={"feedback": given})
        assert (answer.status_code, answer.json()["success"]) == (200, True)
    wrong: tuple[object, ...] = ({}, {"feedback": ""}, {"feedback": {}}, [])
    for body in wrong:
        assert (await site.post(path, headers=AS_USER, json=body)).status_code == 400
    at = "2026-01-02T03:04:05.000Z"
    assert (await site.store.feedback(9))[0] == Feedback(user=USER, at=at, text="nice\n")
    assert (await site.get("/api/admin/feedback")).status_code == 401
    found = (await site.get("/api/admin/feedback?limit=2", headers=AS_ADMIN)).json()["feedback"]
    assert found[0] == {"userId": USER, "at": at, "text": '{"type":"bug","ä":[1]}'}
    assert len(found[1]["text"]) == 4_000
    assert (await site.get("/api/admin/feedback?limit=x", headers=AS_ADMIN)).status_code == 400
    assert str(NOW.year) in at


async def test_audio_in_another_format_is_refused(site: Site, autojump_clock: Any) -> None:
    path = "/api/client/audio/configure"
    answer = await site.post(path, headers=AS_USER, json={"format": "pcm"})
    assert answer.json() == {"success": True, "format": "pcm"}
    for wished in ("lc3", None, 1, ["pcm"]):
        answer = await site.post(path, headers=AS_USER, json={"format": wished})
        assert (answer.status_code, answer.json()["code"]) == (400, "UNSUPPORTED_FORMAT")
        assert answer.json()["message"].startswith("cloud: ")


# -- what is installed ------------------------------------------------------------------


async def listed(site: Site) -> list[str]:
    answer = await site.get("/api/client/apps", headers=AS_USER)
    return [app["packageName"] for app in answer.json()["data"]]


async def test_an_app_is_there_until_it_is_uninstalled(site: Site, autojump_clock: Any) -> None:
    assert await listed(site) == [PACKAGE]
    for verb, shown in (("uninstall", []), ("uninstall", []), ("install", [PACKAGE])):
        answer = await site.post(f"/api/store/{verb}/{PACKAGE}", headers=AS_USER)
        assert (answer.status_code, answer.json()["success"]) == (200, True)
        assert verb in answer.json()["message"]
        assert await listed(site) == shown


async def test_uninstalling_stops_the_app_first(site: Site, autojump_clock: Any) -> None:
    site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot())
    await site.post(f"/api/store/uninstall/{PACKAGE}", headers=AS_USER)
    assert site.sessions.commands == [("stop", USER, PACKAGE)]
    assert await listed(site) == []
    site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot())
    assert await listed(site) == [PACKAGE], "it was started all the same"


async def test_an_app_that_is_uninstalled_does_not_come_with_its_user(
    site: Site, autojump_clock: Any
) -> None:
    await site.store.set_wanted(USER, PACKAGE, wanted=True)
    await site.store.put_simple_storage(USER, PACKAGE, {"k": "v"})
    await site.post(f"/api/store/uninstall/{PACKAGE}", headers=AS_USER)
    assert await site.store.wanted_apps(USER) == []
    assert await site.store.simple_storage(USER, PACKAGE) == {"k": "v"}


@pytest.mark.parametrize("verb", ["install", "uninstall"])
async def test_only_what_is_registered(site: Site, verb: str, autojump_clock: Any) -> None:
    assert (await site.post(f"/api/store/{verb}/{PACKAGE}")).status_code == 401
    answer = await site.post(f"/api/store/{verb}/com.unknown", headers=AS_USER)
    assert (answer.status_code, answer.json()["code"]) == (404, "APP_NOT_FOUND")


# -- other names ----------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "/s/tok"])
async def test_settings_of_an_app_have_an_older_name(
    site: Site, prefix: str, autojump_clock: Any
) -> None:
    site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot())
    headers = {"authorization": f"Bearer {USER}"}
    answer = await site.get(f"{prefix}/tpasettings/user/{PACKAGE}", headers=headers)
    assert answer.json()["success"] is True


async def test_an_alias_is_a_whole_segment(site: Site, autojump_clock: Any) -> None:
    assert (await site.get("/api/appsx/version")).status_code == 404
    assert (await site.get("/api/api/apps/version")).status_code == 404
