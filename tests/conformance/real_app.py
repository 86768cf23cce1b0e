"""An app on the real SDK: a Node process that a test scripts and watches."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from .timeline import Record, Timeline

NODE_PROJECT = Path(__file__).parent / "node"
START_S = 20.0
Step = dict[str, Any]


def handler(name: str) -> dict[str, str]:
    """An argument of a step: a function that reports each of its calls under ``name``."""
    return {"$handler": name}


def on(method: str, name: str, *before: Any, after: Sequence[Any] = ()) -> Step:
    """The step that registers a handler with the event manager of the SDK."""
    return {"call": f"events.{method}", "args": [*before, handler(name), *after]}


@attrs.define(eq=False)
class RealApp:
    """One Node process with the real SDK, for as many tests as like to use it.

    Its events are read by whichever test uses it now (``watch``); ``seen`` holds those of that
    test. Session ids are ``<user>-<package>``, so tests with users of their own do not meet.
    """

    package: str
    api_key: str
    log: Path
    port: int = attrs.field(default=0, init=False)
    seen: Timeline = attrs.field(factory=Timeline, init=False)
    process: subprocess.Popen[bytes] = attrs.field(init=False)
    _events_fd: int = attrs.field(init=False)
    _rest: bytes = attrs.field(default=b"", init=False)
    _ids: itertools.count[int] = attrs.field(factory=itertools.count, init=False)

    def start(self) -> None:
        """Start the process and wait until it listens for webhooks."""
        self._events_fd, write_fd = os.pipe()
        environ = os.environ | {
            "PACKAGE": self.package,
            "API_KEY": self.api_key,
            "PORT": str(self.port),
            "EVENTS_FD": str(write_fd),
            "NODE_OPTIONS": f"--require {NODE_PROJECT / 'offline.cjs'}",
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["node", "app.mjs"],
                cwd=NODE_PROJECT,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(write_fd,),
            )
        os.close(write_fd)
        self.port = self._first_record()["port"]

    def _first_record(self) -> Record:
        while b"\n" not in self._rest:
            chunk = os.read(self._events_fd, 65_536)
            assert chunk, f"node ended at once; see {self.log}"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        record: Record = json.loads(line)
        return record

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

    # ---- for one test ----

    async def watch(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Collect events until cancelled. Earlier ones are thrown away first."""
        self.seen = Timeline()
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
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self.seen.add(decoded(json.loads(line)))

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

    async def become(self, package: str, api_key: str) -> None:
        """Present itself as another app from the next webhook on."""
        self.package = package
        await self.command("configure", packageName=package, apiKey=api_key)

    async def script(self, user: str, *steps: Step) -> None:
        """What ``onSession`` is to do for ``user``."""
        await self.command("script", user=user, steps=steps)

    async def run(self, user: str, *steps: Step) -> Any:
        """Carry out steps in the running session of ``user``; the value of the last one."""
        return await self.command("run", user=user, steps=steps)

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
        return [record["data"] for record in records]

    async def first_fired(self, user: str, name: str, **query: Any) -> Any:
        """The data of a handler's first call (or of call ``number``)."""
        record = await self.seen.first(
            event="fired", session=self.session_of(user), handler=name, **query
        )
        return record["data"]


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
