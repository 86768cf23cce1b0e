"""``mentra-trio serve`` as a process of its own, and its other commands."""

from __future__ import annotations

import json
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import attrs
import httpx
import jwt
import trio

START_S = 20.0
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: to load who vouches for whom would cost each of them 50 ms."""
JWT_SECRET = "a secret for conformance checks, 32 bytes and more"
ADMIN_TOKEN = "an admin token for conformance checks"
READY = re.compile(r"ready on (http://[^\s/]+)")
COMMAND = (sys.executable, "-m", "mentra_trio")


@attrs.define(eq=False)
class RunningServer:
    """One server process at a time, with a data folder of its own.

    ``settings`` are given with ``--set``. A server that is started again listens at the address
    of the one before.
    """

    folder: Path
    settings: tuple[str, ...] = ()
    url: str = attrs.field(default="", init=False)
    process: subprocess.Popen[bytes] = attrs.field(init=False)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / "server.log"

    @property
    def websocket_url(self) -> str:
        """The root of its WebSocket addresses."""
        return self.url.replace("http", "ws", 1)

    @property
    def _environ(self) -> dict[str, str]:
        return {
            "MENTRA_TRIO_JWT_SECRET": JWT_SECRET,
            "MENTRA_TRIO_ADMIN_TOKEN": ADMIN_TOKEN,
            "PATH": "/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
        }

    def start(self) -> None:
        """Start it and wait for the ready line, which names the address."""
        settings = [word for setting in self.settings for word in ("--set", setting)]
        port = self.url.rpartition(":")[2] or "0"
        said = len(self.log.read_text()) if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", "--port", port, "--data-dir", str(self.folder), *settings],
                env=self._environ,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_S
        while not (ready := READY.search(self.log.read_text(), said)):
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            assert time.monotonic() < deadline, f"no ready line: {self.log.read_text()[-4000:]}"
            time.sleep(0.02)
        self.url = ready[1]

    async def start_again(self) -> None:
        """As ``start``, without stopping the event loop."""
        await trio.to_thread.run_sync(self.start)

    def kill(self) -> None:
        """End it with SIGKILL: it gets no chance to write or say anything."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ask it to end and check that it does so as it promises: drained, with exit code 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"SIGTERM did not end it: {self.log.read_text()[-4000:]}"
            ) from None
        log = self.log.read_text()
        assert code == 0, log[-4000:]
        assert "Traceback" not in log, log[log.index("Traceback") - 1000 :][:6000]

    def command(self, *args: str) -> str:
        """Run another command on the same data folder; its stdout."""
        done = subprocess.run(
            [*COMMAND, *args, "--data-dir", str(self.folder)],
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add_app(
        self,
        package: str,
        *,
        url: str,
        api_key: str,
        permissions: Iterable[str] = ("ALL",),
        kind: str = "standard",
    ) -> None:
        """Register an app, as an operator does."""
        given = [word for name in permissions for word in ("--permission", name)]
        key = ["--api-key", api_key]
        self.command("apps", "add", package, "--url", url, *key, "--type", kind, *given)

    async def add_app_later(
        self, package: str, *, url: str, api_key: str, kind: str = "standard"
    ) -> None:
        """Register an app, with every permission, without stopping the event loop."""
        await trio.to_thread.run_sync(
            lambda: self.add_app(package, url=url, api_key=api_key, kind=kind)
        )

    def token(self, user: str) -> str:
        """A core token, as the account service would mint it."""
        return jwt.encode({"sub": user, "email": user}, JWT_SECRET, algorithm="HS256")

    # ---- HTTP ----

    async def post(self, path: str, user: str, body: object = None) -> httpx.Response:
        """Call a route of the phone."""
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=20) as client:
            return await client.post(self.url + path, headers=headers, json=body)

    async def get(self, path: str, user: str) -> httpx.Response:
        """Call a route of the phone that changes nothing."""
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=20) as client:
            return await client.get(self.url + path, headers=headers)

    async def journal(self, user: str) -> list[dict[str, Any]]:
        """What the server has noted of a user, newest last."""
        path = f"/api/admin/users/{quote(user)}/journal?limit=200"
        answer = await self._admin(path)
        assert answer.status_code == 200, answer.text
        facts: list[dict[str, Any]] = answer.json()["facts"]
        return facts

    async def _admin(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=20) as client:
            return await client.get(self.url + path, headers=headers)

    async def user(self, user: str) -> dict[str, Any] | None:
        """What the admin routes say of a user; ``None`` if there is no such session."""
        answer = await self._admin(f"/api/admin/users/{quote(user)}")
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def app(self, user: str, package: str) -> dict[str, Any] | None:
        """What the admin routes say of one app of a user."""
        found = await self.user(user) or {"apps": []}
        return next((app for app in found["apps"] if app["packageName"] == package), None)

    async def upgrade_refusal(
        self, path: str, headers: dict[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """Ask for a WebSocket that is to be refused: status and JSON body of the answer."""
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        async with httpx.AsyncClient(trust_env=False, verify=NO_TLS, timeout=10) as client:
            answer = await client.get(self.url + path, headers=upgrade | headers)
        return answer.status_code, json.loads(answer.text or "{}")
