"""Canaries: nothing secret that goes through a server shows in its log or its facts."""

from __future__ import annotations

import io

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.dialing import open_websocket, verbatim
from mentra_trio.telemetry.log_lines import LogLines, make_logger
from mentra_trio.testing.world import ADMIN_TOKEN, JWT_SECRET, USER, open_world

KEY = "canary-api-key-0123456789"
SAID = "canary words of the wearer"
TEXT = "canary text on the glasses"


async def test_no_canary_in_any_log_line(autojump_clock: MockClock) -> None:
    app = App("com.t.canary", api_key=KEY)

    @app.session
    async def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))
        await session.show_text(TEXT)

    log = io.StringIO()
    lines = LogLines(make_logger(log, "debug"), user_ids_as_given=False)
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
        for fact in world.telemetry.facts:
            lines.emit(fact)
            assert KEY not in repr(fact)
        token = world.server.token(USER)
    printed = log.getvalue()
    assert "subscriptions changed" in printed, "it is the whole log"
    for canary in (KEY, SAID, TEXT, JWT_SECRET, ADMIN_TOKEN, token, token.split(".")[2], USER):
        assert canary not in printed, canary
