"""``why``, ``tail``, ``top``: what they print, and against a real server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trustme
from trio.testing import MockClock

import mentra_trio
from mentra_trio.cli import main
from mentra_trio.cli.admin_api import AdminApi, ServerTrouble, open_admin_api, own_url
from mentra_trio.cli.watch import fact_line, table, tail, top, why
from mentra_trio.clients.glasses import open_glasses

AT = "2026-01-02T03:04:05.000Z"
USER, PACKAGE = "me@x.org", "com.t.a"


def app(**changes: Any) -> dict[str, Any]:
    fields = {
        "packageName": PACKAGE,
        "state": "running",
        "since": AT,
        "subscriptions": ["button_press"],
        "attempt": 1,
        "nextAttemptAt": None,
        "outbox": 0,
        "cause": "link attached",
    }
    return {**fields, **changes}


def user(name: str, *apps: dict[str, Any], connected: bool = True) -> dict[str, Any]:
    return {"userId": name, "since": AT, "connected": connected, "apps": list(apps)}


def test_a_fact_on_one_line() -> None:
    fact = {
        "at": AT,
        "fact": "WebhookCalled",
        "userId": USER,
        "packageName": PACKAGE,
        "result": "refused",
        "problem": "cannot connect\x1b[31m",
        "streams": ["a", "b"],
    }
    assert fact_line(fact) == (
        f"{AT} me@x.org com.t.a WebhookCalled result=refused"
        ' problem="cannot connect\\x1b[31m" streams=a,b'
    )
    assert fact_line({"missed": 3}) == "... 3 facts came too fast to be shown"
    assert fact_line({"missed": 1}) == "... 1 fact came too fast to be shown"


def test_a_table_shows_first_what_does_not_run() -> None:
    lost = app(state="backoff", nextAttemptAt=AT, cause="attempt failed: 503")
    users = [user("a@x.org", app()), user("b@x.org", lost), user("c@x.org", connected=False)]
    lines = table(users, rows_max=None)
    assert lines[0] == "3 users, 2 connected; 2 apps, 1 running"
    assert lines[1].split() == [
        "user", "app", "state", "since", "subscriptions", "attempt", "next", "attempt", "outbox",
        "cause",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[2:]] == ["b@x.org", "a@x.org", "c@x.org"]
    assert "03:04:05" in lines[2]
    assert lines[2].endswith("attempt failed: 503")


def test_one_of_each_is_no_plural() -> None:
    assert table([user(USER, app())], rows_max=None)[0] == "1 user, 1 connected; 1 app, 1 running"


class AdminApiOfOne:
    """What ``tail`` asks for: the journal up to now, and what comes meanwhile and after."""

    def __init__(
        self, so_far: list[dict[str, Any]], *coming: dict[str, Any], takes_s: float = 0.0
    ) -> None:
        self.so_far, self.coming, self.takes_s = so_far, list(coming), takes_s

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        await trio.sleep(self.takes_s)
        return {"facts": self.so_far, "users": [], "next": None}

    @asynccontextmanager
    async def journal(self, user: str | None) -> AsyncIterator[AdminApiOfOne]:
        await trio.lowlevel.checkpoint()
        yield self

    async def next(self) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        if not self.coming:
            raise ServerTrouble("it has ended")
        return self.coming.pop(0)


async def test_what_happens_while_tail_begins_is_shown_once() -> None:
    old, between, new = ({"at": AT, "fact": name} for name in ("Old", "Between", "New"))
    api = AdminApiOfOne([old, between], between, new, new)
    shown: list[str] = []
    with pytest.raises(ServerTrouble):
        await tail(cast("AdminApi", api), shown.append, USER, 20, raw=False)
    assert [line.split()[1] for line in shown] == ["Old", "Between", "New", "New"]


async def test_a_server_that_takes_long_to_tell_is_asked_less_often(
    autojump_clock: MockClock,
) -> None:
    drawn_at: list[float] = []

    class Busy(AdminApiOfOne):
        async def next(self) -> dict[str, Any]:
            await trio.sleep(0.01)
            return {}

    api = cast("AdminApi", Busy([], takes_s=2.0))
    with trio.move_on_after(13):
        await top(api, lambda _: drawn_at.append(trio.current_time()), once=False)
    assert drawn_at == [2, 12]


def test_a_table_says_what_it_has_no_room_for() -> None:
    users = [user(f"u{n}@x.org", app()) for n in range(50)]
    lines = table(users, rows_max=10)
    assert lines[-1] == "... and 42 more"
    assert len(lines) == 11


def test_own_url() -> None:
    assert own_url(mentra_trio.Config(host="0.0.0.0", port=1)) == "http://127.0.0.1:1"
    assert own_url(mentra_trio.Config(host="::1", port=1)) == "http://[::1]:1"
    tls = mentra_trio.Config(tls_cert=Path("c"), tls_key=Path("k"))
    assert own_url(tls) == "https://127.0.0.1:8002"


@pytest.mark.real_sockets
async def test_against_a_server(tmp_path: Path) -> None:
    config = mentra_trio.Config(data_dir=tmp_path, port=0)
    tailed: list[str] = []
    drawn: list[str] = []
    redrawn = trio.Event()

    def draw(page: str) -> None:
        drawn.append(page)
        if "connecting" in page:
            redrawn.set()

    async with mentra_trio.open_server(config) as server:
        await server.apps.add(PACKAGE, url="http://127.0.0.1:9", api_key="secret")
        async with open_admin_api(config, server.http_url) as api, trio.open_nursery() as nursery:
            lines: list[str] = []
            await why(api, lines.append, USER, PACKAGE)
            assert lines[-1] == "next: nothing; a start by the user is tried at once"
            nursery.start_soon(partial(tail, api, tailed.append, USER, 20, raw=True))
            nursery.start_soon(partial(top, api, draw, once=False))
            async with open_glasses(server.url, server.token(USER)) as glasses:
                await glasses.start_app(PACKAGE)
                await redrawn.wait()
            nursery.cancel_scope.cancel()
    facts = [json.loads(line) for line in tailed]
    assert {"UserStateChanged", "AppStateChanged"} <= {fact["fact"] for fact in facts}
    assert {fact["userId"] for fact in facts} == {USER}


@pytest.mark.real_sockets
async def test_a_journal_ends_with_its_server(tmp_path: Path) -> None:
    config = mentra_trio.Config(data_dir=tmp_path, port=0)
    over = trio.Event()
    following = trio.Event()
    async with trio.open_nursery() as nursery:
        async with mentra_trio.open_server(config) as server:

            async def follow() -> None:
                async with open_admin_api(config, server.http_url) as api:
                    with pytest.raises(ServerTrouble, match="has ended"):
                        async with api.journal(None) as facts:
                            following.set()
                            while True:
                                await facts.next()
                over.set()

            nursery.start_soon(follow)
            await following.wait()
            closing_at = trio.current_time()
        await over.wait()
        assert trio.current_time() - closing_at < config.drain_s / 2, "nobody held it up"


def test_no_server_and_no_token_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "http://127.0.0.1:1"
    assert main(["why", USER, PACKAGE, "--data-dir", str(tmp_path), "--url", url]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "there is no admin token" in line
    (tmp_path / "admin-token").write_text("x" * 40)
    assert main(["top", "--once", "--data-dir", str(tmp_path), "--url", url]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mentra-trio: no server answers at {url}")
    assert main(["tail", "--data-dir", str(tmp_path), "--url", "nonsense"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["why", "\udcff", PACKAGE],
        ["why", "", PACKAGE],
        ["why", USER, "a/b"],
        ["why", USER, "眼鏡"],
        ["tail", "\x01"],
    ],
)
def test_what_is_no_user_or_app_is_a_wrong_call(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("mentra-trio: Invalid value for")


@pytest.mark.real_sockets
async def test_what_is_no_server_is_told_in_words(tmp_path: Path) -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"220 mail.example.com ESMTP\r\n")
        await stream.aclose()

    (tmp_path / "admin-token").write_text("x" * 40)
    mine = mentra_trio.Config(data_dir=tmp_path)
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, hang_up, [listener])
        for scheme, told in (("http", "speaks no HTTP"), ("https", "does not speak TLS")):
            async with open_admin_api(mine, f"{scheme}://127.0.0.1:{port}") as api:
                with pytest.raises(ServerTrouble, match=told):
                    await api.get("/api/admin/users")
        nursery.cancel_scope.cancel()


@pytest.mark.real_sockets
async def test_a_certificate_of_ones_own_has_to_be_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    cert, key, trusted = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(trusted))
    config = mentra_trio.Config(data_dir=tmp_path, port=0, tls_cert=cert, tls_key=key)
    async with mentra_trio.open_server(config) as server:
        async with open_admin_api(config, server.http_url) as api:
            with pytest.raises(ServerTrouble, match="not trusted; see --cacert"):
                await api.get("/api/admin/users")
        async with open_admin_api(config, server.http_url, trusted) as api:
            assert (await api.get("/api/admin/users"))["users"] == []


@pytest.mark.real_sockets
async def test_a_wrong_token_is_told(tmp_path: Path) -> None:
    async with mentra_trio.open_server(mentra_trio.Config(port=0)) as server:
        (tmp_path / "admin-token").write_text("x" * 40)
        mine = mentra_trio.Config(data_dir=tmp_path)
        async with open_admin_api(mine, server.http_url) as api:
            with pytest.raises(ServerTrouble, match="admin token is missing or wrong"):
                await api.get("/api/admin/users")
