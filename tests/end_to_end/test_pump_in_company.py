"""One task reads for all links: what becomes of everything else that lives beside it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import socket
import struct
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import trio
import trio.testing

import mentra_trio
from mentra_trio.clients.app import App
from mentra_trio.clients.app_session import AppSession
from mentra_trio.domain.facts import Crashed, Fact
from mentra_trio.sessions import user_phases
from mentra_trio.sessions.glasses_handlers import handle_glasses_frame
from mentra_trio.sessions.user_session import UserSession

pytestmark = [
    pytest.mark.real_sockets,
    pytest.mark.timeout(60),
    pytest.mark.skipif(not hasattr(select, "epoll"), reason="there is no pump"),
]

CLOSE = 8
PACKAGE = "com.t.busy"


def frame(payload: bytes, opcode: int = 1) -> bytes:
    size = len(payload)
    head = bytes([0x80 | opcode])
    head += bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return head + bytes(4) + payload


@attrs.define(eq=False)
class Flood:
    """Glasses in a thread of their own, which say something again and again, with no pause."""

    url: str
    token: str
    said: int = 0
    stop: threading.Event = attrs.field(factory=threading.Event)
    heard: bytes = b""
    connected: threading.Event = attrs.field(factory=threading.Event)

    async def until(self, fact: Callable[[Flood], bool]) -> None:
        """Look every few milliseconds whether something is so: a thread tells nobody."""
        while not fact(self):  # noqa: ASYNC110  what happens in the thread sets no Trio event
            await trio.sleep(0.005)

    def run(self) -> None:
        """Until it is told to stop or the server ends it; then all that is left is heard."""
        target = urlsplit(self.url)
        press = {"type": "button_press", "buttonId": "main", "pressType": "short"}
        message = frame(json.dumps(press).encode())
        with socket.create_connection((target.hostname, target.port), 20) as sock:
            sock.sendall(self._upgrade(target.netloc))
            self.heard = sock.recv(65_536)
            self.connected.set()
            try:
                while not self.stop.is_set():
                    sock.sendall(message)
                    self.said += 1
                    self.stop.wait(0.000_2)
                    sock.setblocking(False)
                    self.heard = (self.heard + _what_is_there(sock))[-10_000:]
                    sock.settimeout(20)
                    if self.ended:
                        break
                sock.sendall(frame(b"", CLOSE))
                while data := sock.recv(65_536):
                    self.heard = (self.heard + data)[-10_000:]
            except OSError:
                pass  # the server was cut off

    @property
    def ended(self) -> bool:
        """Whether the server has sent its close frame, which is the last of its frames."""
        return b"\x88" in self.heard[-130:]

    def _upgrade(self, host: str) -> bytes:
        lines = [
            "GET /glasses-ws HTTP/1.1",
            f"Host: {host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            f"Authorization: Bearer {self.token}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def _what_is_there(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65_536)
    except BlockingIOError:
        return b""


@asynccontextmanager
async def flooded(server: mentra_trio.Server, user: str = "busy@x.org") -> AsyncGenerator[Flood]:
    """The server under a flood while the block runs."""
    flood = Flood(server.url, server.token(user))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(trio.to_thread.run_sync, flood.run))
        await trio.to_thread.run_sync(flood.connected.wait)
        try:
            yield flood
        finally:
            flood.stop.set()


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Everything that is opened is closed again."""
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before


def config(driver: str = "pump", **settings: Any) -> mentra_trio.Config:
    return mentra_trio.Config(port=0, driver=driver, **settings)


# -- beside tasks of somebody else ----------------------------------------------------------------


