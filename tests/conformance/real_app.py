"""An app on the real SDK: a Node process that a test scripts and watches."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import httpx
import trio

from .timeline import Record, Timeline

NODE_PROJECT = Path(__file__).parent / "node"
START_S = 20.0
Step = dict[str, Any]


def handler(name: str) -> dict[str, str]:
    """An argument of a step: a function that reports each of its calls under ``name``."""
    return {"$handler": name}


def call(path: str, *args: Any, keep: str | None = None) -> Step:
    """The step that calls a method of the session; what it returns is kept for an undo."""
    step: Step = {"call": path, "args": args}
    return step if keep is None else step | {"as": keep}


def on(method: str, name: str, *before: Any, after: Sequence[Any] = ()) -> Step:
    """The step that registers a handler with the event manager of the SDK."""
    return {"call": f"events.{method}", "args": [*before, handler(name), *after]}


@attrs.define(eq=False)
class RealApp:
    """One app server with the real SDK, for as many tests as like to use it.

    It is one Node process at a time: a killed one can be followed by another at the same port,
    whose events come in behind those of the one before. They are read by whichever test uses it
    now (``watch``); ``seen`` holds those of that test. Session ids are ``<user>-<package>``, so
    tests with users of their own do not meet. ``environ`` is for its process.
    """

    package: str
    api_key: str
    log: Path
    environ: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)
    """Added to the environment of the process."""
    port: int = attrs.field(default=0, init=False)
    seen: Timeline = attrs.field(factory=Timeline, init=False)
    called: set[str] = attrs.field(factory=set, init=False)
    """What a test had its steps call, by the paths of the methods."""
    process: subprocess.Popen[bytes] = attrs.field(init=False)
    _events_fd: int = attrs.field(init=False)
    _write_fd: int = attrs.field(init=False)
    _scripts: dict[str, tuple[Step, ...]] = attrs.field(factory=dict, init=False)
    _rest: bytes = attrs.field(default=b"", init=False)
    _ids: itertools.count[int] = attrs.field(factory=itertools.count, init=False)

    def start(self) -> None:
        """Start the process and wait until it listens for webhooks."""
        self._events_fd, self._write_fd = os.pipe()
        self._spawn()
        self.port = self._first_record()["port"]

    def _spawn(self) -> None:
        environ = {
            **os.environ,
            "PACKAGE": self.package,
            "API_KEY": self.api_key,
            "PORT": str(self.port),
            "EVENTS_FD": str(self._write_fd),
            "SCRIPTS": json.dumps(self._scripts),
            "NODE_OPTIONS": f"--require {NODE_PROJECT / 'offline.cjs'}",
            **self.environ,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["node", "app.mjs"],
                cwd=NODE_PROJECT,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(self._write_fd,),
            )

    def _first_record(self) -> Record:
        found: list[Record] = []
        while not found:
            ready, _, _ = select.select([self._events_fd], [], [], START_S)
            assert ready, f"node does not listen; see {self.log}"
            found = self._take(os.read(self._events_fd, 65_536))
        return found[0]

    def _take(self, chunk: bytes | bytearray) -> list[Record]:
        """The records that ``chunk`` completes. A line that a kill cut off is none."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        records = []
        for line in lines:
            with contextlib.suppress(json.JSONDecodeError):
                records.append(decoded(json.loads(line)))
        return records

    @property
    def url(self) -> str:
        """Where the server finds its webhook."""
        return f"http://127.0.0.1:{self.port}"

    def session_of(self, user: str) -> str:
        """The session id of one of its users."""
        return f"{user}-{self.package}"

    def end(self) -> None:
        """End the process, at once if it does not end by itself."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._events_fd)
        os.close(self._write_fd)

    # ---- for one test ----

    async def watch(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Collect events until cancelled. Earlier ones are thrown away first."""
        self.seen = Timeline()
        self.called.clear()
        async with (
            trio.lowlevel.FdStream(os.dup(self._events_fd)) as stream,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._read, stream)
            await self.command("mark")
            self.seen.records.clear()
            task_status.started()

    async def _read(self, stream: trio.lowlevel.FdStream) -> None:
        async for chunk in stream:
            for record in self._take(chunk):
                self.seen.add(record)

    async def command(self, command: str, **fields: Any) -> Any:
        """Have the process do something, and return what came of it."""
        id_ = next(self._ids)
        assert self.process.stdin
        self.process.stdin.write(
            json.dumps({"id": id_, "command": command, **fields}).encode() + b"\n"
        )
        self.process.stdin.flush()
        done = await self.seen.first(event="done", id=id_, within_s=10)
        assert "error" not in done, done["error"]
        return done.get("value")

    async def go_down(self, how: signal.Signals) -> None:
        """Have the process end by a signal, and wait until it is gone."""
        self.process.send_signal(how)
        await self.gone()

    async def gone(self) -> int:
        """Wait until the process is gone; what it ended with."""
        code = await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)
        assert self.process.stdin
        self.process.stdin.close()  # not before: at its end the process ends by itself
        return code

    async def come_back(self) -> None:
        """Start another process in the place of the one that is gone, at the same port."""
        position = len(self.seen.records)
        self._spawn()
        await self.seen.first(event="listening", since=position, within_s=START_S)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The process does nothing while the block runs: its sockets stay open and silent."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    async def become(self, package: str, api_key: str) -> None:
        """Present itself as another app from the next webhook on."""
        self.package = package
        await self.command("configure", packageName=package, apiKey=api_key)

    async def script(self, user: str, *steps: Step) -> None:
        """What ``onSession`` is to do for ``user``, in this process and in later ones."""
        self._scripts[user] = steps
        self._note(steps)
        await self.command("script", user=user, steps=steps)

    async def run(self, user: str, *steps: Step) -> Any:
        """Carry out steps in the running session of ``user``; the value of the last one."""
        self._note(steps)
        return await self.command("run", user=user, steps=steps)

    def _note(self, steps: Sequence[Step]) -> None:
        done = (step.get("later", step) for step in steps)
        self.called.update(step["call"] for step in done if "call" in step)

    async def show(self, user: str, text: str) -> None:
        """Show a text wall on the glasses of ``user``."""
        await self.run(user, {"call": "layouts.showTextWall", "args": [text]})

    async def send_raw(self, user: str, *frames: str | bytes | dict[str, Any]) -> None:
        """Send frames over the socket of ``user``, past the SDK."""
        as_sent = [
            {"hex": frame.hex()}
            if isinstance(frame, bytes)
            else {"text": frame if isinstance(frame, str) else json.dumps(frame)}
            for frame in frames
        ]
        await self.command("raw", session=self.session_of(user), frames=as_sent)

    async def reset_socket(self, user: str) -> None:
        """Let the socket of ``user`` end in a TCP reset."""
        await self.command("reset", session=self.session_of(user))

    async def reached_by_settings(self, user: str) -> int:
        """How many sessions of ``user`` its ``/settings`` finds: those that it takes for alive."""
        body = {"userIdForSettings": user, "settings": []}
        answer = await self._post("/settings", body)
        updated: int = answer.json()["sessionsUpdated"]
        return updated

    async def call_webhook(self, user: str, websocket_url: str) -> int:
        """Ask for a session as a cloud does; the status of the answer, once ``onSession`` ran."""
        body = {
            "type": "session_request",
            "sessionId": self.session_of(user),
            "userId": user,
            "timestamp": "2026-01-01T00:00:00.000Z",
            "mentraOSWebsocketUrl": websocket_url,
            "augmentOSWebsocketUrl": websocket_url,
        }
        return (await self._post("/webhook", body)).status_code

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return await client.post(self.url + path, json=body)

    def stops(self, user: str) -> list[str]:
        """The reasons with which ``onStop`` ran for ``user``, in order."""
        return [record["reason"] for record in self.seen.all(event="stopped", user=user)]

    def inits(self, user: str) -> list[Record]:
        """The ``tpa_connection_init`` frames that were sent for ``user``, in order."""
        sent = self.seen.all(event="sent", session=self.session_of(user))
        return [one for one in sent if (one["message"] or {}).get("type") == "tpa_connection_init"]

    def sessions(self, user: str) -> int:
        """How often ``onSession`` ran for ``user``."""
        return self.seen.count(event="session", user=user)

    def webhooks(self, user: str, kind: str = "session_request") -> list[Record]:
        """The bodies of the webhooks that came for ``user``."""
        calls = self.seen.all(event="http", path="/webhook")
        bodies = [call["body"] for call in calls if call["body"]["userId"] == user]
        return [body for body in bodies if body["type"] == kind]

    async def running(self, user: str, *, number: int = 1) -> Record:
        """Wait until ``onSession`` has been carried out; what it saw in its first line."""
        await self.seen.first(event="ready", user=user, number=number, within_s=10)
        return self.seen.all(event="session", user=user)[number - 1]

    async def received(self, user: str, type_: str, **query: Any) -> Record:
        """The message of that type that came over the socket of ``user``."""
        record = await self.seen.first(
            event="received",
            session=self.session_of(user),
            message=lambda message: message is not None and message.get("type") == type_,
            **query,
        )
        message: Record = record["message"]
        return message

    def fired(self, user: str, name: str) -> list[Any]:
        """The data with which a handler was called, in order."""
        records = self.seen.all(event="fired", session=self.session_of(user), handler=name)
        return [record.get("data") for record in records]

    async def first_fired(self, user: str, name: str, **query: Any) -> Any:
        """The data of a handler's first call (or of call ``number``)."""
        record = await self.seen.first(
            event="fired", session=self.session_of(user), handler=name, **query
        )
        return record.get("data")


def decoded(record: Record) -> Record:
    """``record`` with the JSON of a text frame as ``message`` and a binary frame as ``bytes``."""
    if "hex" in record:
        return record | {"bytes": bytes.fromhex(record["hex"]), "message": None}
    if "text" in record:
        try:
            return record | {"message": json.loads(record["text"])}
        except json.JSONDecodeError:
            return record | {"message": None}
    return record
