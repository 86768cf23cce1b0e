"""From a request to an ASGI application and back, on any Trio stream.

The application runs in the connection's task. A peer that goes away, or breaks a limit, cancels
it: that is how Trio code expects to be told. Source: ASGI 3.0, HTTP spec 2.4.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Final

import h11
import trio

from ..concurrency.race import race
from ..concurrency.wind_down import wind_down
from ..domain.timings import WIND_DOWN_S
from .http_connection import LINGER_BYTES, HttpConnection, Refusal, header_values, split_target

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

_BODILESS: Final = frozenset({204, 304})


async def run_app(http: HttpConnection, request: h11.Request, app: AsgiApp) -> Refusal | bool:
    """Have ``app`` answer ``request``.

    Returns:
        Whether another request may follow on the connection; or why the request could not be
        taken, where no answer was begun.

    Raises:
        Whatever the application raises, grouped.
    """
    exchange = _Exchange(http, request)
    if exchange.declared_bytes > http.limits.body_bytes:
        return exchange.too_large()
    await exchange.run(app)
    if exchange.refusal is not None and not http.response_begun:
        return exchange.refusal
    if exchange.gone or not http.answered:
        return False
    await exchange.skip_body()
    if http.next_cycle():
        return True
    if http.body_unread:
        await http.linger()
    return False


class _Exchange:
    """One request and its response."""

    def __init__(self, http: HttpConnection, request: h11.Request) -> None:
        self.refusal: Refusal | None = None
        self.gone = False
        self._http = http
        self._request = request
        self._body_over = trio.Event()
        self._body_bytes = 0
        self._start: h11.Response | None = None
        self._headless = request.method == b"HEAD"
        self._body_declined = False
        self._scope = trio.CancelScope()

    @property
    def declared_bytes(self) -> int:
        """The body's size as announced; 0 where it is not."""
        values = header_values(self._request, b"content-length")
        return int(values[0]) if values else 0

    def too_large(self) -> Refusal:
        """The answer to a body above the limit."""
        return Refusal(413, f"a body has at most {self._http.limits.body_bytes} bytes")

    async def run(self, app: AsgiApp) -> None:
        """Run the application until it returns, or the peer makes that pointless."""
        with self._scope:
            await race(partial(app, self._asgi_scope(), self._receive, self._send), self._watch)

    def _asgi_scope(self) -> Message:
        target = split_target(self._request.target)
        secure = isinstance(self._http.stream, trio.SSLStream)
        host, _, port = self._http.peer.rpartition(":")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": self._request.http_version.decode("ascii"),
            "method": self._request.method.decode("ascii"),
            "scheme": "https" if secure else "http",
            "path": target.path,
            "raw_path": target.raw_path,
            "query_string": target.query,
            "root_path": "",
            "headers": list(self._request.headers),
            "client": (host, int(port)) if port.isdecimal() else None,
            "server": None,
            "state": {},
        }

    def _end(self, refusal: Refusal | None = None) -> None:
        self.gone = True
        self.refusal = refusal
        self._scope.cancel("the peer is gone" if refusal is None else refusal.problem)

    async def _receive(self) -> Message:
        if self._body_over.is_set():
            await trio.sleep_forever()  # the end of the peer cancels us
        event = await self._http.next_body_event()
        if isinstance(event, h11.Data):
            self._body_bytes += len(event.data)
            if self._body_bytes <= self._http.limits.body_bytes:
                return {"type": "http.request", "body": bytes(event.data), "more_body": True}
            event = self.too_large()
        if isinstance(event, h11.EndOfMessage):
            self._body_over.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        self._end(event)
        await trio.sleep_forever()
        raise AssertionError("unreachable")

    async def _watch(self) -> None:
        """Notice that the peer hangs up, as long as it has not sent another request already."""
        await self._body_over.wait()
        while not self._http.has_unread:
            if not await self._http.read_more():
                self._end()
                break
        await trio.sleep_forever()

    async def _send(self, message: Message) -> None:
        match message["type"]:
            case "http.response.start":
                self._start = self._response(message)
            case "http.response.body":
                await self._send_body(message.get("body", b""), message.get("more_body", False))

    def _response(self, message: Message) -> h11.Response:
        self._headless = self._headless or message["status"] in _BODILESS
        headers = [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]
        # Answered instead of "continue": what follows may be the body or another request.
        self._body_declined = self._http.continue_expected
        if self._body_declined or self._http.closing.is_set():
            headers.append((b"connection", b"close"))
        return h11.Response(status_code=message["status"], headers=headers)

    async def _send_body(self, body: bytes, more: bool) -> None:
        events: list[h11.Event] = []
        if self._start is not None:
            events.append(self._start)  # head and first piece leave together
            self._start = None
        if body and not self._headless:
            events.append(h11.Data(data=body))
        if not more:
            events.append(h11.EndOfMessage())
        if not await self._http.send(*events):
            self._end()
            await trio.lowlevel.checkpoint()

    async def skip_body(self) -> None:
        """Read what the application left of a small body, so that the connection can go on."""
        left = LINGER_BYTES
        if self._body_declined:
            return
        with wind_down(WIND_DOWN_S):
            while left > 0 and self._http.body_unread:
                event = await self._http.next_body_event()
                if not isinstance(event, h11.Data):
                    return
                left -= len(event.data)
