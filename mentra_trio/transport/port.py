"""The one door: everything that happens on an accepted stream, and the bulkhead around it."""

from __future__ import annotations

import json
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

import attrs
import h11
import trio

from ..concurrency.bulkhead import contain
from ..concurrency.race import race
from ..concurrency.watched import Watched
from ..concurrency.wind_down import wind_down
from ..domain.facts import ConnectionRefused, Crashed
from ..domain.pace import Pace
from ..domain.timings import CROWD_LASTS_S, WIND_DOWN_S, Limits
from ..ports import Telemetry
from .http_bridge import AsgiApp, run_app
from .http_connection import HttpConnection, Refusal
from .outbound import Outbound
from .tcp import peer_of, room_for_connections
from .upgrade import Upgrade, read_upgrade, wants_websocket

ENDPOINT: Final = "http"
_DRAINING: Final = Refusal(503, "the server is restarting", retry_after_s=1)
_MORE_HEADERS: Final[Mapping[int, tuple[tuple[bytes, bytes], ...]]] = {
    426: ((b"sec-websocket-version", b"13"), (b"upgrade", b"websocket")),
}


@attrs.define(eq=False)
class Port:
    """HTTP and WebSocket on one port: hands each accepted stream to whom it asks for.

    Attributes:
        app: answers plain requests.
        websockets: answers upgrades, by ``accept`` or ``reject``; the connection ends with it.
        closing: once set, requests under way are finished, idle connections end, and nothing
            new begins. WebSockets are let in at the pace of ``limits``.
        crowded_until: until then (Trio time) many are coming back at once, as far as is known.
        connections_max: so many at once; each one more is closed as soon as it is accepted.
    """

    app: AsgiApp
    websockets: Callable[[Upgrade], Awaitable[None]]
    limits: Limits
    telemetry: Telemetry
    connections_max: int = attrs.field(factory=room_for_connections, kw_only=True)
    crowded_until: Watched[float] = attrs.field(factory=lambda: Watched(0.0), kw_only=True)
    closing: trio.Event = attrs.field(factory=trio.Event, kw_only=True)
    _connections: int = attrs.field(default=0, init=False)
    _pace: Pace = attrs.field(init=False)
    _under_way: trio.Semaphore = attrs.field(init=False)
    """What is left of ``limits.upgrades_under_way``."""
    _outbound: Outbound = attrs.field(factory=Outbound, init=False)
    _answering: Watched[int] = attrs.field(factory=lambda: Watched(0), init=False)
    """Plain requests that are being answered."""

    @_under_way.default
    def _all_free(self) -> trio.Semaphore:
        return trio.Semaphore(self.limits.upgrades_under_way)

    @_pace.default
    def _fresh_pace(self) -> Pace:
        return Pace(
            per_s=self.limits.upgrades_per_s,
            burst=self.limits.upgrades_burst,
            wait_s=self.limits.upgrade_wait_s,
        )

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Own ``stream`` to its end. Whatever goes wrong here ends this connection and no other."""
        peer = peer_of(stream)
        self._connections += 1
        try:
            with contain(partial(self._crashed, peer)):
                if await self._lets_in(stream, peer):
                    await self._serve(HttpConnection(stream, self.limits, self.closing, peer))
        finally:
            self._connections -= 1
            with wind_down(WIND_DOWN_S):
                await trio.aclose_forcefully(stream)

    async def _lets_in(self, stream: trio.abc.Stream, peer: str) -> bool:
        if self._connections > self.connections_max:
            self._note(peer, "too many connections")
            return False
        return not isinstance(stream, trio.SSLStream) or await self._shake_hands(stream, peer)

    async def _shake_hands(self, stream: trio.SSLStream[trio.abc.Stream], peer: str) -> bool:
        problem = "the TLS handshake took too long"
        with trio.move_on_after(self.limits.head_s):
            try:
                await stream.do_handshake()
                return True
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                problem = "the TLS handshake failed"
        self._note(peer, problem)
        return False

    async def _serve(self, http: HttpConnection) -> None:
        while (request := await http.next_request()) is not None:
            if isinstance(request, Refusal):
                outcome: Refusal | bool = request
            elif wants_websocket(request):
                asked = await read_upgrade(http, request)
                outcome = asked if isinstance(asked, Refusal) else False
                if isinstance(asked, Upgrade):
                    outcome = await self._upgrade(asked)
            else:
                outcome = await self._answer(http, request)
            if isinstance(outcome, Refusal):
                await self._refuse(http, outcome)
            if outcome is not True:
                return

    async def _upgrade(self, upgrade: Upgrade) -> Refusal | bool:
        refusal = await self._turn()
        if refusal is not None:
            return refusal
        upgrade.under_way, upgrade.outbound = self._under_way, self._outbound
        try:
            await self.websockets(upgrade)
        finally:
            upgrade.opened()
        return False

    async def _turn(self) -> Refusal | None:
        """Wait for the turn of one more WebSocket; or why there is none.

        Plain requests need no turn: whoever wants to know how the server is learns it at once.
        """
        now = trio.current_time()
        wait = self._pace.wait(now)
        if wait > 0 or not self._under_way.value:
            self.crowded_until.set(now + wait + CROWD_LASTS_S)
        if not self._pace.admits(now):
            again = max(1, math.ceil(wait))
            return Refusal(503, "too many are connecting at once", retry_after_s=again)
        self._pace = self._pace.after(now)
        with trio.move_on_after(wait):
            await self.closing.wait()
        await race(self._under_way.acquire, self.closing.wait)
        return _DRAINING if self.closing.is_set() else None

    async def until_quiet(self) -> None:
        """Wait until no plain request is being answered. For the end, when none begins any more."""
        await self._answering.until(lambda requests: requests == 0)

    async def _answer(self, http: HttpConnection, request: h11.Request) -> Refusal | bool:
        outcome: Refusal | bool = Refusal(500, "an error inside the server")
        self._answering.set(self._answering.value + 1)
        try:
            with contain(partial(self._crashed, http.peer)):
                outcome = await run_app(http, request, self.app)
        finally:
            self._answering.set(self._answering.value - 1)
        return outcome

    def _crashed(self, peer: str, error: BaseException) -> None:
        self.telemetry.emit(Crashed(bulkhead="connection", who=peer, error=error))

    async def _refuse(self, http: HttpConnection, refusal: Refusal) -> None:
        if refusal.status != HTTPStatus.INTERNAL_SERVER_ERROR and refusal is not _DRAINING:
            self._note(http.peer, refusal.problem)
        code = HTTPStatus(refusal.status).name
        body = {"success": False, "code": code, "message": refusal.problem}
        headers = [(b"content-type", b"application/json"), *_MORE_HEADERS.get(refusal.status, ())]
        if refusal.retry_after_s:
            headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
        if await http.answer(refusal.status, json.dumps(body).encode(), headers):
            await http.linger()

    def _note(self, peer: str, problem: str) -> None:
        self.telemetry.emit(ConnectionRefused(endpoint=ENDPOINT, peer=peer, problem=problem))
