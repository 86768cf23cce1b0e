"""The demonstration: a server, simulated glasses and a sample app in one process, narrated.

Everything that is told has been seen to happen; what does not happen ends the demonstration
with an error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

import attrs
import trio

from ..clients.app import App, AppServer
from ..clients.app_session import AppSession
from ..clients.events import Transcription
from ..clients.glasses import Glasses, open_glasses
from ..clients.inbox import Inbox
from ..concurrency.bulkhead import single
from ..config import Config
from ..domain.errors import MentraTrioError
from ..domain.facts import AppStateChanged, Fact, StartEnded, SubscriptionsChanged, WebhookCalled
from ..domain.lifecycle import AppState
from ..server import Server, open_server

USER: Final = "ada@example.org"
PACKAGE: Final = "com.example.captions"
STREAM: Final = "transcription:en-US"
STEP_S: Final = 15.0
"""How long one step may take before the demonstration has failed."""

DEPLOY_S: Final = 2.0
"""How long the sample app's process is gone after its death."""

F = TypeVar("F", bound=Fact)


class DemoFailed(MentraTrioError):
    """Something that the demonstration was about to tell did not happen."""


async def run_demo(write: Callable[[str], None]) -> None:
    """Show the main job, start to end, in about ten seconds; tell every step by ``write``.

    Raises:
        DemoFailed: a step did not happen, or not in time.
    """
    failure: BaseException | None = None
    try:
        await _perform(write)
    except* DemoFailed as failures:
        failure = single(failures)  # one line for a person, not a tree of nurseries
    if failure is not None:
        raise failure


async def _perform(write: Callable[[str], None]) -> None:
    facts = _Facts()
    async with open_server(Config(port=0), telemetry=facts) as server, trio.open_nursery() as apps:
        process = _AppProcess(captions_app())
        await apps.start(process.run)
        stage = _Stage(write, facts, server, process, apps)
        await stage.set_up()
        async with open_glasses(server.url, server.token(USER)) as glasses:
            await stage.play(glasses)
        async with open_glasses(server.url, server.token(USER)) as glasses:
            await stage.play_on(glasses)
        apps.cancel_scope.cancel("the demonstration is over")
    stage.say("server", "closed; every session and every connection has ended")


def captions_app() -> App:
    """The sample app: what is said appears on the glasses."""
    app = App(PACKAGE, api_key="demo-key")

    @app.session
    async def begin(session: AppSession) -> None:
        async def show(said: Transcription) -> None:
            await session.show_text(said.text)

        session.on_transcription(show)
        await session.show_text("Captions are on")

    return app


