"""The journal as it is written: over ASGI, with what only a stream has."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from mentra_trio.domain.facts import StoreTrouble
from mentra_trio.domain.ids import user_id
from mentra_trio.telemetry.followers import WAITING_MAX
from mentra_trio.telemetry.journal import Journal
from mentra_trio.web.asgi import make_app

from .site_under_test import ADMIN, Site, open_site

USER, OTHER = user_id("u-1@x.org"), user_id("u-2@x.org")


@attrs.define(eq=False)
class Listener:
    """Somebody at the other end of the stream."""

    journal: Journal
    closing: trio.Event
    parts: list[bytes] = attrs.field(factory=list)
    head: dict[str, Any] = attrs.field(factory=dict)
    heard: trio.Event = attrs.field(factory=trio.Event)

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.head = message
        else:
            self.parts.append(message["body"])
            self.heard.set()
            self.heard = trio.Event()
        await trio.lowlevel.checkpoint()

    @property
    def facts(self) -> list[dict[str, Any]]:
        lines = b"".join(self.parts).decode().splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


async def listen(listener: Listener, site: Site, query: bytes = b"") -> None:
    services = attrs.evolve(site.services, follow=listener.journal.follow, closing=listener.closing)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/admin/journal",
        "raw_path": b"/api/admin/journal",
        "query_string": query,
        "headers": [(b"host", b"localhost"), (b"authorization", f"Bearer {ADMIN}".encode())],
        "root_path": "",
        "scheme": "http",
        "server": None,
    }

    async def receive() -> Any:
        await trio.sleep_forever()

    await make_app(services)(scope, receive, listener.send)


@pytest.fixture
def listener() -> Listener:
    return Listener(Journal(), trio.Event())


def trouble(user: Any = USER, problem: str = "x") -> StoreTrouble:
    return StoreTrouble(user=user, problem=problem)


async def test_facts_come_as_they_happen(listener: Listener, autojump_clock: MockClock) -> None:
    async with open_site() as site, trio.open_nursery() as nursery:
        nursery.start_soon(listen, listener, site)
        await trio.sleep(1)
        assert dict(listener.head["headers"])[b"content-type"].startswith(b"text/event-stream")
        assert b"content-length" not in dict(listener.head["headers"])
        listener.journal.emit(trouble(problem="one"))
        listener.journal.emit(trouble(OTHER, problem="two"))
        await trio.sleep(0.1)
        assert [fact["problem"] for fact in listener.facts] == ["one", "two"]
        nursery.cancel_scope.cancel()
    assert listener.journal._followers == [], "nobody follows any more"


async def test_of_one_user_only(listener: Listener, autojump_clock: MockClock) -> None:
    async with open_site() as site, trio.open_nursery() as nursery:
        nursery.start_soon(listen, listener, site, b"user=U-1%40x.org")
        await trio.sleep(1)
        listener.journal.emit(trouble(OTHER))
        listener.journal.emit(trouble())
        await trio.sleep(0.1)
        assert [fact["userId"] for fact in listener.facts] == [USER]
        nursery.cancel_scope.cancel()


async def test_a_quiet_stream_stays_alive(listener: Listener, autojump_clock: MockClock) -> None:
    async with open_site() as site, trio.open_nursery() as nursery:
        nursery.start_soon(listen, listener, site)
        await trio.sleep(46)
        assert listener.parts == [b": alive\n\n"] * 4
        nursery.cancel_scope.cancel()


async def test_the_end_of_the_server_ends_it(listener: Listener, autojump_clock: MockClock) -> None:
    async with open_site() as site, trio.open_nursery() as nursery:
        nursery.start_soon(listen, listener, site)
        await trio.sleep(1)
        listener.closing.set()
    assert listener.parts[-1] == b""


async def test_who_cannot_keep_up_is_told(listener: Listener, autojump_clock: MockClock) -> None:
    async with open_site() as site, trio.open_nursery() as nursery:
        nursery.start_soon(listen, listener, site)
        await trio.sleep(1)
        for number in range(WAITING_MAX + 5):
            listener.journal.emit(trouble(problem=str(number)))
        await trio.sleep(0.1)
        assert listener.facts[0] == {"missed": 5}
        assert listener.facts[1]["problem"] == "5"
        assert len(listener.facts) == WAITING_MAX + 1
        nursery.cancel_scope.cancel()


async def test_a_name_that_is_no_user(autojump_clock: MockClock) -> None:
    async with open_site() as site:
        answer = await site.get(
            "/api/admin/journal?user=%00", headers={"authorization": f"Bearer {ADMIN}"}
        )
        assert answer.status_code == 400
        assert (await site.get("/api/admin/journal")).status_code == 401
