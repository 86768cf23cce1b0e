"""A plain relay on ``websockets`` and asyncio: events of glasses to every app, wrapped."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

HOST = "127.0.0.1"


class Relay:
    """Who is connected for each user, and the passing on."""

    def __init__(self) -> None:
        self.apps: dict[str, dict[str, ServerConnection]] = defaultdict(dict)

    async def serve(self, socket: ServerConnection) -> None:
        """One connection, to its end."""
        assert socket.request is not None
        target = urlsplit(socket.request.path)
        query = parse_qs(target.query)
        user = query["user"][0]
        try:
            if target.path == "/glasses":
                await self.glasses(socket, user)
            else:
                await self.app(socket, user, query["package"][0])
        except ConnectionClosed:
            pass

    async def glasses(self, socket: ServerConnection, user: str) -> None:
        """Pass every event on to every app of ``user``."""
        async for frame in socket:
            event = json.loads(frame)
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            for session_id, app in self.apps[user].items():
                message = {
                    "type": "data_stream",
                    "sessionId": session_id,
                    "streamType": event["type"],
                    "data": event,
                    "timestamp": now,
                }
                await app.send(json.dumps(message))

    async def app(self, socket: ServerConnection, user: str, package: str) -> None:
        """Be there to be sent to."""
        self.apps[user][f"{user}-{package}"] = socket
        try:
            await socket.wait_closed()
        finally:
            del self.apps[user][f"{user}-{package}"]


async def main() -> None:
    """Listen on a free port, name it, and serve until ended."""
    async with serve(Relay().serve, HOST, 0, compression=None, ping_interval=10) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sys.stdout.write(f"ready on http://{HOST}:{port}\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
