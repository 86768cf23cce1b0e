"""The port of an app server: HTTP for the server that calls, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from ..domain.hosts import authority
from ..domain.timings import Limits
from ..ports import Telemetry
from ..transport.http_bridge import AsgiApp
from ..transport.port import Port
from ..transport.tcp import bound_address, open_listeners
from ..transport.upgrade import Upgrade


async def listening(
    host: str, port: int, listeners: Sequence[trio.abc.Listener[Any]] | None
) -> tuple[Sequence[trio.abc.Listener[Any]], str]:
    """Where to accept connections, and the URL under which that is reached.

    Args:
        host, port: where to listen; port 0 picks a free one.
        listeners: instead of them, for what is reached under their name.

    Raises:
        ConfigError: the address cannot be used.
    """
    if listeners is None:
        listeners = await open_listeners(host, port)
        host, port = bound_address(listeners)
    return listeners, f"http://{authority(host, port)}"


@asynccontextmanager
async def answering(
    endpoint: AsgiApp, listeners: Sequence[trio.abc.Listener[Any]], telemetry: Telemetry
) -> AsyncGenerator[None]:
    """Have ``endpoint`` answer what comes in at ``listeners`` for as long as the block runs.

    Requests that are not answered by then are cut off, and the listeners are closed.
    """
    door = Port(endpoint, _no_websockets, Limits(), telemetry)
    async with trio.open_nursery() as accepting:
        await accepting.start(trio.serve_listeners, door.serve, list(listeners))
        yield
        accepting.cancel_scope.cancel("app server closes")


async def _no_websockets(upgrade: Upgrade) -> None:
    await upgrade.reject(404, b'{"status":"error","message":"Not found"}')
