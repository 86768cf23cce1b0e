"""Plain HTTP from our side: one request on a connection of its own, and JSON both ways."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any, Final

import attrs
import h11
import msgspec
import trio

from .connecting import Dial, Target, connect
from .questions import RequestFailed
from .refusals import EXPLANATION_CHARACTERS_MAX, UpgradeRefused

ANSWER_BYTES_MAX: Final = 4_194_304
"""A longer answer is refused."""

ANSWER_S: Final = 10.0
"""How long an answer is awaited, from before the connection is made."""

READ_BYTES: Final = 65_536
BAD_GATEWAY: Final = 502

Headers = Sequence[tuple[str, str]]


@attrs.frozen(kw_only=True)
class HttpAnswer:
    """What was answered: the status, and the whole body."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is a good one."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            RequestFailed: it is none.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise RequestFailed("BAD_ANSWER", "cloud: the answer is not JSON") from None

    def failure(self) -> RequestFailed:
        """What a bad status means; with the ``code`` and the ``message`` of a JSON body."""
        code, text = f"HTTP_{self.status}", ""
        try:
            told = msgspec.json.decode(self.body, type=_Explanation)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            told = _Explanation()
        code = told.code or code
        text = " ".join((told.message or told.error or "").split())[:EXPLANATION_CHARACTERS_MAX]
        return RequestFailed(code, f"cloud: {text or f'answered {self.status}'}")


class _Explanation(msgspec.Struct):
    """A body that says why, as far as it is read."""

    code: str | None = None
    message: str | None = None
    error: str | None = None


async def call_http(
    method: str,
    url: str,
    *,
    headers: Headers = (),
    body: bytes = b"",
    dial: Dial | None = None,
    ssl_context: ssl.SSLContext | None = None,
    within_s: float = ANSWER_S,
) -> HttpAnswer:
    """Make one request, and return its answer, whatever the status. Redirects are not followed.

    Raises:
        RequestFailed: the URL cannot be used, nothing answers there, not in time, or no HTTP.
    """
    try:
        target = Target.of(url, "http", "https")
    except ValueError as error:
        raise RequestFailed("UNREACHABLE", f"app: {error}") from None
    answer = None
    try:
        with trio.move_on_after(within_s):
            stream = await connect(target, dial, ssl_context)
            try:
                answer = await _exchange(stream, _request(method, target, headers, body), body)
            finally:
                await trio.aclose_forcefully(stream)
    except (OSError, UpgradeRefused, trio.BrokenResourceError) as error:
        raise _unreachable(target, str(error) or "connection lost") from error
    except h11.ProtocolError:
        raise _unreachable(target, "the answer is no HTTP, or too long") from None
    if answer is None:
        raise RequestFailed("TIMEOUT", f"cloud: {target.authority}: no answer in {within_s:g} s")
    return answer


def _unreachable(target: Target, problem: str) -> RequestFailed:
    return RequestFailed("UNREACHABLE", f"cloud: {target.authority}: {problem}")


def _request(method: str, target: Target, headers: Headers, body: bytes) -> h11.Request:
    sent = [
        ("Host", target.authority),
        ("Connection", "close"),
        ("Content-Length", str(len(body))),
        *headers,
    ]
    return h11.Request(method=method, target=target.resource, headers=sent)


async def _exchange(stream: trio.abc.Stream, request: h11.Request, body: bytes) -> HttpAnswer:
    protocol = h11.Connection(h11.CLIENT)
    data = protocol.send(request) or b""
    data += (protocol.send(h11.Data(data=body)) or b"") if body else b""
    data += protocol.send(h11.EndOfMessage()) or b""
    await stream.send_all(data)
    status, received = BAD_GATEWAY, bytearray()
    while True:
        event = protocol.next_event()
        match event:
            case h11.NEED_DATA:
                protocol.receive_data(bytes(await stream.receive_some(READ_BYTES)))
            case h11.Response():
                status = event.status_code
            case h11.Data():
                received += event.data
                if len(received) > ANSWER_BYTES_MAX:
                    raise h11.RemoteProtocolError("the answer is too long")
            case h11.EndOfMessage():
                return HttpAnswer(status=status, body=bytes(received))
            case h11.ConnectionClosed():
                raise h11.RemoteProtocolError("the connection ended before the answer")


@attrs.frozen(kw_only=True)
class RestDoor:
    """The HTTP routes of a server, for one who has been let in.

    ``base`` is the URL before every path. ``bearer`` is what ``Authorization`` says.
    """

    base: str
    bearer: str = attrs.field(repr=False)
    dial: Dial | None = None
    ssl_context: ssl.SSLContext | None = None

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        bearer: str | None = None,
        within_s: float = ANSWER_S,
    ) -> Any:
        """The JSON with which ``path`` answers; ``bearer`` replaces the door's own.

        Raises:
            RequestFailed: the status was no good one; or as ``call_http``.
        """
        answer = await call_http(
            method,
            self.base + path,
            headers=[
                ("Authorization", f"Bearer {self.bearer if bearer is None else bearer}"),
                ("Content-Type", "application/json"),
            ],
            body=b"" if body is None else msgspec.json.encode(body),
            dial=self.dial,
            ssl_context=self.ssl_context,
            within_s=within_s,
        )
        if not answer.ok:
            raise answer.failure()
        return answer.json()


def field_of(answer: Any, name: str) -> Any:
    """One field of a JSON object that was answered.

    Raises:
        RequestFailed: the answer has no such field.
    """
    if not isinstance(answer, dict) or name not in answer:
        raise RequestFailed("BAD_ANSWER", f"cloud: the answer has no {name}")
    return answer[name]


def http_base(websocket_url: str) -> str:
    """Where the REST routes of a server are, from the URL of its WebSocket (protocol.md 1.4)."""
    base = "http" + websocket_url.removeprefix("ws")
    for path in ("/app-ws", "/ws/miniapp", "/glasses-ws", "/ws/client"):
        base = base.removesuffix(path)
    return base.rstrip("/")
