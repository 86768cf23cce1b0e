"""Anything may be asked of any route: the answer is never a crash, and refusals have one shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, unquote

import attrs
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mentra_trio.web.asgi import make_app
from mentra_trio.web.described.operation import Access, Operation
from mentra_trio.web.openapi import OPERATIONS, names_of

from .site_under_test import CORE, PACKAGE, USER, Site, app_snapshot, open_site, user_snapshot

ENDLESS: Final = "/api/admin/journal"
BEARERS: Final = {
    Access.EVERYBODY: "",
    Access.USER: CORE,
    Access.OPERATOR: "the-admin-token",
    Access.APP: "key",
    Access.NAMED_APP: f"{PACKAGE}:key",
    Access.SESSION: USER,
}


@attrs.frozen
class Asked:
    """What the application answered."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    site: Site, method: str, target: str, headers: dict[str, bytes], body: bytes = b""
) -> Asked:
    """Call the application as the port does, with the path as it was sent."""
    raw, _, query = target.encode("ascii").partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": decoded(raw),
        "raw_path": raw,
        "query_string": query,
        "root_path": "",
        "headers": [(name.encode(), value) for name, value in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": None,
        "state": {},
    }
    parts: list[dict[str, Any]] = []
    pieces = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        return next(pieces, None) or await trio.sleep_forever()

    async def send(message: Any) -> None:
        parts.append(message)

    await make_app(site.services)(scope, receive, send)
    return Asked(
        parts[0]["status"],
        {name.decode(): value.decode() for name, value in parts[0]["headers"]},
        b"".join(part.get("body", b"") for part in parts[1:]),
    )


def decoded(raw: bytes) -> str:
    """The path as the port decodes it."""
    return unquote(raw.decode("ascii"))


def all_operations() -> Iterator[Operation]:
    for operations in OPERATIONS.values():
        for one in operations:
            if one.path != ENDLESS:
                for name in names_of(one.path):
                    yield attrs.evolve(one, path=name)


ALL: Final = tuple(all_operations())
KNOWN: Final = st.sampled_from(
    [USER, PACKAGE, "", "limit", "key", f"{USER}-{PACKAGE}", "https://x"]
)
TEXTS: Final = KNOWN | st.text(max_size=30)
PLAIN: Final = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES: Final = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
)
NAMES: Final = st.sampled_from(
    [
        *("data", "value", "packageName", "supabaseToken", "aos_temp_token", "stringToHash"),
        *("feedback", "format", "url", "apiKey", "permissions", "settings", "type", "brightness"),
    ]
)
OBJECTS: Final = st.dictionaries(NAMES, VALUES, max_size=5)
BODIES: Final = st.binary(max_size=50) | (OBJECTS | VALUES).map(
    lambda value: json.dumps(value, allow_nan=True).encode()
)
QUERIES: Final = st.lists(
    st.tuples(st.sampled_from(["limit", "after", "user", "userId", "text"]), TEXTS), max_size=3
).map(lambda pairs: "&".join(f"{name}={quoted(text)}" for name, text in pairs))


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


@st.composite
def requests(draw: st.DrawFn) -> tuple[Operation, str, dict[str, bytes], bytes]:
    """An operation, and how it is asked for: often well, and often not."""
    one = draw(st.sampled_from(ALL))
    path = one.path
    while "{" in path:
        before, _, rest = path.partition("{")
        given_raw = draw(
            st.sampled_from(["%ff", "%2f", "%00", "%", "%zz", "%ed%a0%80"]) | st.none()
        )
        path = before + (given_raw or quoted(draw(TEXTS)) or "x") + rest.partition("}")[2]
    prefix = draw(st.sampled_from(["", "", "/s/tok"]))
    bearer = draw(st.sampled_from([BEARERS[one.access]] * 4 + [""]))
    credentials = draw(
        st.just(f"Bearer {bearer}".encode()) | st.binary(max_size=20).map(lambda data: data)
    )
    headers = {"host": b"localhost", "authorization": credentials}
    query = draw(QUERIES)
    return one, f"{prefix}{path}" + (f"?{query}" if query else ""), headers, draw(BODIES)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(requests(), min_size=1, max_size=4), st.booleans())
async def test_whatever_is_asked(
    autojump_clock: Any, asked: list[tuple[Operation, str, dict[str, bytes], bytes]], live: bool
) -> None:
    async with open_site() as site:
        if live:
            site.sessions.snapshots[USER] = user_snapshot(USER, app_snapshot())
        for one, target, headers, body in asked:
            answer = await ask(site, one.method, target, headers, body)
            assert answer.status in {*one.statuses, *one.refusals}, (one, answer)
            assert answer.status < 500, (one, answer)
            if answer.status >= 400:
                check_refusal(answer)


def check_refusal(answer: Asked) -> None:
    """Every refusal is JSON: ``{success: false, code, message}`` and maybe more."""
    assert answer.headers["content-type"] == "application/json"
    body = json.loads(answer.body)
    assert body["success"] is False
    for name in ("code", "message"):
        assert isinstance(body[name], str)
        assert body[name]
    if answer.status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
    if answer.status == 429:
        assert int(answer.headers["retry-after"]) >= 1


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "x"]),
    st.lists(
        st.sampled_from(
            ["/", "api", "auth", "apps", "s", "tok", "sdk", "simple-storage", "admin", "users"]
        )
        | TEXTS.map(quoted),
        max_size=6,
    ),
)
async def test_wherever_is_asked(autojump_clock: Any, method: str, words: list[str]) -> None:
    async with open_site() as site:
        answer = await ask(site, method, "/" + "/".join(words), {"host": b"localhost"})
        assert answer.status < 500
        if answer.status >= 400:
            check_refusal(answer)
