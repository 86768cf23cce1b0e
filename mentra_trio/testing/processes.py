"""What runs on the hosts of a world: the server, app servers, phones. All can be killed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, Generic, Protocol, TypedDict, TypeVar

import attrs
import trio

from ..clients.dialing import Dial
from ..clients.glasses import Glasses, open_glasses
from ..clients.refusals import UpgradeRefused
from ..concurrency.race import race
from ..concurrency.watched import Watched
from ..config import Config
from ..domain.errors import LinkClosed
from ..domain.facts import Crashed, Fact
from ..engines import LiveStreams, Transcriber, Voice
from ..environment import Environment
from ..ports import Store, Telemetry
from ..server import Server, open_server
from ..webhooks.client import HttpWebhooks
from .ledger import current_ledger
from .mortal import MortalStore, MortalTelemetry, Pulse, mortal_dial
from .network import MemoryNetwork

SERVER_PORT: Final = 8002
APP_PORT: Final = 80
COMES_BACK_S: Final = 1.0
"""After so many seconds a phone that was lost tries again."""
SILENT_S: Final = 35.0
"""A phone takes a server that was silent this long for dead: it should have pinged thrice."""


class Engines(TypedDict, total=False):
    """What a server may be given to hear, stream and speak with; see ``server.open_server``."""

    transcriber: Transcriber
    live_streams: LiveStreams
    voice: Voice


@attrs.frozen(kw_only=True)
class ServerKilled(Fact):
    """A server was killed: it says nothing more, and those told of facts should know why."""


class RunningApp(Protocol):
    """An app server that serves."""

    @property
    def crashes(self) -> Sequence[BaseException]:
        """What has gone wrong in it and was contained."""
        ...


R = TypeVar("R", bound=RunningApp)
R_co = TypeVar("R_co", bound=RunningApp, covariant=True)


class ServableApp(Protocol[R_co]):
    """An app that can be run on a host: ``clients.app.App``, and whatever is served alike."""

    @property
    def package(self) -> str:
        """Its name."""
        ...

    @property
    def api_key(self) -> str:
        """Its key."""
        ...

    def serve(
        self,
        host: str = ...,
        port: int = ...,
        *,
        listeners: Sequence[trio.abc.Listener[Any]] | None = ...,
        dial: Dial | None = ...,
    ) -> AbstractAsyncContextManager[R_co]:
        """Answer webhooks and keep sessions for as long as the block runs."""
        ...


@attrs.define(eq=False)
class _Life:
    """From a start to the next death."""

    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    stop: trio.Event = attrs.field(factory=trio.Event)
    ended: trio.Event = attrs.field(factory=trio.Event)
    pulse: Pulse = attrs.field(factory=Pulse)


@attrs.define(eq=False)
class Process:
    """Something that runs on a host of its own until it is killed or stopped.

    Attributes:
        host: its name in the network.
    """

    host: str
    _network: MemoryNetwork
    _nursery: trio.Nursery
    _life: _Life = attrs.field(factory=_Life, init=False)
    _started: int = attrs.field(default=0, init=False)

    @property
    def is_up(self) -> bool:
        """Whether it was started, and neither killed nor stopped since."""
        return self._started > 0 and self._life.pulse.beats

    @property
    def lives(self) -> int:
        """How often it was started."""
        return self._started

    async def start(self) -> None:
        """Run it, for the first time or again; returns once it serves.

        Raises:
            RuntimeError: it runs.
        """
        if self.is_up:
            raise RuntimeError(f"{self.host} runs already")
        self._started += 1
        self._life = life = _Life()
        await self._nursery.start(self._run, life, name=self.host)

    async def kill(self, *, unseen: bool = False) -> None:
        """End it as ``kill -9`` or a power failure would: no goodbye, no time passes.

        Its connections are reset; ``unseen``: its peers see nothing, for ever.
        """
        life = self._life
        life.pulse.beats = False
        if unseen:
            self._network.vanish(self.host)
        else:
            self._network.crash(self.host)
        life.scope.cancel("killed")
        if unseen:
            await trio.lowlevel.checkpoint()  # its tasks may yet wait for peers, in vain
        else:
            await life.ended.wait()

    async def stop(self) -> None:
        """End it in order; returns once it has ended."""
        self._life.stop.set()
        await self._life.ended.wait()

    async def _run(self, life: _Life, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            with life.scope:
                await self._live(life, lambda: task_status.started())
        finally:
            life.pulse.beats = False
            life.ended.set()

    async def _live(self, life: _Life, started: Callable[[], None]) -> None:
        """Serve until ``life.stop`` is set, or cancelled; call ``started`` once it serves."""
        raise NotImplementedError


@attrs.define(eq=False)
class AppProcess(Process, Generic[R]):
    """An app server.

    Attributes:
        app: what it serves.
        server: the app that is being served, of the latest life.
    """

    app: ServableApp[R]
    server: R = attrs.field(init=False)

    async def _live(self, life: _Life, started: Callable[[], None]) -> None:
        async with self.app.serve(
            self.host,
            APP_PORT,
            listeners=[self._network.listen(self.host, APP_PORT)],
            dial=mortal_dial(self._network.dial_from(self.host), life.pulse),
        ) as self.server:
            self._watch(self.server)
            started()
            await life.stop.wait()

    def _watch(self, server: RunningApp) -> None:
        ledger = current_ledger()
        if ledger is not None:
            ledger.watch_crashes(
                lambda: [
                    Crashed(bulkhead="app server", who=self.host, error=error)
                    for error in server.crashes
                ]
            )


@attrs.define(eq=False, kw_only=True)
class ServerProcess(Process):
    """The server. Its store is the disk: it outlives it.

    Attributes:
        server: the server, of the latest life.
    """

    config: Config
    store: Store
    telemetry: Telemetry
    environment: Environment
    engines: Engines = attrs.field(factory=Engines)
    server: Server = attrs.field(init=False)

    async def kill(self, *, unseen: bool = False) -> None:
        """As ``Process.kill``; it is told as a fact, ``ServerKilled``."""
        self.telemetry.emit(ServerKilled())
        await super().kill(unseen=unseen)

    async def _live(self, life: _Life, started: Callable[[], None]) -> None:
        lifecycle = self.config.lifecycle
        webhooks = HttpWebhooks(
            allow_private_networks=True,
            connect_s=lifecycle.webhook_connect_s,
            read_s=lifecycle.webhook_s,
            dial=mortal_dial(self._network.dial_from(self.host), life.pulse),
        )
        async with open_server(
            self.config,
            store=MortalStore(self.store, life.pulse),
            webhooks=webhooks,
            telemetry=MortalTelemetry(self.telemetry, life.pulse),
            **self.engines,
            environment=self.environment,
            listeners=[self._network.listen(self.host, SERVER_PORT)],
        ) as self.server:
            started()
            await life.stop.wait()


@attrs.define(eq=False, kw_only=True)
class Phone(Process):
    """A phone whose user wears glasses: comes back ``COMES_BACK_S`` after every loss.

    Attributes:
        user: whose it is.
        token: with which it connects, ever since the user has logged in.
        url: of the server.
    """

    user: str
    token: str = attrs.field(repr=False)
    url: str
    _now: Watched[Glasses | None] = attrs.field(factory=lambda: Watched(None), init=False)

    @property
    def glasses(self) -> Glasses | None:
        """The attached glasses; ``None`` while there is no connection."""
        return self._now.value

    async def attached(self) -> Glasses:
        """The attached glasses, as soon as there are any."""
        glasses = await self._now.until(lambda now: now is not None)
        assert glasses is not None
        return glasses

    async def _live(self, life: _Life, started: Callable[[], None]) -> None:
        started()
        dial = mortal_dial(self._network.dial_from(self.host), life.pulse)
        wait: Callable[[], Awaitable[None]] = life.stop.wait
        await race(lambda: self._stay_attached(dial), wait)

    async def _stay_attached(self, dial: Dial) -> None:
        while True:
            try:
                async with open_glasses(self.url, self.token, dial=dial) as glasses:
                    await self._wear(glasses)
            except (OSError, UpgradeRefused, LinkClosed, trio.TooSlowError):
                pass  # nobody is there, or not for us now
            await trio.sleep(COMES_BACK_S)

    async def _wear(self, glasses: Glasses) -> None:
        self._now.set(glasses)
        try:
            await race(glasses.until_closed, partial(_until_silent, glasses))
        finally:
            self._now.set(None)


async def _until_silent(glasses: Glasses) -> None:
    """Until the server has said nothing for ``SILENT_S`` seconds, not even a ping."""
    while True:
        due = glasses.last_heard + SILENT_S
        await trio.sleep_until(due)
        if glasses.last_heard + SILENT_S <= due:
            return
