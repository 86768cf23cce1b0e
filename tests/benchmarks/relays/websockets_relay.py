"""A relay on ``websockets`` and uvloop: every message parsed, and made anew for every app."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import attrs
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

HOST = "127.0.0.1"
SECRET = os.environ["RELAY_SECRET"].encode()
KEY_HASH = os.environ["RELAY_KEY_HASH"]
HEARTBEAT_S = float(os.environ.get("HEARTBEAT_S", "10"))
encode: Callable[[object], str] = json.JSONEncoder(separators=(",", ":")).encode


@attrs.define(eq=False)
class Session:
    """One user: the glasses, and the apps by session id."""

    glasses: ServerConnection | None = None
    apps: dict[str, RelayedApp] = attrs.field(factory=dict)


@attrs.define(eq=False)
class RelayedApp:
    """One app of a user, and what it has subscribed to."""

    session_id: str
    socket: ServerConnection
    streams: frozenset[str] = frozenset()


sessions: dict[str, Session] = {}


def user_of(authorization: str) -> str | None:
    """The user whom a core token in this header names: HS256 (protocol.md 1.2)."""
    signed, _, signature = authorization.removeprefix("Bearer ").rpartition(".")
    right = hmac.digest(SECRET, signed.encode(), "sha256")
    given = base64.urlsafe_b64decode(signature + "==")
    if not hmac.compare_digest(given, right):
        return None
    head, claims = (
        json.loads(base64.urlsafe_b64decode(part + "===")) for part in signed.split(".")
    )
    return str(claims["email"]) if head["alg"] == "HS256" else None


def admit(socket: ServerConnection, request: Request) -> Response | None:
    """Refuse glasses without a good token."""
    if request.path == "/glasses-ws":
        user = user_of(request.headers.get("Authorization", ""))
        if user is None:
            return socket.respond(HTTPStatus.UNAUTHORIZED, "")
        socket.username = user
    return None


def now() -> str:
    """The time as JavaScript writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def serve_one(socket: ServerConnection) -> None:
    """One connection, to its end."""
    assert socket.request is not None
    try:
        if socket.request.path == "/glasses-ws":
            await serve_glasses(socket, socket.username)
        else:
            await serve_app(socket)
    except ConnectionClosed:
        pass


async def serve_glasses(socket: ServerConnection, user: str) -> None:
    """Pass every event on to every app of ``user`` that wants it."""
    session = sessions.setdefault(user, Session())
    session.glasses = socket
    try:
        ack = {"type": "connection_ack", "sessionId": user, "timestamp": now()}
        await socket.send(encode(ack))
        async for data in socket:
            if isinstance(data, bytes):
                for app in session.apps.values():
                    if "audio_chunk" in app.streams:
                        await app.socket.send(data)
            else:
                await pass_on(session, json.loads(data))
    finally:
        if session.glasses is socket:
            session.glasses = None
            if not session.apps:
                sessions.pop(user, None)


async def pass_on(session: Session, event: dict[str, Any]) -> None:
    """One event to every app that has subscribed to it."""
    stream = event["type"]
    if stream == "transcription":
        stream += ":" + event.get("transcribeLanguage", "en-US")
    for app in session.apps.values():
        if stream in app.streams:
            message = {
                "type": "data_stream",
                "sessionId": app.session_id,
                "streamType": stream,
                "data": event,
                "timestamp": now(),
            }
            await app.socket.send(encode(message))


async def serve_app(socket: ServerConnection) -> None:
    """Check the init, then do what the app asks for."""
    init = json.loads(await socket.recv())
    session_id = init["sessionId"]
    session = sessions.get(session_id.removesuffix("-" + init["packageName"]))
    key_hash = hashlib.sha256(init["apiKey"].encode()).hexdigest()
    if init["type"] != "tpa_connection_init" or key_hash != KEY_HASH or session is None:
        await socket.send(encode({"type": "tpa_connection_error", "message": "refused"}))
        await socket.close(1008, "refused")
        return
    app = session.apps[session_id] = RelayedApp(session_id, socket)
    try:
        ack = {"type": "tpa_connection_ack", "sessionId": session_id, "settings": []}
        await socket.send(encode(ack | {"mentraosSettings": {}, "timestamp": now()}))
        async for data in socket:
            message = json.loads(data)
            if message["type"] == "subscription_update":
                app.streams = frozenset(message["subscriptions"])
            elif message["type"] == "display_event" and session.glasses:
                await session.glasses.send(encode(message))
    finally:
        del session.apps[session_id]


async def main() -> None:
    """Listen on a free port, name it, and serve until ended."""
    settings: dict[str, Any] = {
        "process_request": admit,
        "compression": None,
        "ping_interval": HEARTBEAT_S,
        "backlog": 1024,
    }
    async with serve(serve_one, HOST, 0, **settings) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sys.stdout.write(f"ready on http://{HOST}:{port}\n")
        sys.stdout.flush()
        await server.wait_closed()


if __name__ == "__main__":
    importlib.import_module("uvloop").run(main())  # only the benchmarks' environment has it
