"""An app server written in Python: what ``@mentra/sdk`` is for Node, on Trio."""

from __future__ import annotations

import inspect
import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, TypeVar

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..domain.close_reasons import CloseReason
from ..domain.facts import Crashed, Fact
from ..wire import to_app
from .app_connection import ACK_S, AppConnection
from .app_port import answering, listening
from .app_session import AppSession
from .app_webhook import WebhookEndpoint
from .camera import Photo
from .dialing import Dial
from .http_calls import RestDoor, http_base
from .photo_upload import PhotoFailure
from .reconnecting import Comeback, is_final
from .tools import TOOL_S, ToolCall, ToolFailed

log: Final = logging.getLogger(__name__)

SessionHandler = Callable[[AppSession], Awaitable[object] | None]
StopHandler = Callable[[AppSession, str], Awaitable[object] | None]
ToolHandler = Callable[[ToolCall], Awaitable[str | None] | str | None]
S = TypeVar("S", bound=SessionHandler)
E = TypeVar("E", bound=StopHandler)
T = TypeVar("T", bound=ToolHandler)

RELEASE_S: Final = 0.1
"""Between telling that a session moves on and ending it (protocol.md 2.10)."""

STOP_S: Final = 5.0
"""How long the author's ``on_stop`` may take."""


@attrs.define(eq=False)
class App:
    """An app: its name, its key, and what it does with a session.

    ::

        app = App("com.example.captions", api_key="secret")

        @app.session
        def captions(session: AppSession) -> None:
            session.on_transcription(lambda said: session.show_text(said.text))

        async with app.serve("127.0.0.1", 7010):
            await trio.sleep_forever()

    Attributes:
        persistent: whether a session whose connection is lost goes on trying. Otherwise it ends
            after three attempts within seven seconds, as with the SDK, and the server's next
            webhook begins another. Either way it ends when the server says so.
    """

    package: str
    api_key: str = attrs.field(repr=False)
    persistent: bool = attrs.field(default=False, kw_only=True)
    _begin: SessionHandler | None = attrs.field(default=None, init=False)
    _stop: StopHandler | None = attrs.field(default=None, init=False)
    _tool: ToolHandler | None = attrs.field(default=None, init=False)

    def session(self, handler: S) -> S:
        """Decorator: run ``handler`` once per session, as soon as it is acknowledged.

        It may be ``async`` or not. It registers handlers and draws the first display; when it
        returns, the webhook is answered. If it raises, the session ends.
        """
        self._begin = handler
        return handler

    def on_stop(self, handler: E) -> E:
        """Decorator: run ``handler`` with a reason once when a session has ended."""
        self._stop = handler
        return handler

    def on_tool(self, handler: T) -> T:
        """Decorator: have ``handler`` answer tool calls, with a text or with nothing.

        It may be ``async`` or not. ``ToolFailed`` is answered with its text; anything else that
        it raises, with an error, and is added to ``crashes``.
        """
        self._tool = handler
        return handler

    @asynccontextmanager
    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        listeners: Sequence[trio.abc.Listener[Any]] | None = None,
        dial: Dial | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> AsyncGenerator[AppServer]:
        """Answer webhooks and keep sessions for as long as the block runs.

        Args:
            host, port: where to listen; port 0 picks a free one.
            listeners: instead of them: where to accept connections; closed at the end.
            dial, ssl_context: how to connect to the server that called; ``None``: TCP, and the
                system's trust.

        Raises:
            ConfigError: the address cannot be used.
        """
        listeners, url = await listening(host, port, listeners)
        async with trio.open_nursery() as sessions:
            server = AppServer(
                self.package,
                self.api_key,
                self._begin,
                self._stop,
                self._tool,
                sessions,
                dial,
                ssl_context,
                self.persistent,
            )
            server.url = url
            async with answering(WebhookEndpoint(server), listeners, server):
                yield server
            server.end_all("app server closes")


