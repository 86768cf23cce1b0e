"""Calls to app servers: the one module that speaks HTTP as a client.

Every call is one request on one fresh connection. A pool would save little, because an app
answers its session webhook only when its own start is over, and a pool's slot is lost whenever
a request is cancelled on Trio. The request goes to ``httpcore``, below the client of httpx: of
an answer the status counts, and sometimes the body; that client also reads redirects and cookies.
"""

from __future__ import annotations

import functools
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import attrs
import httpcore
import httpx
import msgspec
import trio

from ..domain.errors import WebhookFailed, WebhookFailure
from ..ports import AppAnswer, AppCall, SessionCall, StopCall
from ..wire.webhook_bodies import SessionRequest, StopRequest
from .connecting import CheckedDial, Connections, Dial, open_connections

_HEADERS: Final = (
    (b"content-type", b"application/json"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"identity"),
    (b"user-agent", b"mentra-trio"),
    (b"connection", b"close"),
)
_TROUBLE: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    httpcore.ConnectionNotAvailable,
    httpcore.ProxyError,
)
"""Everything that ``httpcore`` raises."""
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
ANSWER_BYTES_MAX: Final = 1_048_576
"""Of a longer answer the rest is read and forgotten."""
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_BY_STATUS: Final = MappingProxyType(
    {
        404: WebhookFailure.GONE,
        410: WebhookFailure.GONE,
        502: WebhookFailure.UNAVAILABLE,
        503: WebhookFailure.UNAVAILABLE,
        504: WebhookFailure.UNAVAILABLE,
    }
)


@attrs.define(eq=False)
class HttpWebhooks:
    """Implements ``ports.Webhooks`` over HTTP.

    Redirects are not followed, proxies of the environment are not used.

    Attributes:
        allow_private_networks: may app URLs point at private addresses.
        connect_s: how long a connection may take: look-up, TCP and TLS together.
        read_s: how long the request may take to be written, and then the answer to come.
        dial: replaces look-up, check and connect; for networks in memory.
        ssl_context: replaces the trust store of certifi or ``SSL_CERT_FILE``.
    """

    allow_private_networks: bool = attrs.field(kw_only=True)
    connect_s: float = attrs.field(kw_only=True)
    read_s: float = attrs.field(kw_only=True)
    dial: Dial | None = attrs.field(default=None, kw_only=True)
    ssl_context: ssl.SSLContext | None = attrs.field(default=None, kw_only=True)

    async def start(self, call: SessionCall, *, delivered: Callable[[], None]) -> None:
        """See ``ports.Webhooks`` (protocol.md 1.5, 2.1)."""
        body = SessionRequest(
            session_id=call.session_id,
            user_id=call.user,
            timestamp=call.timestamp,
            mentraos_websocket_url=call.websocket_url,
            augmentos_websocket_url=call.websocket_url,
        )
        await self._post(call.url, msgspec.json.encode(body), delivered)

    async def stop(self, call: StopCall) -> None:
        """See ``ports.Webhooks`` (protocol.md 1.5)."""
        body = StopRequest(
            session_id=call.session_id,
            user_id=call.user,
            timestamp=call.timestamp,
            reason=call.reason,
        )
        await self._post(call.url, msgspec.json.encode(body), _nobody_waits)

    async def health(self, url: str) -> None:
        """See ``ports.Webhooks`` (protocol.md 1.5)."""
        exchange = await self._exchange("GET", app_url(url, "/health"), None, _nobody_waits)
        if exchange.status is None or _failure_of(exchange.status) is WebhookFailure.UNAVAILABLE:
            exchange.judge(_peer(app_url(url, "/health")))

    async def post(self, call: AppCall) -> AppAnswer:
        """See ``ports.Webhooks`` (protocol.md 1.5)."""
        target = app_url(call.url, call.path)
        exchange = await self._exchange(
            "POST",
            target,
            msgspec.json.encode(call.body),
            _nobody_waits,
            call.headers,
            call.answer_s,
        )
        if exchange.status is None:
            exchange.judge(_peer(target))
            raise AssertionError("without a status there is a reason")
        return AppAnswer(status=exchange.status, body=bytes(exchange.answer))

    async def _post(self, url: str, body: bytes, delivered: Callable[[], None]) -> None:
        target = app_url(url, "/webhook")
        exchange = await self._exchange("POST", target, body, delivered)
        exchange.judge(_peer(target))

    async def _exchange(
        self,
        method: str,
        target: httpx.URL,
        body: bytes | None,
        delivered: Callable[[], None],
        headers: Mapping[str, str] = _NO_HEADERS,
        read_s: float | None = None,
    ) -> _Exchange:
        dial = self.dial or self._checked_dial
        exchange = _Exchange(
            method=method,
            read_s=self.read_s if read_s is None else read_s,
            on_delivered=delivered,
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )
        context = self._trust if target.scheme == "https" else None
        async with open_connections(dial) as network:
            with trio.move_on_after(self.connect_s) as exchange.limit:
                await exchange.run(network, context, target, body)
        return exchange

    @functools.cached_property
    def _checked_dial(self) -> CheckedDial:
        """One for all calls: it bounds how many look-ups there are at once."""
        return CheckedDial(allow_private_networks=self.allow_private_networks)

    @functools.cached_property
    def _trust(self) -> ssl.SSLContext:
        """Made at the first TLS call: reading a trust store takes tens of milliseconds."""
        return self.ssl_context or httpx.create_ssl_context()


