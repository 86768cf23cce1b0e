"""One session of a simulated app, as the class ``AppSession`` of SDK 2.1.29 behaves."""

from __future__ import annotations

import enum
import ssl
from collections.abc import Callable
from typing import Any, Final, Protocol

import attrs
import msgspec
import trio

from ..clients.dialing import NO_STATUS, Dial
from ..concurrency.oneshot import OneShot
from ..concurrency.race import race
from ..domain.close_reasons import CloseReason
from ..wire.codec import encode
from ..wire.from_app import AppMessage, OwnershipRelease, SubscriptionUpdate, TpaConnectionInit
from .sdk_diary import Closed, Dialled, Diary, Heard, OnSocket, Received, Sent
from .sdk_rules import (
    ATTEMPT_S,
    PERMANENT,
    RELEASE_S,
    SdkQuirks,
    after_close,
    delay_before,
    exhausted,
)
from .sdk_socket import Incoming, SdkSocket

ONE_MOMENT_S: Final = 0.001
"""Changes of the handlers within that time share a list, if they share one at all."""


class SessionHost(Protocol):
    """What a session needs of its app server."""

    package: str
    api_key: str
    quirks: SdkQuirks
    diary: Diary
    dial: Dial | None
    ssl_context: ssl.SSLContext | None

    def timestamp(self) -> str:
        """The wall clock, as the wire writes it."""
        ...

    def lost(self, session: SdkSession, reason: str) -> None:
        """The session is over for good: run ``onStop`` with ``reason``, forget the session."""
        ...


class _Attempt(enum.Enum):
    """What became of an attempt to connect."""

    ACKED = "acknowledged"
    SILENT = "no ack in time"
    OVER = "ended before that"


