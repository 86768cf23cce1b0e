"""Sends every message back, over our own transport: what the Autobahn test suite talks to.

    python tests/autobahn/echo_server.py

Listens on a free port of 127.0.0.1 and names it. Whatever crashes is printed.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any, Final

import trio

from mentra_trio.domain.errors import LinkClosed
from mentra_trio.domain.facts import Crashed, Fact
from mentra_trio.domain.timings import Limits
from mentra_trio.transport.port import Port
from mentra_trio.transport.tcp import bound_address, open_listeners
from mentra_trio.transport.upgrade import Upgrade

LIMITS: Final = Limits(
    message_bytes=1 << 25,  # the longest of the suite have 16 MiB
    outbox_bytes=1 << 26,
    outbox_frames=1 << 16,
    close_s=2.0,
)


class Complaints:
    """A telemetry that prints crashes."""

    def emit(self, fact: Fact) -> None:
        if isinstance(fact, Crashed):
            traceback.print_exception(fact.error)


async def echo(upgrade: Upgrade) -> None:
    """Give back what comes until the peer closes, and then its close."""
    async with upgrade.accept() as link:
        try:
            while True:
                link.push(await link.receive())
        except LinkClosed as closed:
            await link.close(closed.reason)


async def not_found(scope: Any, receive: Any, send: Any) -> None:
    """There are no pages here."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def main() -> None:
    """Serve until ended."""
    listeners = await open_listeners("127.0.0.1", 0)
    host, number = bound_address(listeners)
    sys.stdout.write(f"ready on ws://{host}:{number}\n")
    sys.stdout.flush()
    port = Port(not_found, echo, LIMITS, Complaints())
    await trio.serve_listeners(port.serve, listeners)


if __name__ == "__main__":
    trio.run(main)
