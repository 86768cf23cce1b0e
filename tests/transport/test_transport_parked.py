"""An app of SDK v3 that waits for its user, and a server that closes meanwhile."""

from __future__ import annotations

import json

import trio

from mentra_trio.clients.app import App
from mentra_trio.clients.dialing import open_websocket, verbatim
from mentra_trio.domain.close_reasons import RESTARTING
from mentra_trio.testing.world import USER, open_world

HEADERS = [
    ("x-user-id", USER),
    ("x-session-id", "a-uuid"),
    ("x-package-name", "com.t.a"),
    ("x-api-key", "key"),
]


async def test_a_parked_app_does_not_hold_up_the_end(autojump_clock: object) -> None:
    async with trio.open_nursery() as nursery:
        async with open_world() as world:
            await world.add(App("com.t.a", api_key="key"))
            parked = trio.Event()

            async def wait() -> None:
                async with open_websocket(
                    f"{world.server.url}/ws/miniapp",
                    decode=verbatim,
                    headers=HEADERS,
                    dial=world.network.dial,
                ) as link:
                    await link.send(json.dumps({"type": "reconnect", "sessionId": "a-uuid"}))
                    assert json.loads(await link.receive())["type"] == "reconnect_deferred"
                    parked.set()
                    assert await link.until_closed() == RESTARTING

            nursery.start_soon(wait)
            await parked.wait()
            closing_at = trio.current_time()
        assert trio.current_time() - closing_at < 1