@attrs.define(eq=False)
class AppServer:
    """An app that is being served.

    Attributes:
        url: the base to register with the server, such as ``http://127.0.0.1:7010``.
        crashes: what has gone wrong and was contained: in all that the author has written, in the
            tasks of a session, and in the webhook endpoint.
    """

    package: str
    _api_key: str = attrs.field(repr=False)
    _begin: SessionHandler | None
    _stop: StopHandler | None
    _tool: ToolHandler | None
    _nursery: trio.Nursery
    _dial: Dial | None
    _ssl_context: ssl.SSLContext | None
    _persistent: bool
    url: str = attrs.field(default="", init=False)
    crashes: list[BaseException] = attrs.field(factory=list, init=False)
    _sessions: dict[str, AppSession] = attrs.field(factory=dict, init=False)
    _came: trio.Event = attrs.field(factory=trio.Event, init=False)

    @property
    def sessions(self) -> list[AppSession]:
        """The sessions that are not over, oldest first."""
        return list(self._sessions.values())

    @property
    def session_count(self) -> int:
        """How many sessions are not over."""
        return len(self._sessions)

    async def next_session(self) -> AppSession:
        """The newest session, as soon as there is one."""
        while not self._sessions:
            await self._came.wait()
        return self.sessions[-1]

    def end_all(self, reason: str) -> None:
        """End every session; each closes its connection in order."""
        for session in self.sessions:
            session.end(reason)

    # --- what the webhook endpoint calls ---

    async def start(self, *, session_id: str, user: str, url: str) -> bool:
        """Open a session; whether it was acknowledged and the author's handler succeeded.

        A session that exists under the same id gives way: it tells the server so, and ends.
        """
        if (older := self._sessions.get(session_id)) is not None:
            await older.release("switching_clouds")
            await trio.sleep(RELEASE_S)
        # No await between this look-up and the insert: requests may overlap in the wait above.
        if (older := self._sessions.get(session_id)) is not None:
            older.end("replaced by a newer session")
        session = AppSession(
            user,
            session_id,
            self.package,
            crashed=self.crashes.append,
            rest=self._door(url),
        )
        self._sessions[session_id] = session
        self._came.set()
        self._came = trio.Event()
        self._nursery.start_soon(self._live, session, url, name=f"app session {session_id}")
        return await session.ready.wait()

    async def stop(self, *, session_id: str, reason: str) -> bool:
        """End a session, if there is one; whether the author's ``on_stop`` succeeded."""
        await trio.lowlevel.checkpoint()
        session = self._sessions.get(session_id)
        if session is None:
            return True
        session.end(reason)
        return await session.ended.wait()

    def settings_changed(self, user: str, settings: Sequence[Any]) -> int:
        """Tell every session of ``user``; how many there are.

        Those that are connected learn it over their link, and in the right order: what is posted
        may have been overtaken there by a later change.
        """
        told = [session for session in self.sessions if session.user == user]
        for session in told:
            if not session.connected:
                session.accept(to_app.SettingsUpdate(settings=settings))
        return len(told)

    async def call_tool(
        self, tool_id: str, parameters: Mapping[str, Any], user: str, timestamp: Any
    ) -> str | None:
        """What the author's ``on_tool`` answers; ``None`` if there is none.

        Raises:
            ToolFailed: it raised that, or something else, or took longer than ``TOOL_S``.
        """
        await trio.lowlevel.checkpoint()
        if self._tool is None:
            return None
        session = next((one for one in self.sessions if one.user == user), None)
        call = ToolCall(
            tool_id=tool_id,
            parameters=parameters,
            user=user,
            timestamp=timestamp,
            session=session,
        )
        failure = ToolFailed("the tool failed, or took too long")
        with contain(self._note_crash), trio.move_on_after(TOOL_S):
            try:
                reply = await _awaited(self._tool(call))
                return None if reply is None else str(reply)
            except ToolFailed as failed:
                failure = failed
        raise failure

    def photo_came(self, result: Photo | PhotoFailure) -> bool:
        """Give a photo, or why there is none, to the session that asked for it."""
        for session in self.sessions:
            if isinstance(result, Photo):
                taken = session.camera.arrived(result)
            else:
                taken = session.camera.failed(result.request_id, result.code, result.message)
            if taken:
                return True
        return False

    def emit(self, fact: Fact) -> None:
        """Take note of what the endpoint's port reports; only crashes matter here."""
        if isinstance(fact, Crashed):
            self._note_crash(fact.error)

    def _door(self, url: str) -> RestDoor:
        """The HTTP routes of the server whose WebSocket is at ``url``."""
        return RestDoor(
            base=http_base(url),
            bearer=self._api_key,
            dial=self._dial,
            ssl_context=self._ssl_context,
        )

    # --- a session's life ---

    async def _live(self, session: AppSession, url: str) -> None:
        """The bulkhead of one session, from webhook to ``on_stop``."""
        with contain(self._note_crash):
            await self._run(session, url)
        if self._sessions.get(session.session_id) is session:
            del self._sessions[session.session_id]
        session.ready.settle(False)
        session.end("crashed")
        session.ended.settle(await self._say_stopped(session))

    async def _run(self, session: AppSession, url: str) -> None:
        connection = AppConnection(
            session=session,
            url=url,
            api_key=self._api_key,
            comeback=Comeback(persistent=self._persistent, random=Random(session.session_id)),
            dial=self._dial,
            ssl_context=self._ssl_context,
        )
        with session.life:
            await self._serve(session, connection)

    async def _serve(self, session: AppSession, connection: AppConnection) -> None:
        async with trio.open_nursery() as session.nursery:
            session.nursery.start_soon(session.handle_events)
            session.nursery.start_soon(self._set_up, session)
            reason = await connection.run()
            session.end(session.stop_reason or _told(reason))

    async def _set_up(self, session: AppSession) -> None:
        with trio.move_on_after(ACK_S):
            await session.acked.wait()
        if not session.acked.settled:
            session.end("no acknowledgement in time")
            return
        if self._begin is not None:
            await _awaited(self._begin(session))
        session.ready.settle(True)

    async def _say_stopped(self, session: AppSession) -> bool:
        succeeded = self._stop is None
        if self._stop is not None:
            with contain(self._note_crash), trio.move_on_after(STOP_S, shield=True):
                await _awaited(self._stop(session, session.end_reason.peek() or ""))
                succeeded = True
        return succeeded

    def _note_crash(self, error: BaseException) -> None:
        self.crashes.append(error)
        log.error("app %s: contained a crash", self.package, exc_info=error)


async def _awaited(result: Any) -> Any:
    """What a handler returns in the end, whether it is ``async`` or not."""
    return await result if inspect.isawaitable(result) else result


def _told(reason: CloseReason) -> str:
    """A close reason as ``on_stop`` gets it, in the words of the SDK (protocol.md 2.8)."""
    if reason.code in {1000, 1001}:
        return f"Clean disconnect: {reason.text}"
    return reason.text if is_final(reason) else "Connection permanently lost"
