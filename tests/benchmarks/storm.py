"""A storm: all apps lose their links in the same instant, and come back as the SDK does.

One server on one core, the others on the other cores. Tells how long it takes until all apps run
again, that no webhook was needed, how the server answered a probe meanwhile, how long it takes
to be told to end and to end, and how soon the next server on the same data listens.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from functools import partial
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlsplit

import attrs
import trio
from lean_server import READY, SECRET, LeanServer
from lean_socket import LeanSocket, frame

PACKAGE = "com.bench.storm"
DELAYS_S = (1.0, 2.0, 4.0)
"""Before each attempt of SDK 2.1.29, counted from the failure of the one before."""
PROBE_EVERY_S = 0.02
LIMIT_S = 30.0
PATIENT = {f"MENTRA_TRIO_HEARTBEAT_{who}_PONG_S": "600" for who in ("APP", "GLASSES")}
RESET = struct.pack("ii", 1, 0)


@attrs.define
class Storm:
    """What is seen from outside while the apps come back."""

    url: str
    back_at: list[float] = attrs.field(factory=list)
    refused: int = 0
    failed: int = 0

    async def come_back(self, path: str, init: bytes, began: float) -> None:
        """One app: as many attempts as the SDK makes."""
        for delay in DELAYS_S:
            await trio.sleep(delay)
            if await self._attempt(path, init):
                self.back_at.append(trio.current_time() - began)
                return
        self.failed += 1

    async def _attempt(self, path: str, init: bytes) -> bool:
        target = urlsplit(self.url)
        assert target.hostname
        assert target.port
        with trio.move_on_after(5):
            try:
                stream = await trio.open_tcp_stream(target.hostname, target.port)
                await stream.send_all(_head(path, target.netloc))
                answer = await _until(stream, b"\r\n\r\n")
                if not answer.startswith(b"HTTP/1.1 101"):
                    self.refused += answer.startswith(b"HTTP/1.1 503")
                    await trio.aclose_forcefully(stream)
                    return False
                await stream.send_all(init)
                await _until(stream, b'"tpa_connection_ack"', answer.partition(b"\r\n\r\n")[2])
                KEPT.append(stream)
                return True
            except (OSError, trio.BrokenResourceError):
                return False
        return False


KEPT: list[trio.SocketStream] = []
"""Links that are up again: closing them would be another storm."""


def _head(path: str, host: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ).encode()


async def _until(stream: trio.SocketStream, wanted: bytes, data: bytes = b"") -> bytes:
    while wanted not in data:
        chunk = await stream.receive_some(65_536)
        if not chunk:
            raise trio.BrokenResourceError("closed by the server")
        data += chunk
    return data


async def weather(url: str, paths: list[tuple[str, bytes]], everybody_gone: float) -> Storm:
    """Have everybody come back, and watch."""
    storm = Storm(url)
    began = trio.current_time() - (time.perf_counter() - everybody_gone)
    with trio.move_on_after(LIMIT_S):
        async with trio.open_nursery() as apps:
            for path, init in paths:
                apps.start_soon(storm.come_back, path, init, began)
    return storm


def probe(url: str, over: Event, results: SimpleQueue[float]) -> None:
    """Ask ``/livez`` again and again, in a process of its own; milliseconds of each answer."""
    while not over.is_set():
        began = time.perf_counter()
        urllib.request.urlopen(url.replace("ws", "http", 1) + "/livez", timeout=LIMIT_S).read()
        results.put((time.perf_counter() - began) * 1000)
        time.sleep(PROBE_EVERY_S)


def webhooks_sent(url: str) -> int:
    """How many session webhooks the server has sent so far."""
    page = urllib.request.urlopen(url.replace("ws", "http", 1) + "/metrics").read().decode()
    counts = re.findall(r'mentra_webhooks_total\{kind="session".*\} (\S+)', page)
    return round(sum(map(float, counts)))


def running_apps(server: LeanServer, number: int) -> tuple[list[LeanSocket], list[LeanSocket]]:
    """That many users with one running app each: glasses and apps."""
    glasses, apps = [], []
    for n in range(number):
        glasses.append(server.glasses(f"user{n}@bench.org"))
        apps.append(server.started_app(glasses[-1], PACKAGE))
    return glasses, apps


def paths_of(number: int) -> list[tuple[str, bytes]]:
    """What each app asks for when it comes back: path and init."""
    found = []
    for n in range(number):
        who = {"packageName": PACKAGE, "sessionId": f"user{n}@bench.org-{PACKAGE}", "apiKey": "key"}
        init = frame(json.dumps({"type": "tpa_connection_init", **who}).encode())
        found.append(("/app-ws", init))
    return found


def next_server(folder: Path) -> tuple[float, subprocess.Popen[bytes]]:
    """Seconds until a server on the same data listens."""
    command = [sys.executable, "-m", "mentra_trio", "serve", "--port", "0", "--data-dir"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, str(folder / "data")],
        env=os.environ | {"MENTRA_TRIO_JWT_SECRET": SECRET, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    while not READY.search(process.stdout.readline().decode()):
        pass
    return time.perf_counter() - began, process


def main() -> None:
    """Run, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apps", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= PATIENT  # nobody reads here until the storm is over, so nobody answers pings
        server = LeanServer(folder, [PACKAGE])
        if hasattr(os, "sched_setaffinity") and len(cores := os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(0, cores - {min(cores)})
        try:
            began = time.perf_counter()
            glasses, apps = running_apps(server, options.apps)
            print(f"{options.apps} apps started in {time.perf_counter() - began:.1f} s")
            report(server, apps, options.apps)
            memory = server.memory_bytes()
            print(f"memory of the server: {memory / options.apps / 1024:.0f} KiB for each user")
        finally:
            began = time.perf_counter()
            server.process.send_signal(signal.SIGTERM)
            for one in glasses:
                one.close()
            code = server.process.wait(timeout=60)
            print(f"told to end, it ended after {time.perf_counter() - began:.2f} s, exit {code}")
            server.end()
        seconds, process = next_server(folder)
        print(f"the next server listened after {seconds:.2f} s")
        process.terminate()
        process.wait(timeout=60)


def report(server: LeanServer, apps: list[LeanSocket], number: int) -> None:
    """The storm itself."""
    before = webhooks_sent(server.url)
    for app in apps:
        app.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    over = multiprocessing.Event()
    results: SimpleQueue[float] = multiprocessing.SimpleQueue()
    probing = multiprocessing.Process(target=probe, args=(server.url, over, results))
    probing.start()
    time.sleep(1)
    gone, cpu = time.perf_counter(), server.cpu_s()
    for app in apps:
        app.close()
    storm = trio.run(partial(weather, server.url, paths_of(number), gone))
    cpu = server.cpu_s() - cpu
    over.set()
    probing.join()
    probes = []
    while not results.empty():
        probes.append(results.get())
    probes.sort()
    late = sorted(storm.back_at)
    print(f"back: {len(late)} of {number}; lost for good: {storm.failed}; 503s: {storm.refused}")
    if late:
        print(f"half were back after {late[len(late) // 2]:.2f} s, all after {late[-1]:.2f} s")
    print(f"processor time of the server: {cpu / number * 1000:.2f} ms for each")
    p99 = probes[int(len(probes) * 0.99)]
    median = statistics.median(probes)
    print(f"/livez meanwhile: median {median:.0f} ms, p99 {p99:.0f} ms, worst {probes[-1]:.0f} ms")
    print(f"webhooks sent because of it: {webhooks_sent(server.url) - before}")


if __name__ == "__main__":
    main()
