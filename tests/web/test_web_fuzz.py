"""Anything may be asked of any route: the answer is never a crash, and refusals have one shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mentra_trio.testing.household import APP, USER
from mentra_trio.web.described.operation import Operation
from mentra_trio.web.openapi import OPERATIONS, names_of

from .asking import Asked, ask
from .furnished_site import (
    BEARERS,
    BODIES,
    OTHER_APP,
    OTHER_CORE,
    OTHER_USER,
    SECRET_TEXT,
    kept_of_the_other,
    open_furnished,
    parameters,
)

ENDLESS: Final = "/api/admin/journal"
UNAVAILABLE: Final = {502, 503, 504}


def all_operations() -> Iterator[tuple[Operation, str]]:
    """Every operation, and each of its names."""
    for operations in OPERATIONS.values():
        for one in operations:
            if one.path != ENDLESS:
                yield from ((one, name) for name in names_of(one.path))


ALL: Final = tuple(all_operations())
RAW: Final = ("%ff", "%2f", "%00", "%", "%zz", "%ed%a0%80", "%2e%2e", "x", "U-1%40X.ORG")
KNOWN: Final = st.sampled_from([USER, APP, OTHER_USER, OTHER_APP, "", f"{USER}-{APP}", "https://x"])
TEXTS: Final = KNOWN | st.text(max_size=30)
NUMBERS: Final = st.integers() | st.floats() | st.sampled_from([0, -1, 2**53, 2**64, 1e308])
PLAIN: Final = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES: Final = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)
DEEP: Final = st.sampled_from([100, 500, 900, 2_000]).map(
    lambda depth: b'{"value":' + b"[" * depth + b"]" * depth + b"}"
)
QUERIES: Final = st.lists(
    st.tuples(
        st.sampled_from(["limit", "after", "user", "userId", "text", "duration", "startTime"]),
        TEXTS | st.sampled_from(["1", "0", "1e999", "-5"]),
    ),
    max_size=3,
).map(lambda pairs: "&".join(f"{name}={quoted(text)}" for name, text in pairs))


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@attrs.frozen
class Request:
    """What is asked for; ``registration`` in its path stands for the id of one."""

    operation: Operation
    target: str
    headers: dict[str, bytes]
    body: bytes


@st.composite
def bodies(draw: st.DrawFn, good: Any) -> bytes:
    """Something like ``good``, with a value or two exchanged; or anything."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=50) | DEEP)
    changed = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(0, 2))):
        changed = draw(with_one_exchanged(changed))
    return json.dumps(changed, allow_nan=True).encode("utf-8", "surrogatepass")


