"""An app server that does everything right but for the flaws that a test gives it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import trio

from mentra_trio.clients.app_webhook import WebhookEndpoint
from mentra_trio.clients.dialing import ClientLink, UpgradeRefused, open_websocket, verbatim
from mentra_trio.clients.reconnecting import DELAYS_S, is_final
from mentra_trio.concurrency.oneshot import OneShot
from mentra_trio.domain.close_reasons import LINK_LOST, NOT_HERE_YET, RESTARTING, CloseReason
from mentra_trio.domain.errors import LinkClosed
from mentra_trio.domain.timings import Limits
from mentra_trio.testing.certification.cast import Ground
from mentra_trio.testing.household import virtual_environment
from mentra_trio.testing.network import MemoryNetwork
from mentra_trio.testing.recording import RecordingTelemetry
from mentra_trio.transport.port import Port
from mentra_trio.transport.upgrade import Upgrade

PACKAGE = "com.t.flawed"
API_KEY = "key of the flawed app"
STREAM = "transcription:en-US"
URL = "http://app:80"
KNOWN = {"tpa_connection_ack", "app_stopped", "data_stream", "device_state_update"}
SETTINGS = {"settings_update", "augmentos_settings_update"}


@attrs.define(eq=False)
class Life:
    """One session."""

    user: str
    session_id: str
    url: str
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    ready: OneShot[bool] = attrs.field(factory=OneShot)
    handlers: int = 0
    listed: bool = False
    link: ClientLink[str | bytes] | None = None


@attrs.define(eq=False)
class FlawedApp:
    """Shows what is said. ``flaws`` are named as the tests name them."""

    network: MemoryNetwork
    nursery: trio.Nursery
    flaws: frozenset[str]
    package: str = PACKAGE
    lives: dict[str, Life] = attrs.field(factory=dict)
    newest: list[Life] = attrs.field(factory=list)
    stopped: set[str] = attrs.field(factory=set)
    starts: int = 0
    stops: int = 0
    knows_everybody: bool = False

    def has(self, *flaws: str) -> bool:
        return bool(self.flaws & set(flaws))

    # --- what the endpoint calls ---

    @property
    def session_count(self) -> int:
        return len(self.lives)

    def settings_changed(self, user: str, settings: Sequence[Any]) -> int:
        return 0

    async def call_tool(self, tool_id: str, parameters: Any, user: str, timestamp: Any) -> None:
        await trio.lowlevel.checkpoint()

    def photo_came(self, result: object) -> bool:
        return False

    async def start(self, *, session_id: str, user: str, url: str) -> bool:
        self.starts += 1
        if session_id in self.stopped or (self.has("never forgets") and self.starts > 12):
            return False
        older = self.lives.get(session_id)
        if self.knows_everybody or (
            older is not None and self.has("trusts its link", "is gone for good")
        ):
            return True
        life = Life(user, session_id, url)
        if not self.has("notes a session late"):
            self.lives[session_id] = life
        if older is not None and not self.has("keeps the older", "supersedes late"):
            older.scope.cancel()
        self.nursery.start_soon(self.live, life)
        started = await life.ready.wait()
        self.lives[session_id] = life
        return started

    async def stop(self, *, session_id: str, reason: str) -> bool:
        await trio.lowlevel.checkpoint()
        self.stops += 1
        if self.has("never answers a stop"):
            await trio.sleep_forever()
        life = self.lives.pop(session_id, None)
        if life is None and self.has("breaks on a second stop"):
            self.stopped.add(session_id)
        if self.has("stays stopped"):
            self.stopped.add(session_id)
        spared = self.has("returns after every close") or (
            self.has("stops what is connected") and life is not None and life.link is None
        )
        if life is not None and not spared:
            life.scope.cancel()
        return not self.has("fails to stop")

    # --- a session ---

    async def live(self, life: Life) -> None:
        with life.scope:
            failures = 0
            while True:
                acked, reason = await self.attempt(life)
                failures = 0 if acked else failures + 1
                if not self.comes_back(acked, reason, failures):
                    break
                await trio.sleep(DELAYS_S[0] if acked else 1.0)
            if self.has("tries once more"):
                self.lives.pop(life.session_id, None)
                await trio.sleep(3.5)
                await self.attempt(life)
        life.ready.settle(False)
        if self.lives.get(life.session_id) is life and not self.has("is gone for good"):
            del self.lives[life.session_id]

    def comes_back(self, acked: bool, reason: CloseReason, failures: int) -> bool:
        if "User session ended" in reason.text and self.has("forgets no user"):
            return False
        if self.has("returns after every close"):
            return True
        if self.has("supersedes late") and reason.text == "Superseded":
            return True
        if not acked and self.has("starts but once"):
            return False
        if self.has("never returns", "is gone for good"):
            return False
        if reason == RESTARTING and self.has("takes 1012 for final"):
            return False
        if reason == NOT_HERE_YET and self.has("takes 1013 for final"):
            return False
        return not is_final(reason) and failures < 4

    async def attempt(self, life: Life) -> tuple[bool, CloseReason]:
        """One connection; whether it was accepted, and why it ended."""
        dial = self.network.dial_from("app")
        try:
            async with open_websocket(life.url, decode=verbatim, dial=dial) as link:
                acked = await self.introduce(life, link)
                reason = await self.serve(life, link) if acked else LINK_LOST
                return acked, link.close_reason or reason
        except (OSError, UpgradeRefused):
            return False, LINK_LOST

    async def introduce(self, life: Life, link: ClientLink[str | bytes]) -> bool:
        init = {"sessionId": life.session_id, "packageName": PACKAGE, "apiKey": API_KEY}
        if self.has("confuses sessions") and self.newest:
            init["sessionId"] = self.newest[0].session_id
        if self.has("leaves again"):
            await link.close(1000, "no")
        with suppress(LinkClosed):
            if not self.has("says nothing"):
                await self.say(link, "tpa_connection_init", **init)
            return await self.until_acked(life, link)
        return False

    def note_end(self, life: Life, reason: CloseReason) -> None:
        if "User session ended" in reason.text and self.has("forgets no user"):
            self.stopped.add(life.session_id)

    async def until_acked(self, life: Life, link: ClientLink[str | bytes]) -> bool:
        patience = 2.0 if self.has("is impatient") else 5.0
        if self.has("waits for ever"):
            patience = 1_000.0
        with trio.move_on_after(patience):
            while json.loads(await link.receive())["type"] != "tpa_connection_ack":
                pass
            return True
        life.ready.settle(False)
        if self.has("keeps what it gave up"):
            while True:
                await link.receive()
        life.scope.cancel()
        return False

    async def serve(self, life: Life, link: ClientLink[str | bytes]) -> CloseReason:
        life.link = link
        if self.has("leaves soon"):
            await link.close(1000, "enough")
        life.listed = False
        self.newest.append(life)
        first, life.handlers = not life.handlers, life.handlers + 1
        if not self.has("adds handlers again"):
            life.handlers = 1
        async with trio.open_nursery() as nursery:
            if first or not self.has("forgets its list"):
                nursery.start_soon(self.subscribe, life, link)
            reason = await self.read(life, link)
            nursery.cancel_scope.cancel("connection over")
        life.link = None
        self.note_end(life, reason)
        return reason

    async def subscribe(self, life: Life, link: ClientLink[str | bytes]) -> None:
        if self.has("is deaf until it has asked"):
            await trio.sleep(0.5)
        with suppress(LinkClosed):
            await self.say(link, "subscription_update", subscriptions=[STREAM])
        life.listed = True
        life.ready.settle(True)
        if self.has("goes dead") and len(self.newest) > 1:
            await trio.sleep(0.5)
            self.network.connections[-1].stall()

    async def read(self, life: Life, link: ClientLink[str | bytes]) -> CloseReason:
        idle = 10.0 if self.has("ends idle sessions") else 1_000.0
        while True:
            with trio.move_on_after(idle) as waiting:
                try:
                    await self.take(life, link, await link.receive())
                except LinkClosed as closed:
                    return closed.reason
            if waiting.cancelled_caught:
                await link.close(1000, "idle")
                return CloseReason(1000, "idle")

    async def take(self, life: Life, link: ClientLink[str | bytes], frame: str | bytes) -> None:
        try:
            message = json.loads(frame)
            kind, stream = message["type"], message.get("streamType")
        except (ValueError, TypeError, KeyError, AttributeError):
            kind, stream = "nonsense", None
        fatal = {"dies of nonsense": kind == "nonsense", "dies of settings": kind in SETTINGS}
        fatal["dies of news"] = isinstance(kind, str) and kind.startswith("brand")
        if any(self.has(flaw) for flaw, happens in fatal.items() if happens):
            life.scope.cancel()
            await trio.lowlevel.checkpoint()
        if stream != STREAM or (self.has("is deaf until it has asked") and not life.listed):
            return
        shown_by = self.newest[-1] if self.has("knows one user") else life
        for _ in range(life.handlers):
            layout = {"layoutType": "text_wall", "text": message["data"]["text"]}
            await self.say(shown_by.link or link, "display_event", view="main", layout=layout)
        if self.has("shows it to everybody"):
            for other in {one.link for one in self.newest if one.link} - {link}:
                await self.say(other, "display_event", view="main", layout=layout)

    async def say(self, link: ClientLink[str | bytes], type_: str, **fields: Any) -> None:
        await link.send(json.dumps({"type": type_, **fields}))


async def _no_websockets(upgrade: Upgrade) -> None:
    await upgrade.reject(404, b"{}")


def ground_on(network: MemoryNetwork, url: str = URL) -> Ground:
    """Where a certification on ``network`` takes place."""

    async def listen(host: str, port: int) -> Sequence[trio.abc.Listener[Any]]:
        await trio.lowlevel.checkpoint()
        return [network.listen(host, port)]

    return Ground(
        url=url,
        host="cloud",
        listen=listen,
        dial=network.dial_from("cloud"),
        environment=virtual_environment(),
    )


@asynccontextmanager
async def serving(network: MemoryNetwork, *flaws: str) -> AsyncGenerator[FlawedApp]:
    """An app with ``flaws`` at ``URL``, for as long as the block runs."""
    async with trio.open_nursery() as nursery:
        app = FlawedApp(network, nursery, frozenset(flaws))
        door = Port(WebhookEndpoint(app), _no_websockets, Limits(), RecordingTelemetry())
        listeners = [network.listen("app", 80)]
        await nursery.start(trio.serve_listeners, door.serve, listeners)
        yield app
        nursery.cancel_scope.cancel("test over")
