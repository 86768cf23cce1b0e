"""A peer's garbage ends at most its own connection: a healthy pair goes on through all of it."""

from __future__ import annotations

import os
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.glasses import Glasses
from mentra_trio.testing.world import World

PACKAGE = "com.t.healthy"


def upgrade(path: str, *headers: str) -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: server:8002",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True) -> bytes:
    head = bytes([(0x80 if fin else 0) | opcode])
    length = len(payload)
    bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", length)
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", length)
    return head + (b"\x00\x00\x00\x00" if masked else b"") + payload


@attrs.define
class Healthy:
    """Glasses and an app that must never notice anything."""

    world: World
    glasses: Glasses
    session: AppSession
    _rounds: int = 0

    async def check(self) -> None:
        """One whole round trip: speech in, text on the glasses."""
        self._rounds += 1
        text = f"round {self._rounds}"
        await self.glasses.say(text)
        with trio.fail_after(5):
            await self.glasses.until_shown(text)
        assert self.world.state(PACKAGE) == "running"
        assert self.world.telemetry.crashes == []


@asynccontextmanager
async def healthy(world: World) -> AsyncGenerator[Healthy]:
    app = App(PACKAGE, api_key="a healthy key")

    @app.session
    def begin(session: AppSession) -> None:
        session.on_transcription(lambda said: session.show_text(said.text))

    process = await world.add(app)
    async with world.glasses() as glasses:
        await glasses.start_app(PACKAGE)
        session = await process.server.next_session()
        await wait_all_tasks_blocked()
        pair = Healthy(world, glasses, session)
        await pair.check()
        yield pair
        await pair.check()


Attack = Callable[[World], Awaitable[None]]


async def send_and_linger(world: World, *pieces: bytes, pause: float = 0.2) -> bytes:
    """Send ``pieces``, reading all the while; give up after a minute of virtual time."""
    stream = await world.network.dial("server", 8002, origin="attacker")
    seen = bytearray()

    async def read() -> None:
        while data := await stream.receive_some():
            seen.extend(data)

    try:
        with trio.move_on_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                for piece in pieces:
                    await stream.send_all(piece)
                    await trio.sleep(pause)
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # being thrown out is what an attacker must expect
    finally:
        await trio.aclose_forcefully(stream)
    return bytes(seen)


def glasses_upgrade(world: World, user: str = "attacker@x.org") -> bytes:
    return upgrade("/glasses-ws", f"Authorization: Bearer {world.server.token(user)}")


async def http_garbage(world: World) -> None:
    for piece in (os.urandom(400), b"\r\n" * 2000, b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01" * 50):
        await send_and_linger(world, piece)


async def huge_head(world: World) -> None:
    await send_and_linger(world, b"GET / HTTP/1.1\r\nHost: x\r\n", b"A: " + b"b" * 200_000)


async def slow_head(world: World) -> None:
    await send_and_linger(world, *(bytes([c]) for c in b"GET / HTTP/1.1"), pause=5)


async def wrong_websocket_handshakes(world: World) -> None:
    good = glasses_upgrade(world)
    await send_and_linger(world, good.replace(b"Version: 13", b"Version: 99"))
    await send_and_linger(world, good.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"))
    await send_and_linger(world, good.replace(b"GET", b"POST"))
    await send_and_linger(world, good[:60])


async def no_token(world: World) -> None:
    assert b" 401 " in await send_and_linger(world, upgrade("/glasses-ws"))
    assert b" 404 " in await send_and_linger(world, upgrade("/somewhere-else"))


async def json_garbage_as_glasses(world: World) -> None:
    texts = [b"{", b"[]", b"null", b'{"type":5}', b'{"type":"start_app"}', b"[" * 5000, b"\xff\xfe"]
    await send_and_linger(world, glasses_upgrade(world), *(frame(1, text) for text in texts))


async def protocol_errors(world: World) -> None:
    head = glasses_upgrade(world)
    await send_and_linger(world, head, frame(1, b"unmasked", masked=False))
    await send_and_linger(world, head, frame(3, b"reserved opcode"))
    await send_and_linger(world, head, b"\xf1\x80\x00\x00\x00\x00")
    await send_and_linger(world, head, frame(0, b"continuation of nothing"))
    await send_and_linger(world, head, frame(9, b"p" * 126))
    await send_and_linger(world, head, frame(8, b"\x00"))


async def ping_after_our_close(world: World) -> None:
    """The server closes (unknown app), and a ping comes before the peer's own close."""
    init = b'{"type":"tpa_connection_init","packageName":"com.no","sessionId":"x","apiKey":"y"}'
    await send_and_linger(world, upgrade("/app-ws"), frame(1, init), frame(9, b"p"), frame(9, b"p"))


async def oversize_and_ping_in_one_piece(world: World) -> None:
    head = glasses_upgrade(world)
    await send_and_linger(world, head, frame(1, b"a" * 1_100_000) + frame(9, b"p"))
    await send_and_linger(world, upgrade("/app-ws"), frame(1, b"a" * 5000) + frame(9, b"p"))


async def silence_before_the_init(world: World) -> None:
    began = trio.current_time()
    seen = await send_and_linger(world, upgrade("/app-ws"))
    assert trio.current_time() - began < 12
    assert struct.pack("!H", 1013) in seen


async def an_endless_fragmented_message(world: World) -> None:
    pieces = [frame(1, b"x" * 60_000, fin=False)] + [frame(0, b"x" * 60_000, fin=False)] * 30
    await send_and_linger(world, glasses_upgrade(world), *pieces, pause=0)


async def resets_at_every_moment(world: World) -> None:
    whole = glasses_upgrade(world) + frame(1, b'{"type":"ping"}') + frame(8, b"\x03\xe8")
    for cut_at in range(0, len(whole), 7):
        stream = await world.network.dial("server", 8002, origin="attacker")
        try:
            await stream.send_all(whole[:cut_at])
            await wait_all_tasks_blocked()
        except trio.BrokenResourceError:
            pass
        world.network.cut_host("attacker")
        await trio.aclose_forcefully(stream)


async def a_flood_of_commands(world: World) -> None:
    flood = frame(1, b'{"type":"start_app","packageName":"com.t.nobody"}') * 3000
    await send_and_linger(world, glasses_upgrade(world), flood)


async def a_reader_that_never_reads(world: World) -> None:
    """It asks for pongs and reads none of them; in the end it is thrown out."""
    stream = await world.network.dial("server", 8002, origin="attacker")
    try:
        with trio.move_on_after(300):
            await stream.send_all(glasses_upgrade(world))
            while True:
                await stream.send_all(frame(9, b"p" * 100) * 100)
                await trio.sleep(0.01)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        await trio.aclose_forcefully(stream)


ATTACKS: list[Attack] = [
    http_garbage,
    huge_head,
    slow_head,
    wrong_websocket_handshakes,
    no_token,
    json_garbage_as_glasses,
    protocol_errors,
    ping_after_our_close,
    oversize_and_ping_in_one_piece,
    silence_before_the_init,
    an_endless_fragmented_message,
    resets_at_every_moment,
    a_flood_of_commands,
    a_reader_that_never_reads,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_the_others_do_not_notice(attack: Attack, world: World) -> None:
    async with healthy(world) as pair:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attack, world)
            await trio.sleep(0.1)
            await pair.check()
        await pair.check()
        await trio.sleep(100)
