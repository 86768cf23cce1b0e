"""The real SDK and the simulated one behind one face, for scenarios that both go through."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import attrs
import httpx
import msgspec
import trio

from mentra_trio.testing import sdk_script as script
from mentra_trio.testing.app_server import SdkApp, SdkAppServer
from mentra_trio.testing.sdk_diary import Began, Stopped
from mentra_trio.testing.sdk_script import Script

from .real_app import RealApp, Step, handler

PACKAGE = "com.t.both"
API_KEY = "key of both"


class Side(Protocol):
    """One of the two."""

    http: httpx.AsyncClient

    @property
    def name(self) -> str:
        """``real`` or ``simulated``."""
        ...

    @property
    def url(self) -> str:
        """Where its webhook is."""
        ...

    async def prepare(self, user: str, what: Script) -> None:
        """Have ``user`` served by that script from now on."""
        ...

    async def carry_out(self, user: str, steps: Sequence[script.Step]) -> None:
        """Have the author's code do more in the running session of ``user``."""
        ...

    async def cut(self, user: str) -> None:
        """Let the socket of ``user`` end in a reset."""
        ...

    def stops(self, user: str) -> list[tuple[float, str]]:
        """When ``onStop`` ran (Trio time), and with which reasons."""
        ...


def session_of(user: str, package: str = PACKAGE) -> str:
    """The session id of ``user``."""
    return f"{user}-{package}"


@attrs.define(eq=False)
class RealSide:
    """The real SDK under Node."""

    app: RealApp
    http: httpx.AsyncClient
    name: str = attrs.field(default="real", init=False)
    _overriding: list[str] = attrs.field(factory=list, init=False)
    _trio_to_wall: float = attrs.field(
        factory=lambda: time.time() - trio.current_time(), init=False
    )

    @property
    def url(self) -> str:
        """Where its webhook is."""
        return self.app.url

    async def prepare(self, user: str, what: Script) -> None:
        """As ``Side`` says."""
        await self.app.script(user, *map(in_node, what.steps))
        if what.overrides_stop:
            self._overriding.append(user)
            await self.app.command("configure", keepSocketsOf=self._overriding)

    async def carry_out(self, user: str, steps: Sequence[script.Step]) -> None:
        """As ``Side`` says."""
        await self.app.seen.first(event="session", user=user)
        await self.app.run(user, *map(in_node, steps))

    async def cut(self, user: str) -> None:
        """As ``Side`` says."""
        await self.app.reset_socket(user)

    def stops(self, user: str) -> list[tuple[float, str]]:
        """As ``Side`` says."""
        found = self.app.seen.all(event="stopped", user=user)
        return [(one["at"] - self._trio_to_wall, one["reason"]) for one in found]


def in_node(step: script.Step) -> Step:
    """A step of a script in the words of ``node/app.mjs``."""
    match step:
        case script.Subscribe(stream):
            return {"call": "events.on", "args": [stream, handler(stream)], "as": stream}
        case script.Unsubscribe(stream):
            return {"undo": stream}
        case script.SwitchLanguage(language):
            args = [language, handler(language)]
            return {"call": "events.onTranscriptionForLanguage", "args": args}
        case script.Draw(text):
            return {"call": "layouts.showTextWall", "args": [text]}
        case script.Pause(seconds):
            return {"wait": seconds * 1000}
        case script.Throw(text):
            return {"throw": text}
        case script.Say(message):
            return {"call": "sendMessage", "args": [msgspec.to_builtins(message)]}
        case script.Disconnect(reason):
            options = {"releaseOwnership": True, "reason": reason} if reason else {}
            return {"call": "disconnect", "args": [options]}
    raise AssertionError(f"no such step in Node: {step}")


@attrs.define(eq=False)
class SimulatedSide:
    """``SdkAppServer`` on real sockets."""

    server: SdkAppServer
    scripts: dict[str, Script]
    http: httpx.AsyncClient
    package: str = PACKAGE
    name: str = attrs.field(default="simulated", init=False)

    @property
    def url(self) -> str:
        """Where its webhook is."""
        return self.server.url

    async def prepare(self, user: str, what: Script) -> None:
        """As ``Side`` says."""
        await trio.lowlevel.checkpoint()
        self.scripts[user] = what

    async def carry_out(self, user: str, steps: Sequence[script.Step]) -> None:
        """As ``Side`` says."""
        await self.server.diary.until(Began, session_of(user, self.package))
        session = self.server.session_of(user)
        for step in steps:
            await step.carry_out(session)

    async def cut(self, user: str) -> None:
        """As ``Side`` says."""
        await trio.lowlevel.checkpoint()
        self.server.session_of(user).cut()

    def stops(self, user: str) -> list[tuple[float, str]]:
        """As ``Side`` says."""
        found = self.server.diary.of(Stopped, session_of(user, self.package))
        return [(one.at, one.reason) for one in found]


@asynccontextmanager
async def simulated_side(http: httpx.AsyncClient) -> AsyncGenerator[SimulatedSide]:
    """The simulated SDK for as long as the block runs; then the SIGTERM of its process."""
    scripts: dict[str, Script] = {}
    async with SdkApp(PACKAGE, API_KEY, scripts=scripts).serve() as server:
        yield SimulatedSide(server, scripts, http)
    assert not server.crashes


def http_client() -> httpx.AsyncClient:
    """One for all calls: each would take the processor for longer than the SDK takes to answer."""
    unlimited = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx.AsyncClient(trust_env=False, timeout=30, limits=unlimited)


async def post(side: Side, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Call a route of an app server; status and JSON of the answer."""
    answer = await side.http.post(side.url + path, json=body)
    return answer.status_code, answer.json()


async def reached_by_settings(side: Side, user: str) -> Any:
    """How many sessions of ``user`` a side takes for alive."""
    _, body = await post(side, "/settings", {"userIdForSettings": user, "settings": []})
    return body["sessionsUpdated"]
