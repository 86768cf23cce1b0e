"""Simple storage over HTTP: shapes, bounds, and who may ask (protocol.md 1.4, 6.11)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trio

from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.domain.simple_storage import CALLS_MAX, KEYS_MAX
from mentra_trio.storage.memory_store import MemoryStore

from .site_under_test import AS_USER, PACKAGE, USER, Site

AS_APP = {"authorization": f"Bearer {PACKAGE}:key"}
PREFIX = "/api/sdk/simple-storage"
ALL = f"{PREFIX}/u-1%40x.org"
WRITTEN = {"success": True, "message": "Storage updated"}


async def ask(site: Site, method: str, path: str = ALL, **more: Any) -> httpx.Response:
    return await site.client.request(method, path, **{"headers": AS_APP, **more})


async def kept(site: Site) -> dict[str, str]:
    return dict(await site.store.simple_storage(USER, PACKAGE))


async def test_the_whole_of_it(site: Site, autojump_clock: Any) -> None:
    assert (await ask(site, "GET")).json() == {"success": True, "data": {}}
    for _ in range(2):
        answer = await ask(site, "PUT", json={"data": {"a": "1", "b": ""}})
        assert (answer.status_code, answer.json()) == (200, WRITTEN)
    await ask(site, "PUT", json={"data": {"b": "2", "ü/ b": "\u2028😀"}})
    data = {"a": "1", "b": "2", "ü/ b": "\u2028😀"}
    assert (await ask(site, "GET")).json() == {"success": True, "data": data}
    for _ in range(2):
        answer = await ask(site, "DELETE")
        assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert await kept(site) == {}


@pytest.mark.parametrize("key", ["a", "a b", "a/b", "ü😀", "100%", "...", "a?b#c", "+", "\0"])
async def test_one_key(site: Site, key: str, autojump_clock: Any) -> None:
    path = f"{ALL}/{quote(key, safe='')}"
    answer = await ask(site, "GET", path)
    assert (answer.status_code, answer.json()["code"]) == (404, "KEY_NOT_FOUND")
    assert (await ask(site, "PUT", path, json={"value": "v"})).json() == WRITTEN
    assert await kept(site) == {key: "v"}
    assert (await ask(site, "GET", path)).json() == {"success": True, "data": {"value": "v"}}
    for _ in range(2):
        assert (await ask(site, "DELETE", path)).json()["success"] is True
    assert await kept(site) == {}


@pytest.mark.parametrize("user", ["a/b@x.org", "100%25@x.org", "ü@x.org", "u+1@x.org", "U-1@X.ORG"])
@pytest.mark.parametrize("prefix", ["", "/s/tok"])
async def test_users_are_decoded_once(
    site: Site, user: str, prefix: str, autojump_clock: Any
) -> None:
    path = f"{prefix}{PREFIX}/{quote(user, safe='')}"
    assert (await ask(site, "PUT", path, json={"data": {"k": "v"}})).status_code == 200
    assert (await ask(site, "PUT", f"{path}/o%2Fne", json={"value": "w"})).status_code == 200
    found = await site.store.simple_storage(user_id(user), PACKAGE)
    assert found == {"k": "v", "o/ne": "w"}


async def test_each_user_and_app_for_itself(site: Site, autojump_clock: Any) -> None:
    other = package_name("com.t.b")
    await site.services.catalog.add(other, url="http://127.0.0.1:7011", api_key="a:b:c")
    as_other = {"authorization": f"Bearer {other}:a:b:c"}
    await ask(site, "PUT", json={"data": {"k": "mine"}})
    answer = await ask(site, "PUT", headers=as_other, json={"data": {"k": "theirs"}})
    assert answer.status_code == 200, "a key may have colons in it"
    assert (await ask(site, "GET")).json()["data"] == {"k": "mine"}
    assert (await ask(site, "GET", f"{PREFIX}/u-2%40x.org")).json()["data"] == {}


@pytest.mark.parametrize(
    "presented",
    [
        None,
        "",
        "key",
        f"{PACKAGE}",
        f"{PACKAGE}:",
        f"{PACKAGE}:Key",
        f"{PACKAGE}:key:",
        ":key",
        "com.unknown:key",
        "com.unknown:",
        "\xff:\xff",
        AS_USER["authorization"].removeprefix("Bearer "),
    ],
)
async def test_only_the_app_itself(site: Site, presented: str | None, autojump_clock: Any) -> None:
    await ask(site, "PUT", json={"data": {"k": "v"}})
    headers = {"authorization": f"Bearer {presented}".encode("latin-1")} if presented else {}
    for method, path in (("GET", ALL), ("PUT", ALL), ("DELETE", ALL), ("DELETE", f"{ALL}/k")):
        answer = await ask(site, method, path, headers=headers, json={"data": {}})
        assert answer.status_code == 401
        body = answer.json()
        assert (body["success"], body["code"], body["error"]) == (
            False,
            "UNAUTHORIZED",
            "Unauthorized",
        )
        assert "message" in body
    assert await kept(site) == {"k": "v"}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"data": {"k": 1}}, "a value must be a text - at $.data['k']"),
        ({"data": {"k": None}}, "a value must be a text - at $.data['k']"),
        ({"data": {"a": "b", "k": {"x": "y"}}}, "a value must be a text - at $.data['k']"),
        ({"data": {"": "v"}}, "a key has 1 to 1,024 characters - at $.data['']"),
        ({"data": {"k": "v" * 100_001}}, "a value has at most 100,000 characters - at $.data['k']"),
        ({"data": []}, "expected an object of texts - at $.data"),
        ({}, "expected an object of texts - at $.data"),
        ([], "the body must be a JSON object"),
    ],
)
async def test_what_is_wrong_is_named(
    site: Site, body: object, where: str, autojump_clock: Any
) -> None:
    answer = await ask(site, "PUT", json=body)
    assert (answer.status_code, answer.json()["message"]) == (400, where)
    assert answer.json()["error"] == where
    assert await kept(site) == {}


@pytest.mark.parametrize("value", [None, 1, ["x"], "v" * 100_001])
async def test_one_wrong_value(site: Site, value: object, autojump_clock: Any) -> None:
    answer = await ask(site, "PUT", f"{ALL}/k", json={"value": value})
    assert answer.status_code == 400
    assert answer.json()["message"].endswith("- at $.value")
    assert (await ask(site, "PUT", f"{ALL}/{'k' * 1_025}", json={"value": ""})).status_code == 400


async def test_the_longest_values_are_kept(site: Site, autojump_clock: Any) -> None:
    values = {str(number): "字" * 100_000 for number in range(10)}
    body = json.dumps({"data": values}).encode()
    assert len(body) > 5_000_000
    assert (await ask(site, "PUT", content=body)).status_code == 200
    answer = await ask(site, "PUT", json={"data": {"one": "v" * 50_000}})
    assert (answer.status_code, answer.json()["code"]) == (413, "TOO_LARGE")
    assert "1 MB" in answer.json()["error"]
    assert len(await kept(site)) == 10


async def test_too_many_keys(site: Site, autojump_clock: Any) -> None:
    answer = await ask(site, "PUT", json={"data": {str(n): "" for n in range(KEYS_MAX + 1)}})
    assert answer.status_code == 413
    assert await kept(site) == {}


@pytest.mark.parametrize("user", ["%20", "%00", "a%0Ab", "x" * 1_025])
async def test_no_such_user_can_be(site: Site, user: str, autojump_clock: Any) -> None:
    assert (await ask(site, "GET", f"{PREFIX}/{user}")).status_code == 400


async def test_other_paths_are_none(site: Site, autojump_clock: Any) -> None:
    for path in (PREFIX, f"{PREFIX}/", f"{ALL}/", f"{ALL}/a/b"):
        assert (await ask(site, "GET", path)).status_code == 404
    assert (await ask(site, "POST")).status_code == 405


# -- how often ------------------------------------------------------------------------


async def test_a_hundred_times_a_minute_for_each_user(site: Site, autojump_clock: Any) -> None:
    for _ in range(CALLS_MAX):
        assert (await ask(site, "GET")).status_code == 200
    await trio.sleep(20.5)
    answer = await ask(site, "PUT", json={"data": {"k": "v"}})
    assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert answer.headers["retry-after"] == "40"
    assert await kept(site) == {}
    assert (await ask(site, "GET", f"{PREFIX}/u-2%40x.org")).status_code == 200
    await trio.sleep(40)
    assert (await ask(site, "PUT", json={"data": {"k": "v"}})).status_code == 200


async def test_strangers_use_up_nothing(site: Site, autojump_clock: Any) -> None:
    for _ in range(2 * CALLS_MAX):
        headers = {"authorization": f"Bearer {PACKAGE}:guess"}
        assert (await ask(site, "GET", headers=headers)).status_code == 401
    assert (await ask(site, "GET")).status_code == 200


# -- when the store cannot ----------------------------------------------------------------


async def test_nothing_is_acknowledged_that_is_not_kept(
    site: Site, autojump_clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise StoreFailed("the disk is full")

    monkeypatch.setattr(MemoryStore, "put_simple_storage", fail)
    answer = await ask(site, "PUT", json={"data": {"k": "v"}})
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_FAILED")