@attrs.define(eq=False)
class _AppProcess:
    """The sample app's process, as far as others can tell: it can die, and run again."""

    app: App
    server: AppServer = attrs.field(init=False)
    _port: int = attrs.field(default=0, init=False)
    _life: trio.CancelScope = attrs.field(init=False)

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Answer webhooks, at the same address as before, until killed."""
        with trio.CancelScope() as self._life:
            async with self.app.serve(port=self._port) as self.server:
                self._port = urlsplit(self.server.url).port or 0
                task_status.started()
                await trio.sleep_forever()

    def die(self) -> None:
        """As by kill -9: no goodbye, every connection reset."""
        for session in self.server.sessions:
            session.cut()
        self._life.cancel("killed")


@attrs.define(eq=False)
class _Facts:
    """A telemetry sink whose facts can be awaited."""

    seen: list[Fact] = attrs.field(factory=list, init=False)
    _new: Inbox[Fact] = attrs.field(factory=Inbox, init=False)

    def emit(self, fact: Fact) -> None:
        """Take note of ``fact``."""
        self.seen.append(fact)
        self._new.put(fact)

    async def next(self, kind: type[F], wanted: Callable[[F], bool]) -> F:
        """The oldest fact of that type for which ``wanted`` holds, and that was not returned."""
        fact = await self._new.take(lambda one: isinstance(one, kind) and wanted(one))
        assert isinstance(fact, kind)
        return fact

    def session_webhooks(self) -> int:
        """How many session webhooks were answered so far."""
        return sum(isinstance(one, WebhookCalled) and one.kind == "session" for one in self.seen)


@attrs.define(eq=False)
class _Stage:
    """The demonstration, step by step."""

    _write: Callable[[str], None]
    _facts: _Facts
    _server: Server
    _process: _AppProcess
    _apps: trio.Nursery
    _began: float = attrs.field(factory=trio.current_time, init=False)

    def say(self, who: str, what: str) -> None:
        """Tell one step, with the seconds since the beginning."""
        self._write(f"{trio.current_time() - self._began:6.2f} s  {who:<8} {what}")

    async def set_up(self) -> None:
        """Register the sample app."""
        self.say("server", f"listens on {self._server.url}, keeps everything in memory")
        await self._server.apps.add(
            PACKAGE,
            url=self._process.server.url,
            api_key="demo-key",
            name="Captions",
            permissions=["MICROPHONE"],
        )
        self.say("app", f"{PACKAGE} answers webhooks on {self._process.server.url}")

    async def play(self, glasses: Glasses) -> None:
        """Everything that needs glasses."""
        self.say("glasses", f"connected and acknowledged, as {glasses.ack.session_id}")
        await self._steps(
            glasses,
            self._start,
            self._subscribe,
            self._caption,
            self._drop,
            self._die,
            self._release,
        )
        self.say("glasses", "are switched off")

    async def play_on(self, glasses: Glasses) -> None:
        """What comes when the glasses are back."""
        self.say("glasses", "are back")
        await self._steps(glasses, self._return, self._stop)

    async def _steps(self, glasses: Glasses, *steps: Callable[[Glasses], Awaitable[None]]) -> None:
        for step in steps:
            with trio.move_on_after(STEP_S) as waiting:
                await step(glasses)
            if waiting.cancelled_caught:
                raise DemoFailed(f"{step.__name__.strip('_')}: not within {STEP_S:g} s")

    async def _start(self, glasses: Glasses) -> None:
        self.say("glasses", f"the user starts {PACKAGE}")
        await glasses.start_app(PACKAGE)
        start = await self._facts.next(StartEnded, lambda one: one.package == PACKAGE)
        if start.stage:
            raise DemoFailed(f"the start failed at {start.stage}: {start.message}")
        await self._facts.next(WebhookCalled, lambda one: one.kind == "session")
        self.say("server", f"one webhook; the app connected after {start.seconds * 1000:.0f} ms")
        await glasses.until_shown("Captions are on", package=PACKAGE)
        self.say("glasses", "show 'Captions are on'")

    async def _subscribe(self, glasses: Glasses) -> None:
        await self._facts.next(SubscriptionsChanged, lambda one: STREAM in one.streams)
        self.say("app", f"subscribed to {STREAM}")

    async def _caption(self, glasses: Glasses) -> None:
        await self._say_and_see(glasses, "The quick brown fox")

    async def _drop(self, glasses: Glasses) -> None:
        session = self._session()
        session.cut()
        await self._until(AppState.GRACE_PERIOD)
        lost_at = trio.current_time()
        self.say("app", "its connection is cut; the grace period runs, everything is kept")
        await self._until(AppState.RUNNING, after=AppState.GRACE_PERIOD)
        away = trio.current_time() - lost_at
        if self._facts.session_webhooks() != 1 or self._session() is not session:
            raise DemoFailed("the app did not come back by itself, but was started again")
        self.say("app", f"reconnected after {away:.2f} s, without a webhook")
        await self._say_and_see(glasses, "jumps over the lazy dog")

    async def _die(self, glasses: Glasses) -> None:
        """The app's process dies; another one is up two seconds later, and is called."""
        webhooks = self._facts.session_webhooks()
        self._process.die()
        await self._until(AppState.GRACE_PERIOD)
        lost_at = trio.current_time()
        self.say("app", "its process has died; it may come back by itself, nobody is called yet")
        await glasses.say("Said to nobody")
        self.say("glasses", "heard 'Said to nobody', which is kept for the app; meanwhile:")
        for line in self._server.why(USER, PACKAGE):
            self.say("why", line)
        await trio.sleep(DEPLOY_S)
        await self._apps.start(self._process.run)
        self.say("app", "its process runs again, and knows nothing of its sessions")
        await self._until(AppState.RESURRECTING)
        self.say("server", f"calls it, {trio.current_time() - lost_at:.2f} s after the loss")
        await self._until(AppState.RUNNING, after=AppState.RESURRECTING)
        away = trio.current_time() - lost_at
        await self._facts.next(WebhookCalled, lambda one: one.kind == "session")
        if self._facts.session_webhooks() != webhooks + 1:
            raise DemoFailed("the app was called more than once")
        self.say("app", f"resurrected after {away:.2f} s, by one webhook")
        await glasses.until_shown("Said to nobody", package=PACKAGE)
        self.say("glasses", "show 'Said to nobody': it was not lost")

    async def _release(self, glasses: Glasses) -> None:
        """The app moves to another server."""
        session = self._session()
        await session.release("switching_clouds")
        session.end("another server has called")
        await self._until(AppState.DORMANT)
        self.say("app", "released its session and went: it is dormant, and is left alone")

    async def _return(self, glasses: Glasses) -> None:
        webhooks = self._facts.session_webhooks()
        await self._until(AppState.RUNNING, after=AppState.RESURRECTING)
        await self._facts.next(WebhookCalled, lambda one: one.kind == "session")
        if self._facts.session_webhooks() != webhooks + 1:
            raise DemoFailed("the app was not called once")
        self.say("app", "its user is back, and so is it: a fresh session, by one webhook")
        await self._say_and_see(glasses, "All together again")

    async def _stop(self, glasses: Glasses) -> None:
        session = self._session()
        self.say("glasses", f"the user stops {PACKAGE}")
        await glasses.stop_app(PACKAGE)
        await self._until(AppState.STOPPED)
        await session.ended.wait()
        if self._process.server.sessions or self._process.server.crashes:
            raise DemoFailed("the app's session did not end as it should")
        self.say("app", "its session ended")  # told by webhook and by close, whichever is first

    async def _say_and_see(self, glasses: Glasses, text: str) -> None:
        said_at = trio.current_time()
        await glasses.say(text)
        await glasses.until_shown(text, package=PACKAGE)
        took = (trio.current_time() - said_at) * 1000
        self.say("glasses", f"heard '{text}', and show it {took:.0f} ms later")

    def _session(self) -> AppSession:
        sessions = self._process.server.sessions
        if len(sessions) != 1:
            raise DemoFailed(f"the app has {len(sessions)} sessions instead of one")
        return sessions[0]

    async def _until(self, state: AppState, *, after: AppState | None = None) -> None:
        await self._facts.next(
            AppStateChanged, lambda one: one.new is state and after in {None, one.old}
        )