def app_url(base: str, path: str) -> httpx.URL:
    """The URL of ``path`` on the app server at ``base``.

    Raises:
        WebhookFailed: MISCONFIGURED; not http or https, no host, or credentials in it.
    """
    try:
        url = httpx.URL(base.rstrip("/") + path)
    except (httpx.InvalidURL, ValueError):
        raise _unusable("the app's URL is not one") from None
    if url.scheme not in {"http", "https"} or not _HOST.fullmatch(url.raw_host.decode()):
        raise _unusable("the app's URL must begin with http:// or https:// and a host")
    if not 0 < (url.port or _default_port(url)) < 65536:
        raise _unusable("the app's URL has an impossible port")
    if url.userinfo or url.query or url.fragment:
        raise _unusable("the app's URL must not contain credentials, '?' or '#'")
    return url


@attrs.define(eq=False, kw_only=True)
class _Exchange:
    """One request and what became of it; ``limit`` is pushed forward as it proceeds."""

    method: str
    read_s: float
    on_delivered: Callable[[], None]
    headers: Sequence[tuple[bytes, bytes]] = ()
    answer: bytearray = attrs.field(factory=bytearray, init=False)
    limit: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    connected: bool = attrs.field(default=False, init=False)
    delivered: bool = attrs.field(default=False, init=False)
    status: int | None = attrs.field(default=None, init=False)
    broken: bool = attrs.field(default=False, init=False)

    async def run(
        self,
        network: Connections,
        context: ssl.SSLContext | None,
        url: httpx.URL,
        body: bytes | None,
    ) -> None:
        """Send the request and read the answer, as far as both go."""
        pool = httpcore.AsyncConnectionPool(
            ssl_context=context, network_backend=network, max_connections=1
        )
        request = httpcore.Request(
            self.method,
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers=[
                (b"host", url.netloc),
                *_HEADERS,
                *self.headers,
                *([] if body is None else [(b"content-length", str(len(body)).encode())]),
            ],
            content=_Body(b"" if body is None else body),
            extensions={"trace": self._note},
        )
        try:
            async with pool:
                response = await pool.handle_async_request(request)
                self.status = response.status
                async for piece in response.aiter_stream():  # to its end, whatever is kept of it
                    self.answer += piece[: ANSWER_BYTES_MAX - len(self.answer)]
        except _TROUBLE:
            self.broken = True

    async def _note(self, event: str, _: object) -> None:
        """What the HTTP library tells as it proceeds."""
        if event == "http11.send_request_headers.started":
            self.connected = True
            self.limit.deadline = trio.current_time() + self.read_s
        elif event == "http11.send_request_body.complete":
            self.limit.deadline = trio.current_time() + self.read_s
            self.delivered = True
            self.on_delivered()
        await trio.lowlevel.checkpoint()

    def judge(self, peer: str) -> None:
        """Return if the answer was 2xx.

        Raises:
            WebhookFailed: in every other case.
        """
        if self.status is not None:
            if not 200 <= self.status < 300:
                raise self._failed(_failure_of(self.status), f"{peer} answered {self.status}")
        elif self.broken:
            lost = WebhookFailure.UNAVAILABLE if self.delivered else WebhookFailure.REFUSED
            raise self._failed(lost, f"{peer} broke the connection, or did not speak HTTP")
        else:
            what = "answer" if self.connected else "connection"
            raise self._failed(WebhookFailure.TIMEOUT, f"{peer}: no {what} in time")

    def _failed(self, failure: WebhookFailure, message: str) -> WebhookFailed:
        return WebhookFailed(failure, message, delivered=self.delivered)


@attrs.define(eq=False)
class _Body:
    """A request's body, in one piece. What ``httpcore`` makes of bytes is a generator, which
    nobody closes if the call is cancelled in the middle of it."""

    _data: bytes | None

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        data, self._data = self._data, None
        if data is None:
            raise StopAsyncIteration
        return data


def _failure_of(status: int) -> WebhookFailure:
    if 300 <= status < 500:  # a redirect, too: what answers there is not the app
        return _BY_STATUS.get(status, WebhookFailure.MISCONFIGURED)
    return _BY_STATUS.get(status, WebhookFailure.ERROR)


def _peer(url: httpx.URL) -> str:
    return f"{url.host}:{url.port or _default_port(url)}"


def _default_port(url: httpx.URL) -> int:
    return 443 if url.scheme == "https" else 80


def _unusable(message: str) -> WebhookFailed:
    return WebhookFailed(WebhookFailure.MISCONFIGURED, message, delivered=False)


def _nobody_waits() -> None:
    """Delivery of a stop webhook interests nobody."""
