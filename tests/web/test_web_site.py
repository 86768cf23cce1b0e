"""Probes, errors, the console, and the application behind the port."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.facts import Fact
from mentra_trio.domain.ids import UserId
from mentra_trio.domain.timings import Limits
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.transport.admission import ENDPOINTS
from mentra_trio.transport.port import Port
from mentra_trio.transport.upgrade import Upgrade
from mentra_trio.web.asgi import make_app

from .site_under_test import AS_USER, CORE, PACKAGE, Site


# -- probes --------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/", "/health", "/livez", "/readyz", "/s/tok/health"])
async def test_probes(site: Site, path: str, autojump_clock: Any) -> None:
    answer = await site.get(path)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "timestamp": "2026-01-02T03:04:05.000Z",
        "version": "1.2.3",
    }


async def test_not_ready_while_draining(site: Site, autojump_clock: Any) -> None:
    site.draining[0] = True
    answer = await site.get("/readyz")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (await site.get("/livez")).status_code == 200


async def test_metrics(site: Site, autojump_clock: Any) -> None:
    answer = await site.get("/metrics")
    assert answer.text == "mentra_up 1\n"
    assert answer.headers["content-type"].startswith("text/plain")


# -- errors --------------------------------------------------------------------------
@pytest.mark.parametrize("path", [*ENDPOINTS, "/s/tok/app-ws"])
async def test_a_websocket_endpoint_asks_for_an_upgrade(
    site: Site, path: str, autojump_clock: Any
) -> None:
    answer = await site.get(path)
    assert answer.status_code == 426
    assert answer.json()["message"] == "this is a WebSocket endpoint"
    assert answer.headers["upgrade"] == "websocket"
    assert (await site.post(path)).status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nope", 404, "NOT_FOUND"),
        ("GET", "/s/tok/nope", 404, "NOT_FOUND"),
        ("GET", "/s/tok", 404, "NOT_FOUND"),
        ("GET", "/s/a/s/b/health", 404, "NOT_FOUND"),
        ("POST", "/health", 405, "METHOD_NOT_ALLOWED"),
        ("GET", f"/apps/{PACKAGE}/start", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_errors_are_json(
    site: Site, method: str, path: str, status: int, code: str, autojump_clock: Any
) -> None:
    answer = await site.client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["success"] is False
    assert answer.json()["code"] == code


async def test_a_failing_store_is_a_503_and_a_bug_a_500(
    site: Site, monkeypatch: pytest.MonkeyPatch, autojump_clock: Any
) -> None:
    async def fail(self: object, user: UserId) -> Mapping[str, Any]:
        raise StoreFailed("disk full")

    monkeypatch.setattr(MemoryStore, "user_settings", fail)
    answer = await site.get("/api/client/user/settings", headers=AS_USER)
    assert (answer.status_code, answer.json()["code"]) == (503, "STORE_FAILED")
    assert answer.headers["retry-after"] == "1"

    async def crash(self: object, user: UserId) -> Mapping[str, Any]:
        raise ValueError("a secret in a bug")

    monkeypatch.setattr(MemoryStore, "user_settings", crash)
    answer = await site.get("/api/client/user/settings", headers=AS_USER)
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.text
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert (await site.get("/s/tok/livez")).status_code == 200
    assert site.services.answers == {503: 1, 500: 1, 200: 1}


# -- the console ---------------------------------------------------------------------
async def test_the_console_needs_nothing_from_elsewhere(site: Site, autojump_clock: Any) -> None:
    page = await site.get("/console/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        part = await site.get(f"/console/{name}")
        assert part.status_code == 200
        assert "innerHTML" not in part.text
    moved = await site.get("/console")
    assert (moved.status_code, moved.headers["location"]) == (307, "console/")


async def test_the_console_is_not_served_under_a_strangers_name(
    site: Site, autojump_clock: Any
) -> None:
    answer = await site.get("/console/", headers={"host": "evil.example.org"})
    assert answer.status_code == 421


async def test_answers_are_not_made_more_of_by_browsers(site: Site, autojump_clock: Any) -> None:
    answer = await site.get("/nope")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    token = await site.post(
        "/auth/generate-webview-token", headers=AS_USER, json={"packageName": PACKAGE}
    )
    assert (token.status_code, token.headers["cache-control"]) == (200, "no-store")


# -- through the port ----------------------------------------------------------------
async def no_websockets(upgrade: Upgrade) -> None:
    await upgrade.reject(404, b"{}")


async def test_the_application_behind_the_port(
    site: Site, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    facts: list[Fact] = []
    telemetry = SimpleNamespace(emit=facts.append)
    port = Port(make_app(site.services), no_websockets, Limits(), telemetry)
    client, server = trio.testing.memory_stream_pair()
    nursery.start_soon(port.serve, server)
    body = b'{"brightness": 77}'
    await client.send_all(
        b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n"
        b"PUT /s/tok/api/client/user/settings HTTP/1.1\r\nHost: h\r\n"
        b"Authorization: Bearer " + CORE.encode() + b"\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body + b"HEAD /console/ "
        b"HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    )
    received = b""
    while data := await client.receive_some():
        received += data
    assert received.count(b"HTTP/1.1 200") == 3
    assert b'"brightness":77' in received
    assert facts == []


async def test_bodies_that_are_too_large(
    site: Site, nursery: trio.Nursery, autojump_clock: Any
) -> None:
    facts: list[Fact] = []
    telemetry = SimpleNamespace(emit=facts.append)
    port = Port(make_app(site.services), no_websockets, Limits(), telemetry)
    client, server = trio.testing.memory_stream_pair()
    nursery.start_soon(port.serve, server)
    await client.send_all(
        b"PUT /api/client/user/settings HTTP/1.1\r\nHost: h\r\n"
        b"Authorization: Bearer " + CORE.encode() + b"\r\n"
        b"Content-Length: 1048577\r\n\r\n" + b"x" * 1_048_577
    )
    assert (await client.receive_some()).startswith(b"HTTP/1.1 413")
    await client.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert facts == []