@st.composite
def with_one_exchanged(draw: st.DrawFn, value: Any) -> Any:
    """``value`` with one part of it, or itself, exchanged for anything."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        name = draw(st.sampled_from(sorted(value)) | TEXTS)
        return {**value, name: draw(with_one_exchanged(value.get(name)))}
    if isinstance(value, list) and value and draw(st.booleans()):
        return [draw(with_one_exchanged(value[0])), *value]
    return draw(VALUES)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """An operation, and how it is asked for: often well, and often not."""
    one, path = draw(st.sampled_from(ALL))
    for name, value in parameters("registration").items():
        if "{" + name + "}" in path:
            given = draw(st.just(quoted(value)) | st.sampled_from(RAW) | TEXTS.map(quoted))
            path = path.replace("{" + name + "}", given or "x")
    prefix = draw(st.sampled_from(["", "", "/s/tok"]))
    bearer = BEARERS[one.access].encode()
    strange = st.sampled_from([b"", OTHER_CORE.encode(), b"key"]) | st.binary(max_size=20)
    bearer = draw(st.just(bearer) | st.just(bearer) | strange)
    headers = {"host": b"localhost", "authorization": b"Bearer " + bearer}
    query = draw(QUERIES)
    target = f"{prefix}{path}" + (f"?{query}" if query else "")
    good = BODIES.get(one.path, {"packageName": APP})
    return Request(one, target, headers, draw(bodies(good)))


QUICK: Final = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(asked=st.lists(requests(), min_size=1, max_size=6), live=st.booleans())
async def test_whatever_is_asked(autojump_clock: Any, asked: list[Request], live: bool) -> None:
    async with open_furnished(live=live) as site:
        before = await kept_of_the_other(site)
        for request in asked:
            target = request.target.replace("/registration", "/" + site.registration)
            answer = await ask(
                site.app, request.operation.method, target, request.headers, request.body
            )
            check(request, answer)
        await trio.sleep(1)  # what was begun comes to its end
        assert before == await kept_of_the_other(site) or touches_others(asked)


def touches_others(asked: list[Request]) -> bool:
    """Whether somebody asked who may change what is kept of the other user: an operator, an app
    of that user, or that user."""
    return any(
        OTHER_CORE.encode() in request.headers["authorization"]
        or request.operation.path.startswith(("/api/admin/", "/api/sdk/simple-storage/"))
        for request in asked
    )


def check(request: Request, answer: Asked) -> None:
    one = request.operation
    assert answer.status in {*one.statuses, *one.refusals}, (request, answer)
    assert answer.status < 500 or answer.status in UNAVAILABLE, (request, answer)
    if answer.status in one.statuses:
        assert answer.media in {one.media, *one.more_media}, (request, answer)
    else:
        check_refusal(answer)
    if one.access.value == "coreToken" and request.headers["authorization"].endswith(
        BEARERS[one.access].encode()
    ):
        assert SECRET_TEXT.encode() not in answer.body, (request, answer)


def check_refusal(answer: Asked) -> None:
    """Every refusal is JSON: ``{success: false, code, message}`` and maybe more."""
    assert answer.media == "application/json"
    body = json.loads(answer.body)
    assert body["success"] is False
    for name in ("code", "message"):
        assert isinstance(body[name], str)
        assert body[name]
    if answer.status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    if answer.status == 429:
        assert int(answer.headers["retry-after"]) >= 1


@QUICK
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "x"]),
    words=st.lists(
        st.sampled_from(
            ["/", "api", "auth", "apps", "s", "tok", "sdk", "simple-storage", "admin", "users"]
        )
        | TEXTS.map(quoted),
        max_size=6,
    ),
)
async def test_wherever_is_asked(autojump_clock: Any, method: str, words: list[str]) -> None:
    async with open_furnished(live=False) as site:
        target = "/" + "/".join(words)
        answer = await ask(site.app, method, target, {"host": b"localhost"})
        assert answer.status < 500
        if answer.status >= 400:
            check_refusal(answer)


STRANGE: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    2**64,
    1e308,
    "",
    "x" * 300,
    "\x00",
    [],
    [1],
    {},
    {"a": 1},
)


def exchanged(good: Any) -> Iterator[Any]:
    """``good`` with each part of it left out, or exchanged for each strange value."""
    yield from STRANGE
    if isinstance(good, dict):
        for name, value in good.items():
            yield {other: good[other] for other in good if other != name}
            for strange in exchanged(value):
                yield {**good, name: strange}
    elif isinstance(good, list):
        for strange in exchanged(good[0]):
            yield [strange]


@pytest.mark.parametrize("live", [True, False])
async def test_every_part_of_a_body_may_be_strange(autojump_clock: Any, live: bool) -> None:
    async with open_furnished(live=live) as site:
        for one, path in ALL:
            if one.body is None or path != one.path:
                continue
            for name, value in parameters(site.registration).items():
                path = path.replace("{" + name + "}", quoted(value))
            headers = {
                "host": b"localhost",
                "authorization": f"Bearer {BEARERS[one.access]}".encode(),
            }
            for body in exchanged(BODIES[one.path]):
                request = Request(one, path, headers, json.dumps(body).encode())
                check(request, await ask(site.app, one.method, path, headers, request.body))
