"""An app server that behaves on the wire as an unmodified app on npm @mentra/sdk 2.1.29 does.

In virtual time on an in-memory network, or on real sockets::

    app = SdkApp("com.example.captions", "key", script=Script(steps=(Subscribe("vad"),)))
    async with app.serve("127.0.0.1", 7010) as server:
        session = await server.diary.until(Began)

It is not the way to write an app: that is ``mentra_trio.clients.App``, which has none of the
oddities that this one is for.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
import trio

from ..clients.app_port import answering, listening
from ..clients.app_webhook import WebhookEndpoint
from ..clients.camera import Photo
from ..clients.dialing import Dial
from ..clients.photo_upload import PhotoFailure
from ..concurrency.bulkhead import contain
from ..concurrency.oneshot import OneShot
from ..domain.facts import Crashed, Fact
from ..environment import Environment
from ..wire.from_app import OwnershipRelease
from .household import virtual_environment
from .sdk_diary import Answered, Began, Diary, Entry, Stopped
from .sdk_rules import AS_2_1_29, SdkQuirks
from .sdk_script import AuthorError, Script, Step
from .sdk_session import SdkSession

log: Final = logging.getLogger(__name__)

NO_SCRIPTS: Final[Mapping[str, Script]] = MappingProxyType({})


@attrs.frozen
class SdkApp:
    """An app on SDK 2.1.29: its name, its key, and what its author has written.

    Attributes:
        script: for every user, unless ``scripts`` has another.
        scripts: by user.
        quirks: which of the SDK's oddities it has.
    """

    package: str
    api_key: str = attrs.field(repr=False)
    script: Script = attrs.field(factory=Script, kw_only=True)
    scripts: Mapping[str, Script] = attrs.field(default=NO_SCRIPTS, kw_only=True)
    quirks: SdkQuirks = attrs.field(default=AS_2_1_29, kw_only=True)

    @asynccontextmanager
    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        listeners: Sequence[trio.abc.Listener[Any]] | None = None,
        dial: Dial | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> AsyncGenerator[SdkAppServer]:
        """Answer webhooks and keep sessions for as long as the block runs.

        The end of the block is the SIGTERM of the process: sessions that the app server knows
        close their connections without a code, and those of ghosts end without a close.

        Args:
            host, port: where to listen; port 0 picks a free one.
            listeners: instead of them: where to accept connections; closed at the end.
            dial, ssl_context: how to connect to the server that called; ``None``: TCP, and the
                system's trust.

        Raises:
            ConfigError: the address cannot be used.
        """
        listeners, url = await listening(host, port, listeners)
        async with trio.open_nursery() as life:
            server = SdkAppServer(self, life, dial, ssl_context)
            server.url = url
            async with answering(WebhookEndpoint(server), listeners, server):
                yield server
            server.end()
            life.cancel_scope.cancel("the process ends")


@attrs.define(eq=False)
class SdkAppServer:
    """An app of the SDK that is being served, as its class ``AppServer`` behaves.

    Attributes:
        url: the base to register with the server, such as ``http://127.0.0.1:7010``.
        diary: what it sent, received and did.
        crashes: what has gone wrong in this simulation itself and was contained. What a script
            does wrong on purpose is not among it.
    """

    app: SdkApp
    _nursery: trio.Nursery
    dial: Dial | None
    ssl_context: ssl.SSLContext | None
    url: str = attrs.field(default="", init=False)
    diary: Diary = attrs.field(factory=Diary, init=False)
    crashes: list[BaseException] = attrs.field(factory=list, init=False)
    package: str = attrs.field(init=False)
    api_key: str = attrs.field(init=False, repr=False)
    quirks: SdkQuirks = attrs.field(init=False)
    _environment: Environment = attrs.field(factory=virtual_environment, init=False)
    _known: dict[str, SdkSession] = attrs.field(factory=dict, init=False)
    _alive: dict[SdkSession, None] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.package, self.api_key = self.app.package, self.app.api_key
        self.quirks = self.app.quirks

    @property
    def sessions(self) -> list[SdkSession]:
        """The sessions that it takes for alive, oldest first; zombies are among them."""
        return list(self._known.values())

    @property
    def ghosts(self) -> list[SdkSession]:
        """Sessions that it has forgotten, or never knew, and that live all the same."""
        known = self.sessions
        return [session for session in self._alive if session not in known]

    @property
    def session_count(self) -> int:
        """How many sessions it takes for alive."""
        return len(self._known)

    def session_of(self, user: str) -> SdkSession:
        """The session that it takes for the one of ``user``.

        Raises:
            KeyError: there is none.
        """
        for session in self._known.values():
            if session.user == user:
                return session
        raise KeyError(user)

    def timestamp(self) -> str:
        """The wall clock, as the wire writes it; it follows Trio's clock."""
        return self._environment.timestamp()

    def emit(self, fact: Fact) -> None:
        """Take note of what the endpoint's port reports; only crashes matter here."""
        if isinstance(fact, Crashed):
            self._note_crash(fact.error)

    def end(self) -> None:
        """What the SDK does on SIGTERM, and then what the end of the process does."""
        for session in self.sessions:
            if not self.quirks.silent_exit:
                session.say(OwnershipRelease(reason="clean_shutdown"))
            session.disconnect()
        for ghost in self.ghosts:
            ghost.vanish()
        self._known.clear()

    # --- what the webhook endpoint calls ---

    async def start(self, *, session_id: str, user: str, url: str) -> bool:
        """Open a session; whether it was acknowledged and the author's ``onSession`` succeeded.

        It goes on when whoever asked for it does not wait for the answer.
        """
        answer: OneShot[bool] = OneShot()
        self._nursery.start_soon(self._start, session_id, user, url, answer)
        return await answer.wait()

    async def stop(self, *, session_id: str, reason: str) -> bool:
        """Run ``onStop``, whether there is such a session or not; whether it succeeded."""
        answer: OneShot[bool] = OneShot()
        self._nursery.start_soon(self._answer_stop, session_id, reason, answer)
        return await answer.wait()

    def settings_changed(self, user: str, settings: Sequence[Any]) -> int:
        """How many sessions of ``user`` it takes for alive."""
        return sum(session.user == user for session in self._known.values())

    async def call_tool(
        self, tool_id: str, parameters: Mapping[str, Any], user: str, timestamp: Any
    ) -> str | None:
        """What ``onToolCall`` returns."""
        await trio.lowlevel.checkpoint()
        return self._script_of(user).tool_reply

    def photo_came(self, result: Photo | PhotoFailure) -> bool:
        """Nobody here asks for photos."""
        return False

    # --- what a session calls ---

    def lost(self, session: SdkSession, reason: str) -> None:
        """A session is over for good: run ``onStop`` and forget it, if it is still the one."""
        self._note(Stopped, session.session_id, reason=reason)
        script = self._script_of(session.user)
        if script.stop_takes_s:
            self._nursery.start_soon(self._on_stop, session.session_id, session, script)
        elif not script.stop_fails and not script.overrides_stop:
            self._default_stop(session.session_id, session)
        if self._known.get(session.session_id) is session:
            del self._known[session.session_id]

    # --- a session's life ---

    async def _start(self, session_id: str, user: str, url: str, answer: OneShot[bool]) -> None:
        if (older := self._known.get(session_id)) is not None:
            if self.quirks.releases:
                await older.release("switching_clouds")
            older.disconnect()
            self._known.pop(session_id, None)
        session = SdkSession(user, session_id, url, self)
        started = _is_websocket(url)
        if started:
            self._alive[session] = None
            self._nursery.start_soon(self._live, session)
            started = await session.connected.wait()
        script = self._script_of(user)
        if started:
            self._known[session_id] = session
            self._note(Began, session_id)
            started = await _carried_out(script.steps, session)
        if not started:
            self._failed(session)
        self._note(Answered, session_id, call="session_request", status=200 if started else 500)
        answer.settle(started)
        if started:
            await _carried_out(script.later, session)

    def _failed(self, session: SdkSession) -> None:
        """Nobody listens for the session's end any more; nobody ends it either."""
        session.heeded = False
        if not self.quirks.ghost_after_failure:
            session.disconnect()
            if self._known.get(session.session_id) is session:
                del self._known[session.session_id]

    async def _live(self, session: SdkSession) -> None:
        """The bulkhead of one session."""
        with contain(self._note_crash):
            await session.run()
        del self._alive[session]

    # --- onStop ---

    async def _answer_stop(self, session_id: str, reason: str, answer: OneShot[bool]) -> None:
        self._note(Stopped, session_id, reason=reason)
        session = self._known.get(session_id)
        script = self.app.script if session is None else self._script_of(session.user)
        succeeded = await self._on_stop(session_id, session, script)
        status = 200 if succeeded else 500
        self._note(Answered, session_id, call="stop_request", status=status)
        answer.settle(succeeded)

    async def _on_stop(self, session_id: str, session: SdkSession | None, script: Script) -> bool:
        """The author's part, then the SDK's, if the author has left it in."""
        await trio.sleep(script.stop_takes_s)
        if script.stop_fails:
            return False
        if not script.overrides_stop:
            self._default_stop(session_id, session)
        return True

    def _default_stop(self, session_id: str, session: SdkSession | None) -> None:
        """End the session that has the id *now*; it need not be the one that was lost."""
        found = self._known.get(session_id)
        if found is not None and (found is session or self.quirks.stop_by_id):
            found.disconnect()
            del self._known[session_id]

    def _script_of(self, user: str) -> Script:
        return self.app.scripts.get(user, self.app.script)

    def _note(self, kind: type[Entry], session_id: str, **fields: Any) -> None:
        self.diary.note(kind(at=trio.current_time(), session_id=session_id, **fields))

    def _note_crash(self, error: BaseException) -> None:
        self.crashes.append(error)
        log.error("app %s: contained a crash", self.package, exc_info=error)


async def _carried_out(steps: Sequence[Step], session: SdkSession) -> bool:
    """Carry out ``steps``; whether all of them succeeded."""
    try:
        for step in steps:
            await step.carry_out(session)
    except AuthorError:
        return False
    return True


def _is_websocket(url: str) -> bool:
    """Whether the SDK would connect to ``url`` at all."""
    parts = urlsplit(url)
    return parts.scheme in {"ws", "wss"} and bool(parts.hostname)
