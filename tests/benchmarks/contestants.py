"""The servers that are measured: ours, and two plain relays that do only the passing on."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from lean_socket import TIME_LIMIT_S, LeanSocket, frame

HERE = Path(__file__).parent
NODE_PROJECT = HERE.parent / "conformance" / "node"
SECRET = "a secret for benchmarks only, 32 bytes and more"
START_S = 20.0
PROBE_S, PROBES_MAX = 0.01, 500
READY = re.compile(r"ready on (http://[^\s/]+)")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Contestant:
    """A server process, pinned to the first core; the load runs on the others."""

    def __init__(self, name: str, command: list[str], folder: Path, **environ: str) -> None:
        self.name = name
        log = folder / f"{name.split()[0]}.log"
        self.process = subprocess.Popen(
            command,
            cwd=NODE_PROJECT if command[0] == "node" else None,
            env=os.environ | environ,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, {min(os.sched_getaffinity(0))})
        deadline = time.monotonic() + START_S
        while not (ready := READY.search(log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not start: {log.read_text()}")
            time.sleep(0.02)
        self.url = ready[1].replace("http", "ws", 1)

    def cpu_s(self) -> float:
        """Processor time that the process has used so far, in seconds."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def memory_bytes(self) -> int:
        """Memory that the process holds now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    def glasses(self, user: str) -> LeanSocket:
        """Connect the glasses of ``user``."""
        return LeanSocket(f"{self.url}/glasses?user={user}")

    def app(self, glasses: LeanSocket, user: str, package: str) -> LeanSocket:
        """Start an app for ``user`` and wait until events would reach it."""
        app = LeanSocket(f"{self.url}/app?user={user}&package={package}")
        probe(glasses, app)
        return app

    def end(self) -> None:
        """End the process."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


EVENT = frame(
    json.dumps({"type": "button_press", "buttonId": "main", "pressType": "short"}).encode()
)
RELAYED = b'"data_stream"'


def probe(glasses: LeanSocket, app: LeanSocket) -> None:
    """Events, one after the other, until one reaches the app."""
    app.socket.settimeout(PROBE_S)
    for _ in range(PROBES_MAX):
        glasses.send(EVENT)
        try:
            app.until(RELAYED)
        except TimeoutError:
            continue  # its subscription was not known yet
        app.socket.settimeout(TIME_LIMIT_S)
        return
    raise TimeoutError("no event reaches the app")


class MentraTrio(Contestant):
    """Our server with everything it does; apps are started by webhook as always."""

    def __init__(self, folder: Path, packages: list[str]) -> None:
        self.webhooks: queue.Queue[dict[str, Any]] = queue.Queue()
        self._endpoint = ThreadingHTTPServer(("127.0.0.1", 0), _webhook_handler(self.webhooks))
        threading.Thread(target=self._endpoint.serve_forever, daemon=True).start()
        data = folder / "data"
        command = [sys.executable, "-m", "mentra_trio"]
        environ = {"MENTRA_TRIO_JWT_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
        url = f"http://127.0.0.1:{self._endpoint.server_port}"
        for package in packages:
            add = [
                "apps",
                "add",
                package,
                "--type",
                "background",  # one user runs several of them
                "--url",
                url,
                "--api-key",
                "key",
                "--data-dir",
                str(data),
            ]
            subprocess.run(
                [*command, *add], env=os.environ | environ, check=True, stdout=subprocess.DEVNULL
            )
        serve = [*command, "serve", "--port", "0", "--data-dir", str(data)]
        super().__init__("mentra_trio", serve, folder, **environ)

    def glasses(self, user: str) -> LeanSocket:
        token = jwt.encode({"email": user}, SECRET, algorithm="HS256")
        glasses = LeanSocket(f"{self.url}/glasses-ws", {"Authorization": f"Bearer {token}"})
        glasses.until(b'"connection_ack"')
        return glasses

    def app(self, glasses: LeanSocket, user: str, package: str) -> LeanSocket:
        app = self.started_app(glasses, package)
        update = {"type": "subscription_update", "subscriptions": ["button_press"]}
        app.send(frame(json.dumps(update).encode()))
        probe(glasses, app)
        return app

    def started_app(self, glasses: LeanSocket, package: str) -> LeanSocket:
        """Start an app and wait for its ack."""
        start = {"type": "start_app", "packageName": package}
        glasses.send(frame(json.dumps(start).encode()))
        call = self.webhooks.get(timeout=START_S)
        app = LeanSocket(call["mentraOSWebsocketUrl"])
        init = {
            "type": "tpa_connection_init",
            "packageName": package,
            "sessionId": call["sessionId"],
            "apiKey": "key",
        }
        app.send(frame(json.dumps(init).encode()))
        app.until(b'"tpa_connection_ack"')
        return app

    def end(self) -> None:
        super().end()
        self._endpoint.shutdown()
        self._endpoint.server_close()


def _webhook_handler(calls: queue.Queue[dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if body["type"] == "session_request":
                calls.put(body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler


def open_contestants(folder: Path, packages: list[str]) -> list[Contestant]:
    """Start all that can run here. Node is left out, with a word, where it is not installed."""
    relay = [sys.executable, str(HERE / "relays" / "websockets_relay.py")]
    contestants = [
        MentraTrio(folder, packages),
        Contestant("websockets (asyncio)", relay, folder),
    ]
    if shutil.which("node") and (NODE_PROJECT / "node_modules" / "ws").exists():
        contestants.append(Contestant("ws (Node)", ["node", "relay.mjs"], folder))
    else:
        print("Node or its packages are not installed: the relay on ws is left out")
    return contestants