async def echo(stream: trio.SocketStream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def calculate(rounds: list[int]) -> None:
    """Somebody who has always something to do, and lets others have their turn."""
    while True:
        sum(range(1_000))
        rounds.append(1)
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("driver", ["pump", "trio"])
@pytest.mark.parametrize("busy", [False, True])
async def test_others_go_on_under_a_flood(driver: str, *, busy: bool) -> None:
    """Their own server, their deadlines, their calculations; and every event arrives."""
    app, pressed, rounds = App(PACKAGE, api_key="a key"), list[int](), list[int]()

    @app.session
    def begin(session: AppSession) -> None:
        session.on_button_press(lambda press: pressed.append(1))

    async with (
        trio.open_nursery() as own,
        mentra_trio.open_server(config(driver)) as server,
        app.serve() as process,
    ):
        listeners = await own.start(trio.serve_tcp, echo, 0)
        await server.apps.add(PACKAGE, url=process.url, api_key=app.api_key)
        if busy:
            own.start_soon(calculate, rounds)
        async with flooded(server) as flood:
            assert (await server.start_app("busy@x.org", PACKAGE)).success
            stream = await trio.testing.open_stream_to_socket_listener(listeners[0])
            for number in range(50):
                await stream.send_all(b"%d" % number)
                assert await stream.receive_some() == b"%d" % number
                with trio.move_on_after(0.003) as soon:
                    await trio.sleep_forever()
                assert soon.cancelled_caught
            await stream.aclose()
            await flood.until(lambda it: it.said > 50 and bool(pressed))
            await flood.until(lambda it: not busy or len(rounds) > 50)
        own.cancel_scope.cancel()


async def test_a_system_without_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    async with mentra_trio.open_server(config("auto")) as server, flooded(server) as flood:
        await flood.until(lambda it: it.said > 100)
        assert [user.user for user in server.users() if user.connected] == ["busy@x.org"]
    assert flood.ended


async def test_servers_do_not_know_of_each_other() -> None:
    """Two in this run, and one in a run of its own in another thread."""
    elsewhere: list[int] = []

    async def other_run() -> None:
        async with mentra_trio.open_server(config()) as server, flooded(server) as flood:
            await trio.sleep(0.2)
            elsewhere.append(flood.said)

    async with (
        mentra_trio.open_server(config()) as one,
        mentra_trio.open_server(config()) as two,
        trio.open_nursery() as nursery,
        flooded(one) as first,
        flooded(two) as second,
    ):
        nursery.start_soon(trio.to_thread.run_sync, trio.run, other_run)
        await first.until(lambda it: bool(elsewhere) and it.said > 100 < second.said)
        assert len(one.users()) == len(two.users()) == 1
    assert elsewhere[0] > 0


def test_a_guest_of_asyncio() -> None:
    """A Trio run that another event loop hosts; the host goes on as well."""
    ticks: list[int] = []

    async def guest() -> int:
        settings = mentra_trio.Config(port=0)
        async with mentra_trio.open_server(settings) as server, flooded(server) as flood:
            await flood.until(lambda it: len(ticks) >= 50 and it.said >= 200)
        return flood.said

    async def host() -> int:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            run_sync_soon_not_threadsafe=loop.call_soon,
            done_callback=done.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )
        while not done.done():
            ticks.append(1)
            await asyncio.sleep(0.001)
        said: int = done.result().unwrap()
        return said

    assert asyncio.run(host()) >= 200


# -- how it ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("drain_s", [0.0, 5.0])
async def test_drained_under_a_flood_everybody_gets_a_close(drain_s: float) -> None:
    with nothing_left_open():
        async with (
            trio.open_nursery() as nursery,
            mentra_trio.open_server(config(drain_s=drain_s)) as server,
        ):
            floods = [Flood(server.url, server.token(f"u-{n}@x.org")) for n in range(3)]
            for flood in floods:
                nursery.start_soon(partial(trio.to_thread.run_sync, flood.run))
                await trio.to_thread.run_sync(flood.connected.wait)
            await trio.sleep(0.1)
        if drain_s:
            assert [flood.ended for flood in floods] == [True] * 3


@pytest.mark.parametrize("moment_ms", range(0, 60, 5))
async def test_cancelled_at_any_moment_under_a_flood(moment_ms: int) -> None:
    async def serve(task_status: trio.TaskStatus[Flood]) -> None:
        async with mentra_trio.open_server(config()) as server:
            task_status.started(Flood(server.url, server.token("u-1@x.org")))
            await trio.sleep_forever()

    with nothing_left_open():
        async with trio.open_nursery() as nursery, trio.open_nursery() as serving:
            flood = await serving.start(serve)
            nursery.start_soon(partial(trio.to_thread.run_sync, flood.run))
            await trio.to_thread.run_sync(flood.connected.wait)
            await trio.sleep(moment_ms / 1000)
            serving.cancel_scope.cancel()


@attrs.define(eq=False)
class Crashes:
    """A telemetry that keeps what has crashed."""

    all: list[Crashed] = attrs.field(factory=list)

    def emit(self, fact: Fact) -> None:
        if isinstance(fact, Crashed):
            self.all.append(fact)


async def test_a_crash_in_a_call_of_the_pump_ends_one_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails_for_one(user: UserSession, message: str | bytes) -> None:
        if str(user.user) == "bad@x.org":
            raise ValueError("a bug")
        handle_glasses_frame(user, message)

    monkeypatch.setattr(user_phases, "handle_glasses_frame", fails_for_one)
    crashes = Crashes()
    async with (
        trio.open_nursery() as nursery,
        mentra_trio.open_server(config(), telemetry=crashes) as server,
        flooded(server, "good@x.org") as good,
    ):
        bad = Flood(server.url, server.token("bad@x.org"))
        nursery.start_soon(partial(trio.to_thread.run_sync, bad.run))
        await bad.until(lambda it: it.ended)
        before = good.said
        await good.until(lambda it: it.said >= before + 100)
        assert not good.ended
        assert [one.user for one in server.users() if one.connected] == ["good@x.org"]
    assert [(crash.bulkhead, str(crash.error)) for crash in crashes.all] == [
        ("user session", "a bug")
    ]
    crashes.all.clear()
