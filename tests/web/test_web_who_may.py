"""Every operation that is not for everybody refuses everybody else, under all of its names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import attrs
import pytest
from trio.testing import MockClock

from mentra_trio.testing.household import APP, USER
from mentra_trio.web.described.operation import Access, Operation
from mentra_trio.web.openapi import OPERATIONS, names_of
from mentra_trio.wire.tokens import mint_app_token, mint_core_token

from .asking import Asked, ask
from .furnished_site import (
    OTHER_APP,
    OTHER_USER,
    SECRET_TEXT,
    Furnished,
    example,
    kept_of_the_other,
    open_furnished,
)
from .site_under_test import ADMIN, CORE, NOW, SECRET

STRANGERS: Final = {
    "nothing": "",
    "an empty token": "Bearer ",
    "another scheme": f"Basic {ADMIN}",
    "nonsense": "Bearer nonsense",
    "a core token of another server": "Bearer "
    + mint_core_token(USER, "another secret, of another server", now=NOW, ttl_s=None),
    "a core token whose time is over": "Bearer "
    + mint_core_token(USER, SECRET, now=NOW, ttl_s=-1e9),
    "a token of an app": "Bearer " + mint_app_token(APP, "key", SECRET),
    "a core token without a signature": "Bearer " + CORE.rpartition(".")[0] + ".",
    "the key of another app": "Bearer other-key",
    "the name of one app and the key of another": f"Bearer {APP}:other-key",
    "the key of an app after the name of another": f"Bearer {OTHER_APP}:key",
    "another app": f"Bearer {OTHER_APP}:other-key",
    "the name of an app without a key": f"Bearer {APP}:",
    "the admin token in capitals": f"Bearer {ADMIN.upper()}",
    "most of the admin token": f"Bearer {ADMIN[:-1]}",
}
OF_OTHERS: Final = {
    Access.USER: ("key", f"{APP}:key", ADMIN, f"{USER}-{APP}", USER),
    Access.OPERATOR: ("key", f"{APP}:key", CORE, f"{USER}-{APP}"),
    Access.APP: (CORE, ADMIN, f"{USER}-{APP}"),
    Access.NAMED_APP: ("key", CORE, ADMIN, f"{USER}-{APP}"),
    Access.SESSION: ("key", CORE, ADMIN, f"{USER}-com.t.never", f"nobody-{APP}"),
}
"""What opens something, but not what is for those that are named before it."""
TRANSCRIPTS: Final = "/api/transcripts/{appSessionId}"
"""Where who is not known is told that there is no such thing."""


def guarded() -> Iterator[tuple[Operation, str]]:
    for operations in OPERATIONS.values():
        for one in operations:
            if one.access is not Access.EVERYBODY:
                yield from ((one, name) for name in names_of(one.path))


async def ask_as(site: Furnished, one: Operation, path: str, credentials: str) -> Asked:
    good = example(attrs.evolve(one, path=path), one.path, site.registration)
    headers = {"host": b"localhost", "authorization": credentials.encode()}
    target = f"{good.path}?{good.query}"
    return await ask(site.app, one.method, target, headers, json.dumps(good.body).encode())


def check_refused(answer: Asked, one: Operation, path: str) -> None:
    refused = {401, 404} if one.path == TRANSCRIPTS else {401}
    assert answer.status in refused, (one.method, path, answer)
    if answer.status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert json.loads(answer.body)["success"] is False


@pytest.mark.parametrize("who", STRANGERS)
async def test_strangers(who: str, autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        for one, path in guarded():
            if who == "another app" and (Access.NAMED_APP in (one.access, *one.also)):
                continue  # it may ask for what is its own
            check_refused(await ask_as(site, one, path, STRANGERS[who]), one, path)


async def test_whoever_may_do_something_else(autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        for one, path in guarded():
            also = {access: OF_OTHERS[access] for access in one.also}
            for bearer in OF_OTHERS[one.access]:
                if all(bearer in others for others in also.values()):
                    answer = await ask_as(site, one, path, f"Bearer {bearer}")
                    check_refused(answer, one, path)


async def test_nobody_gets_what_is_another_users(autojump_clock: MockClock) -> None:
    """Whatever a user's request says of somebody else, in its path, query, and body."""
    async with open_furnished() as site:
        before = await kept_of_the_other(site)
        for one, path in guarded():
            if one.access is not Access.USER or one.path == TRANSCRIPTS:
                continue
            good = example(attrs.evolve(one, path=path), one.path, site.registration)
            target = good.path.replace(quote(USER, safe=""), quote(OTHER_USER, safe=""))
            query = "&".join(f"{name}={OTHER_USER}" for name in ("userId", "user", "user_id"))
            body = good.body
            if isinstance(body, dict):
                body = {**body, "userId": OTHER_USER, "user": OTHER_USER, "email": OTHER_USER}
            headers = {"host": b"localhost", "authorization": f"Bearer {CORE}".encode()}
            sent = json.dumps(body).encode()
            answer = await ask(site.app, one.method, f"{target}?{query}", headers, sent)
            assert SECRET_TEXT.encode() not in answer.body, (one, answer)
        assert await kept_of_the_other(site) == before


async def test_the_names_of_schemes_are_of_any_case(autojump_clock: MockClock) -> None:
    async with open_furnished() as site:
        headers = {"host": b"localhost", "authorization": f"bEARER  {CORE} ".encode()}
        assert (await ask(site.app, "GET", "/api/client/apps", headers)).status == 200
