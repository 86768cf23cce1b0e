"""Our server as a process, for measurements that need few connections: glasses and apps of Python.

Apps are started by webhook as always; the endpoint is a thread of this process.
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from lean_socket import LeanSocket, frame

SECRET = "a secret for benchmarks only, 32 bytes and more"
START_S = 20.0
READY = re.compile(r"ready on (http://[^\s/]+)")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class LeanServer:
    """A server process, pinned to the first core; the load runs on the others."""

    def __init__(
        self,
        folder: Path,
        packages: list[str],
        *,
        serving: tuple[str, ...] = ("-m", "mentra_trio", "serve"),
        of_others: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """``serving`` is the program; ``of_others`` are apps that somebody else runs, by package,
        with what ``apps add`` is told of each."""
        self.webhooks: queue.Queue[dict[str, Any]] = queue.Queue()
        self._endpoint = ThreadingHTTPServer(("127.0.0.1", 0), _webhook_handler(self.webhooks))
        threading.Thread(target=self._endpoint.serve_forever, daemon=True).start()
        data = ["--data-dir", str(folder / "data")]
        environ = os.environ | {"MENTRA_TRIO_JWT_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
        url = f"http://127.0.0.1:{self._endpoint.server_port}"
        told = dict.fromkeys(packages, ("--type", "background", "--url", url))
        for package, about in {**told, **(of_others or {})}.items():
            add = ["-m", "mentra_trio", "apps", "add", package, *about, "--api-key", "key", *data]
            subprocess.run(
                [sys.executable, *add], env=environ, check=True, stdout=subprocess.DEVNULL
            )
        log = folder / "server.log"
        self.process = subprocess.Popen(
            [sys.executable, *serving, "--port", "0", *data],
            env=environ,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, {min(os.sched_getaffinity(0))})
        deadline = time.monotonic() + START_S
        while not (ready := READY.search(log.read_text())):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {log.read_text()}")
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
        token = jwt.encode({"email": user}, SECRET, algorithm="HS256")
        glasses = LeanSocket(f"{self.url}/glasses-ws", {"Authorization": f"Bearer {token}"})
        glasses.until(b'"connection_ack"')
        return glasses

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
        """End the process and the endpoint."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
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
