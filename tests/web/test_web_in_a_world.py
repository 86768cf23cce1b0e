"""Storage, tokens and what is installed on a whole server, in virtual time."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

from mentra_trio.clients.app import App
from mentra_trio.domain.ids import package_name, user_id
from mentra_trio.testing.world import World

PACKAGE, USER = "com.t.a", "u-1@x.org"
AS_APP = f"{PACKAGE}:a key"
STORAGE = "/api/sdk/simple-storage/u-1%40x.org"


async def ask(
    world: World, method: str, path: str, bearer: str, body: object = None
) -> tuple[int, dict[str, Any]]:
    """One request over the network of the world."""
    content = json.dumps(body).encode() if body is not None else b""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: cloud\r\nConnection: close\r\n"
        f"Authorization: Bearer {bearer}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    host, _, port = world.server.url.removeprefix("ws://").partition(":")
    async with await world.network.dial(host, int(port)) as stream:
        await stream.send_all(head.encode() + content)
        answer = b"".join([piece async for piece in stream])
    status, _, rest = answer.removeprefix(b"HTTP/1.1 ").partition(b" ")
    return int(status), json.loads(rest.partition(b"\r\n\r\n")[2])


@pytest.fixture
async def app(world: World, autojump_clock: Any) -> App:
    app = App(PACKAGE, api_key="a key")
    await world.add(app)
    return app


async def test_what_is_acknowledged_survives_the_server(world: World, app: App) -> None:
    for prefix in ("", "/s/any-token"):
        status, _ = await ask(world, "PUT", prefix + STORAGE, AS_APP, {"data": {prefix: "v"}})
        assert status == (200 if prefix else 400)
    await world.server_process.kill()
    await world.server_process.start()
    assert await ask(world, "GET", STORAGE, AS_APP) == (
        200,
        {"success": True, "data": {"/s/any-token": "v"}},
    )


async def test_a_temporary_token_does_not_survive_the_server(world: World, app: App) -> None:
    core, body = world.server.token(USER), {"packageName": PACKAGE}
    path = "/api/auth/generate-webview-token"
    exchange = "/api/auth/exchange-user-token"
    for restarted, expected in ((False, 200), (True, 401)):
        _, made = await ask(world, "POST", path, core, body)
        presented = {"aos_temp_token": made["token"], "packageName": PACKAGE}
        if restarted:
            await world.server_process.kill()
            await world.server_process.start()
        status, _ = await ask(world, "POST", exchange, app.api_key, presented)
        assert status == expected


async def test_a_server_hashes_its_public_address(world: World, app: App) -> None:
    core, own = world.server.token(USER), world.server.http_url
    key_hash = hashlib.sha256(app.api_key.encode()).hexdigest()
    for address, expected in ((own, 200), (own.replace("http", "https"), 403), (USER, 200)):
        body = {"stringToHash": address, "packageName": PACKAGE}
        status, answer = await ask(world, "POST", "/auth/hash-with-api-key", core, body)
        assert status == expected
        if expected == 200:
            assert answer["hash"] == hashlib.sha256((address + key_hash).encode()).hexdigest()


async def test_uninstalling_stops_and_stays_so(world: World, app: App) -> None:
    core = world.server.token(USER)
    async with world.glasses():
        assert (await world.server.start_app(USER, PACKAGE)).success
        status, _ = await ask(world, "POST", f"/api/store/uninstall/{PACKAGE}", core)
        assert status == 200
        await wait_all_tasks_blocked()
        assert world.state(PACKAGE) is None
    async with world.glasses():
        await wait_all_tasks_blocked()
        assert world.state(PACKAGE) is None
    assert await ask(world, "GET", "/api/client/apps", core) == (200, {"success": True, "data": []})


async def test_uninstalling_without_glasses(world: World, app: App) -> None:
    await world.store.set_wanted(user_id(USER), package_name(PACKAGE), wanted=True)
    core = world.server.token(USER)
    assert (await ask(world, "POST", f"/api/store/uninstall/{PACKAGE}", core))[0] == 200
    async with world.glasses():
        await wait_all_tasks_blocked()
        assert world.state(PACKAGE) is None
