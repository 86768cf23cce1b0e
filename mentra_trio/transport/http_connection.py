"""HTTP/1.1 on one stream: requests out of it, answers into it, every wait bounded.

h11 parses and keeps the state; this module does the reading and writing, on any Trio stream.
Whatever the peer does wrong becomes a ``Refusal``, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

import attrs
import h11
import trio

from ..concurrency.closing import Closing
from ..concurrency.wind_down import wind_down
from ..domain.timings import WIND_DOWN_S, Limits

PIECE_BYTES: Final = 65_536
LINGER_BYTES: Final = 262_144
"""How much of an unwanted body is read and dropped, so that the connection can go on."""
PIECES_AT_ONCE: Final = 32
"""So many pieces of a body are handed out before others have their turn: one read may hold
thousands of tiny chunks."""

Headers = Iterable[tuple[bytes, bytes]]


@attrs.frozen
class Refusal:
    """Why a request is answered with an error by the port itself.

    ``retry_after_s`` is when it is worth trying again, in whole seconds; 0: nothing is said of it.
    """

    status: int
    problem: str
    retry_after_s: int = 0


_NOT_HTTP: Final = Refusal(400, "the request is not valid HTTP/1.1")
_TLS_RECORD: Final = 0x16
_NOT_PLAIN: Final = Refusal(
    400, "TLS spoken to a plain port (the app SDK does this once per start; harmless)"
)
"""The SDK looks up permissions over https, whatever the server's address says."""
_TWO_LENGTHS: Final = Refusal(400, "a body has a length or is chunked, not both")
_MALFORMED: Final[Mapping[int, Refusal]] = MappingProxyType(
    {
        431: Refusal(431, "the request's head is too long"),
        501: Refusal(501, "only the transfer coding 'chunked' is understood"),
    }
)
"""What is said of a request that cannot be parsed, beside ``_NOT_HTTP``. The parser's own words
quote the peer's bytes, keys and tokens among them: they are never repeated."""


@attrs.frozen(kw_only=True)
class Target:
    """The address in a request line."""

    path: str
    """Percent-decoded."""
    raw_path: bytes
    query: bytes


def split_target(target: bytes) -> Target:
    """The parts of a request target, be it ``/path?query`` or a whole ``http://...`` URL."""
    scheme, separator, rest = target.partition(b"://")
    if separator and scheme.lower() in (b"http", b"https"):
        target = b"/" + rest.partition(b"/")[2]
    raw_path, _, query = target.partition(b"?")
    path = unquote(raw_path.decode("ascii", "replace"))
    return Target(path=path, raw_path=raw_path, query=query)


def header_values(request: h11.Request, name: bytes) -> list[bytes]:
    """All values of one header; ``name`` in lower case."""
    return [value for key, value in request.headers if key == name]


def tokens(request: h11.Request, name: bytes) -> set[bytes]:
    """The comma-separated words of a header, in lower case."""
    values = b",".join(header_values(request, name))
    return {word.strip().lower() for word in values.split(b",")}


@attrs.define(eq=False)
class HandedOver:
    """A stream of which HTTP needs nothing any more, unless the upgrade is refused.

    It lives as long as the WebSocket, so there is no more to it than that takes.
    """

    stream: trio.abc.Stream
    limits: Limits
    _closing: Closing
    peer: str
    _unread: bytes = b""

    def take_unread(self) -> bytes:
        """What has come behind the upgrade's head; they are the taker's now."""
        unread, self._unread = self._unread, b""
        return unread

    async def refuse(self, status: int, body: bytes, headers: Headers) -> None:
        """Answer with an error after all; the connection ends after it."""
        http = HttpConnection(self.stream, self.limits, self._closing, self.peer)
        if await http.answer(status, body, headers):
            await http.linger()


