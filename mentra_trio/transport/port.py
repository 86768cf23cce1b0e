"""The one door: everything that happens on an accepted stream, and the bulkhead around it."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final

import attrs
import h11
import trio

from ..concurrency.bulkhead import contain
from ..concurrency.closing import Closing
from ..concurrency.race import race
from ..concurrency.watched import Watched
from ..concurrency.wind_down import wind_down
from ..domain.facts import ConnectionRefused, Crashed
from ..domain.pace import Pace
from ..domain.timings import CROWD_LASTS_S, WIND_DOWN_S, Limits
from ..ports import Telemetry
from ..wire.upgrade_head import read_upgrade_head
from .http_bridge import AsgiApp, run_app
from .http_connection import PIECE_BYTES, HandedOver, Headers, HttpConnection, Refusal
from .outbound import Outbound
from .plain_socket import PlainSocket
from .pump import Pump
from .tcp import peer_of, room_for_connections
from .upgrade import Upgrade, read_upgrade, upgrade_of, wants_websocket

ENDPOINT: Final = "http"
_DRAINING: Final = Refusal(503, "the server is restarting", retry_after_s=1)
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
ACCEPT_AGAIN_S: Final = 0.1
"""Between two attempts to accept a connection while the system has no room for one."""
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
        pump: reads for the WebSockets on plain sockets; ``None``: their sessions' tasks do. Whoever
            gives it has it running.
        connections_max: so many at once; each one more is closed as soon as it is accepted.
    """

    app: AsgiApp
    websockets: Callable[[Upgrade], Awaitable[None]]
    limits: Limits
    telemetry: Telemetry
    connections_max: int = attrs.field(factory=room_for_connections, kw_only=True)
    crowded_until: Watched[float] = attrs.field(factory=lambda: Watched(0.0), kw_only=True)
    closing: Closing = attrs.field(factory=Closing, kw_only=True)
    pump: Pump | None = attrs.field(default=None, kw_only=True)
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

    async def listen(
        self, listener: trio.abc.Listener[trio.abc.Stream], nursery: trio.Nursery
    ) -> None:
        """Serve in ``nursery`` whoever comes to ``listener``, which is closed at the end.

        Where there are too many open files, others are left waiting until some are closed.
        """
        async with listener:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    if error.errno not in _NO_ROOM:
                        raise
                    self._note("unknown", "too many open files")
                    await trio.sleep(ACCEPT_AGAIN_S)
                else:
                    nursery.start_soon(self.serve, stream, name="connection")

    async def serve(self, stream: trio.abc.Stream) -> None:
        """Own ``stream`` to its end. Whatever goes wrong here ends this connection and no other."""
        peer = peer_of(stream)
        self._connections += 1
        try:
            with contain(partial(self._crashed, peer)):
                upgrade = await self._until_upgrade(stream, peer)
                if upgrade is not None:
                    try:
                        await self.websockets(upgrade)
                    finally:
                        upgrade.opened()
        finally:
            self._connections -= 1
            if isinstance(stream, PlainSocket):
                stream.close()
            else:
                with wind_down(WIND_DOWN_S):
                    await trio.aclose_forcefully(stream)

    async def _until_upgrade(self, stream: trio.abc.Stream, peer: str) -> Upgrade | None:
        """Answer what is asked until it is a WebSocket that has its turn; ``None``: it is over.

        Nothing of this is there any more while the WebSocket is.
        """
        if not await self._lets_in(stream, peer):
            return None
        data = await self._first_bytes(stream)
        if not data:
            return None
        head = read_upgrade_head(data)
        if head is None:
            http = HttpConnection(stream, self.limits, self.closing, peer)
            http.take_in(data)
            return await self._converse(http)
        unread = HandedOver(stream, self.limits, self.closing, peer, data[head.size :])
        return await self._in_turn(upgrade_of(head, unread))

    async def _first_bytes(self, stream: trio.abc.Stream) -> bytes:
        """What the peer says first; empty on its end, silence, or when the port closes."""
        if self.closing.is_set():
            return b""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if isinstance(stream, PlainSocket):
                data = stream.receive_nowait(PIECE_BYTES)  # mostly it is there already
                if data is not None:
                    return data
            with self.closing.idle(self.limits.head_s):
                return bytes(await stream.receive_some(PIECE_BYTES))
        return b""

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

    async def _converse(self, http: HttpConnection) -> Upgrade | None:
        """Answer the requests that come, one after the other; as ``_until_upgrade``."""
        while (request := await http.next_request()) is not None:
            if isinstance(request, Refusal):
                outcome: Refusal | bool = request
            elif wants_websocket(request):
                asked = await read_upgrade(http, request)
                if isinstance(asked, Upgrade):
                    return await self._in_turn(asked)
                outcome = asked or False
            else:
                outcome = await self._answer(http, request)
            if isinstance(outcome, Refusal):
                await self._refuse(http, outcome)
            if outcome is not True:
                return None
        return None

    async def _in_turn(self, upgrade: Upgrade) -> Upgrade | None:
        """``upgrade``, as soon as it may be answered; ``None`` if it was refused."""
        refusal = await self._turn()
        if refusal is None:
            upgrade.under_way = self._under_way
            upgrade.outbound, upgrade.pump = self._outbound, self.pump
            return upgrade
        await upgrade.reject(refusal.status, *self._told(refusal, upgrade.peer))
        return None

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
        if wait > 0:
            with trio.move_on_after(wait):
                await self.closing.wait()
        if self.closing.is_set():
            return _DRAINING
        if self._under_way.value:
            self._under_way.acquire_nowait()
            return None
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
        body, headers = self._told(refusal, http.peer)
        head = [(b"content-type", b"application/json"), *headers]
        if await http.answer(refusal.status, body, head):
            await http.linger()

    def _told(self, refusal: Refusal, peer: str) -> tuple[bytes, Headers]:
        """The body and further headers of a refusal, which is noted."""
        if refusal.status != HTTPStatus.INTERNAL_SERVER_ERROR and refusal is not _DRAINING:
            self._note(peer, refusal.problem)
        code = HTTPStatus(refusal.status).name
        body = {"success": False, "code": code, "message": refusal.problem}
        headers = list(_MORE_HEADERS.get(refusal.status, ()))
        if refusal.retry_after_s:
            headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
        return json.dumps(body).encode(), headers

    def _note(self, peer: str, problem: str) -> None:
        self.telemetry.emit(ConnectionRefused(endpoint=ENDPOINT, peer=peer, problem=problem))