@attrs.define(eq=False)
class SdkSession:
    """A session from its webhook until it can do nothing any more.

    It is alive as long as it has a connection or is about to try for one. A session that is not
    may still be in the books of its app server: then it is a zombie.

    Attributes:
        user, session_id, url: as the webhook named them.
        heeded: whether the app server listens for its end. Not after an answer of 500.
        connected: whether the first ack came in time, once that is known.
        streams: how many handlers there are for each stream, in the order of registration.
    """

    user: str
    session_id: str
    url: str
    _host: SessionHost
    heeded: bool = attrs.field(default=True, init=False)
    connected: OneShot[bool] = attrs.field(factory=OneShot, init=False)
    streams: dict[str, int] = attrs.field(factory=dict, init=False)
    _life: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _nursery: trio.Nursery = attrs.field(init=False)
    _socket: SdkSocket | None = attrs.field(default=None, init=False)
    _sockets: int = attrs.field(default=0, init=False)
    _ack: trio.Event = attrs.field(factory=trio.Event, init=False)
    _attempts: int = attrs.field(default=0, init=False)
    _language: str | None = attrs.field(default=None, init=False)
    _list_is_due: bool = attrs.field(default=False, init=False)

    async def run(self) -> None:
        """Connect, and come back as often as the SDK does."""
        with self._life:
            async with trio.open_nursery() as self._nursery:
                attempt = await self._connect(to_its_end=False)
                self.connected.settle(attempt is _Attempt.ACKED)

    # --- what the author's code can do ---

    def add_handler(self, stream: str) -> None:
        """Register one more handler of ``stream``; the first one sends the list."""
        self.streams[stream] = self.streams.get(stream, 0) + 1
        if self.streams[stream] == 1:
            self._handlers_changed()

    def remove_handler(self, stream: str) -> None:
        """Remove a handler of ``stream``, if there is one; the last one sends the list."""
        count = self.streams.get(stream, 0)
        if count > 1:
            self.streams[stream] = count - 1
        elif count == 1:
            del self.streams[stream]
            self._handlers_changed()

    def switch_language(self, language: str) -> None:
        """Hear ``language`` instead of the one before: two lists, the first without either."""
        stream = f"transcription:{language}"
        if self._language is not None:
            self._leave_language(self._language)
        self._language = stream
        self.add_handler(stream)

    def _leave_language(self, stream: str) -> None:
        if self._host.quirks.transient_list:
            self.remove_handler(stream)
        else:
            self.streams.pop(stream, None)

    def say(self, message: AppMessage) -> bool:
        """Send ``message``; ``False`` if there is no open connection.

        An open connection need not be acknowledged.
        """
        if self._socket is None or not self._socket.is_open:
            return False
        session_id = self.session_id if message.session_id is None else message.session_id
        frame = encode(
            msgspec.structs.replace(
                message,
                package_name=self._host.package,
                session_id=session_id,
                timestamp=self._host.timestamp(),
            )
        )
        self._socket.say(frame)
        self._note(Sent, self._socket, message=msgspec.json.decode(frame))
        return True

    async def release(self, reason: str) -> None:
        """Release the ownership, and give that 100 ms; nothing without an open connection."""
        await trio.lowlevel.checkpoint()
        if self.say(OwnershipRelease(reason=reason)):
            await trio.sleep(RELEASE_S)

    # --- how it ends ---

    def disconnect(self) -> None:
        """Close the connection without a code and try for no other. Runs no ``onStop``."""
        if self._socket is not None and self._socket.is_open:
            self._note(Closed, self._socket, reason=CloseReason(NO_STATUS, ""), by_us=True)
        self._socket = None
        self._attempts = 0
        self._life.cancel("disconnected")

    def vanish(self) -> None:
        """End as the end of the process does: connections end without a close."""
        if self._socket is not None:
            self._socket.vanish()
        self._life.cancel("vanished")

    def cut(self) -> None:
        """Lose the connection, as in a network failure."""
        if self._socket is not None:
            self._socket.cut()

    @property
    def is_open(self) -> bool:
        """Whether it has an open connection, acknowledged or not."""
        return self._socket is not None and self._socket.is_open

    # --- the connection ---

    async def _connect(self, *, to_its_end: bool) -> _Attempt:
        """Open a connection; what came first: an ack, the end of 5 s, or of the connection.

        An ack over a later connection counts as well. The end of this one counts only if
        ``to_its_end``.
        """
        self._sockets += 1
        socket = self._socket = SdkSocket(
            number=self._sockets,
            url=self.url,
            dial=self._host.dial,
            ssl_context=self._host.ssl_context,
        )
        ack = self._ack
        self._note(Dialled, socket, url=self.url)
        self._nursery.start_soon(self._use, socket)
        with trio.move_on_after(ATTEMPT_S):
            await (race(ack.wait, socket.over.wait) if to_its_end else ack.wait())
            return _Attempt.ACKED if ack.is_set() else _Attempt.OVER
        return _Attempt.SILENT

    async def _use(self, socket: SdkSocket) -> None:
        reason = await socket.run(opened=self._introduce, received=self._receive)
        self._note(Closed, socket, reason=reason)
        after = after_close(reason, self._host.quirks)
        for stop in after.stops:
            self._tell_lost(stop)
        if after.returns:
            await self._come_back()

    def _introduce(self) -> None:
        host = self._host
        init = TpaConnectionInit(
            session_id=self.session_id, package_name=host.package, api_key=host.api_key
        )
        self.say(init)

    def _receive(self, message: Incoming) -> None:
        if self._socket is not None:
            self._note(Received, self._socket, message=message)
        if isinstance(message, bytes):
            self._hear("audio_chunk", message)
            return
        match message.get("type"):
            case "tpa_connection_ack":
                self._acknowledged()
            case "app_stopped":
                self._attempts = 0
            case "data_stream":
                self._hear(str(message.get("streamType")), message.get("data"))

    def _acknowledged(self) -> None:
        """Every attempt that still waits has its ack; the answer is the whole list."""
        self._ack.set()
        self._ack = trio.Event()
        if not self._host.quirks.late_ack_counts_not:
            self._attempts = 0
        self._send_list()

    def _hear(self, stream: str, data: Any) -> None:
        if stream in self.streams:
            at = trio.current_time()
            self._host.diary.note(
                Heard(at=at, session_id=self.session_id, stream=stream, data=data)
            )

    async def _come_back(self) -> None:
        """Wait and try once more; if that fails, ``_use`` is here again, two levels down.

        The count is looked at when an attempt fails *and* when its 5 s are over, whichever
        attempts there have been meanwhile.
        """
        delay = delay_before(self._attempts)
        if delay is None:
            self._tell_lost(PERMANENT)
            return
        self._attempts += 1
        await trio.sleep(delay)
        quirks = self._host.quirks
        attempt = await self._connect(to_its_end=not quirks.hasty_permanent)
        if attempt is _Attempt.ACKED:
            self._attempts = 0
        elif attempt is _Attempt.SILENT and not quirks.hung_attempt_waits:
            if self._socket is not None:
                self._socket.leave()
        elif attempt is _Attempt.SILENT and exhausted(self._attempts):
            self._tell_lost(PERMANENT)

    def _tell_lost(self, reason: str) -> None:
        if self.heeded:
            self._host.lost(self, reason)

    # --- subscriptions ---

    def _handlers_changed(self) -> None:
        if not self.is_open:
            return
        if self._host.quirks.list_per_change:
            self._send_list()
        elif not self._list_is_due:
            self._list_is_due = True
            self._nursery.start_soon(self._send_list_soon)

    async def _send_list_soon(self) -> None:
        await trio.sleep(ONE_MOMENT_S)
        self._list_is_due = False
        self._send_list()

    def _send_list(self) -> None:
        self.say(SubscriptionUpdate(subscriptions=list(self.streams)))

    def _note(self, kind: Callable[..., OnSocket], socket: SdkSocket, **fields: Any) -> None:
        at = trio.current_time()
        entry = kind(at=at, session_id=self.session_id, socket=socket.number, **fields)
        self._host.diary.note(entry)
