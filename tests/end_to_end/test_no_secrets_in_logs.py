"""Canaries: nothing secret that goes through a server shows in its log or its facts."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.dialing import open_websocket, verbatim
from mentra_trio.environment import Environment
from mentra_trio.telemetry.log_lines import LogLines
from mentra_trio.telemetry.logfmt import Log
from mentra_trio.testing.world import ADMIN_TOKEN, JWT_SECRET, USER, World, open_world

KEY = "canary-api-key-0123456789"
SAID = "canary words of the wearer"
TEXT = "canary text on the glasses"
MALFORMED = (
    "GET /glasses-ws?token={} HTTP/1.1\r\nHost: server\r\nX: \x00\r\n\r\n",
    "GET /glasses-ws?token={}&x=\xe9 HTTP/1.1\r\nHost: server\r\n\r\n",
    "GET /glasses-ws HTTP/1.1\r\nHost: server\r\nAuthorization : Bearer {}\r\n\r\n",
    "GET /{} HTTP/9.9\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: {}\r\nHost: {}\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: server\r\nContent-Length: {}\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: server\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n",
)
"""Requests that cannot be parsed, with a secret where the parser stumbles."""


async def ask(world: World, request: str) -> bytes:
    """What comes back for ``request``, to the end of the connection."""
    stream = await world.network.dial("server", 8002, origin="clumsy")
    answer = bytearray()
    with trio.move_on_after(30):
        await stream.send_all(request.encode("latin-1"))
        while data := await stream.receive_some():
            answer += data
    await trio.aclose_forcefully(stream)
    return bytes(answer)


async def test_no_canary_in_any_log_line(autojump_clock: MockClock) -> None:
    app = App("com.t.canary", api_key=KEY)

    @app.session
    async def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))
        await session.show_text(TEXT)

    log = io.StringIO()
    moments = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in count())
    unhurried = Environment(utcnow=partial(next, moments))  # no line is left out
    lines = LogLines(Log(log, "debug"), user_ids_as_given=False, environment=unhurried)
    async with open_world() as world:
        process = await world.add(app, permissions=())
        async with world.glasses() as glasses:
            await world.server.start_app(USER, app.package)
            await glasses.say(SAID)
            await glasses.send_text('{"type":"start_app","packageName":"' + SAID + '"}')
            await glasses.send_text(SAID)
            await wait_all_tasks_blocked()
            process.server.sessions[0].cut()
            await trio.sleep(2)
            await world.server.stop_app(USER, app.package)
        init = (
            '{"type":"tpa_connection_init","packageName":"com.t.canary","sessionId":"x","apiKey":'
        )
        url = f"{world.server.url}/app-ws"
        for body in (f'{init}"{KEY}-wrong"}}', f'{init}{{"{KEY}":1}}}}', KEY):
            dial = world.network.dial_from("impostor")
            async with open_websocket(url, decode=verbatim, dial=dial) as link:
                await link.send(body)
                await trio.sleep(1)
        token = world.server.token(USER)
        for request in MALFORMED:
            answer = await ask(world, request.replace("{}", token))
            assert token.encode() not in answer
        for fact in world.telemetry.facts:
            lines.emit(fact)
            assert KEY not in repr(fact)
            assert token not in repr(fact)
    printed = log.getvalue()
    assert "subscriptions changed" in printed, "it is the whole log"
    assert printed.count("not valid HTTP/1.1") >= 5, "most of them are refused by the parser"
    for canary in (KEY, SAID, TEXT, JWT_SECRET, ADMIN_TOKEN, token, token.split(".")[2], USER):
        assert canary not in printed, canary