class HttpConnection:
    """The HTTP side of one stream. One task at a time reads, one at a time writes."""

    def __init__(
        self, stream: trio.abc.Stream, limits: Limits, closing: Closing, peer: str
    ) -> None:
        self.stream = stream
        self.peer = peer
        self.limits = limits
        self.closing = closing
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._broken = False
        self._head_only = False
        self._speaks_tls: bool | None = None  # not known before the first byte
        self._pieces = 0
        # A connection that has not asked for anything yet is given less time than one that has.
        self._patience_s = limits.head_s

    async def next_request(self) -> h11.Request | Refusal | None:
        """The head of the next request; ``None`` when there will be none."""
        self._head_only = False
        if not self.has_unread and not await self._first_byte():
            return None
        with trio.move_on_after(self.limits.head_s):
            return await self._read_head()
        return Refusal(408, "the request's head took too long")

    async def _read_head(self) -> h11.Request | Refusal | None:
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA:
                if not await self.read_more():
                    return None
        except h11.RemoteProtocolError as error:
            if self._speaks_tls:
                return _NOT_PLAIN
            return _MALFORMED.get(error.error_status_hint, _NOT_HTTP)
        if not isinstance(event, h11.Request):
            return None
        self._head_only = event.method == b"HEAD"
        lengths = header_values(event, b"content-length")
        if lengths and header_values(event, b"transfer-encoding"):
            return _TWO_LENGTHS  # a proxy may have believed the other one (RFC 9112, 6.1)
        return event

    async def _first_byte(self) -> bool:
        """Wait for a request to begin; ``False`` on end, silence, or when the port closes."""
        with self.closing.idle(self._patience_s):
            return await self.read_more()
        return False

    async def read_more(self) -> bool:
        """Read once; ``False`` if the peer's side is at its end."""
        try:
            data = await self.stream.receive_some(PIECE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        self.take_in(bytes(data))
        return bool(data)

    def take_in(self, data: bytes) -> None:
        """What was read of the stream; nothing: the peer's side is at its end."""
        if self._speaks_tls is None and data:
            self._speaks_tls = data[0] == _TLS_RECORD
        self._h11.receive_data(data)

    @property
    def has_unread(self) -> bool:
        """Whether bytes wait that no request has claimed yet."""
        return bool(self._h11.trailing_data[0])

    def hand_over(self) -> HandedOver:
        """The stream with those bytes, for whoever goes on with it after an upgrade."""
        unread = self._h11.trailing_data[0]
        return HandedOver(self.stream, self.limits, self.closing, self.peer, unread)

    @property
    def response_begun(self) -> bool:
        """Whether a final status line was made."""
        return self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE)

    @property
    def answered(self) -> bool:
        """Whether the response is complete."""
        return self._h11.our_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED) and not self._broken

    @property
    def body_unread(self) -> bool:
        """Whether the peer has more of this request's body to send."""
        return self._h11.their_state is h11.SEND_BODY

    @property
    def continue_expected(self) -> bool:
        """Whether the peer waits for ``100 Continue`` before it sends the body."""
        return self._h11.they_are_waiting_for_100_continue

    async def next_body_event(self) -> h11.Data | h11.EndOfMessage | Refusal | None:
        """The next piece of the body; ``None`` if the peer is gone."""
        if self.continue_expected and not await self.send(
            h11.InformationalResponse(status_code=100, headers=[])
        ):
            return None
        with trio.move_on_after(self.limits.body_s):
            self._pieces += 1
            if self._pieces % PIECES_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            return await self._read_body()
        return Refusal(408, "the request's body took too long")

    async def _read_body(self) -> h11.Data | h11.EndOfMessage | Refusal | None:
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA:
                if not await self.read_more():
                    return None
        except h11.RemoteProtocolError as error:
            return _MALFORMED.get(error.error_status_hint, _NOT_HTTP)
        return event if isinstance(event, h11.Data | h11.EndOfMessage) else None

    async def send(self, *events: h11.Event) -> bool:
        """Write events; ``False`` if the peer is gone or takes nothing for ``limits.send_s``.

        After ``False``, and after a cancelled call, half an event may be on the wire: the
        connection can only be closed.
        """
        data = b"".join(self._h11.send(event) or b"" for event in events)
        complete = not self._broken
        self._broken = True
        if complete:
            complete = await self._transmit(data)
        self._broken = not complete
        return complete

    async def _transmit(self, data: bytes) -> bool:
        view = memoryview(data)
        for start in range(0, len(view), PIECE_BYTES):
            with trio.move_on_after(self.limits.send_s) as stalled:
                try:
                    await self.stream.send_all(view[start : start + PIECE_BYTES])
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return False
            if stalled.cancelled_caught:
                return False
        return True

    async def answer(self, status: int, body: bytes = b"", headers: Headers = ()) -> bool:
        """Send a whole response and promise to close the connection after it."""
        if self.response_begun or self._broken:
            return False
        head = [
            *headers,
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        events: list[h11.Event] = [h11.Response(status_code=status, headers=head)]
        if body and not self._head_only:
            events.append(h11.Data(data=body))
        return await self.send(*events, h11.EndOfMessage())

    def next_cycle(self) -> bool:
        """Be ready for another request; ``False`` if the connection must end instead."""
        if self._broken or self.closing.is_set():
            return False
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._h11.start_next_cycle()
        self._patience_s = self.limits.idle_s
        return True

    async def linger(self) -> None:
        """Read and drop what still comes: a close with unread bytes makes TCP drop our answer.

        For a short time, and for no more bytes than a body may have.
        """
        left = max(LINGER_BYTES, self.limits.body_bytes)
        gone = (trio.BrokenResourceError, trio.ClosedResourceError)
        with wind_down(WIND_DOWN_S), suppress(*gone):
            if isinstance(self.stream, trio.abc.HalfCloseableStream):
                await self.stream.send_eof()
            while left > 0 and (data := await self.stream.receive_some(PIECE_BYTES)):
                left -= len(data)
