"""A whole server with its surroundings, on an in-memory network and in virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Generic, TypeVar

import attrs
import trio

from ..clients.glasses import Glasses, open_glasses
from ..config import Config
from ..domain.facts import Crashed
from ..domain.ids import package_name, user_id
from ..environment import Environment
from ..ports import Store
from ..server import Server, open_server
from ..sessions.snapshots import AppSnapshot
from ..webhooks.client import HttpWebhooks
from .household import virtual_environment
from .ledger import current_ledger
from .links import RecordingTelemetry
from .network import MemoryNetwork
from .served import Servable, Served

SERVER_HOST: Final = "server"
SERVER_PORT: Final = 8002
APP_PORT: Final = 80
USER: Final = "u-1@x.org"
JWT_SECRET: Final = "in-memory-worlds-have-no-secrets-"
ADMIN_TOKEN: Final = "in-memory-admin-token-of-no-value"
S = TypeVar("S", bound=Served)


@attrs.define(eq=False)
class AppProcess(Generic[S]):
    """An app server that runs on a host of the world, until it is killed or stopped.

    Attributes:
        app: what it serves.
        host: its name in the network; also the base of its URL.
    """

    app: Servable[S]
    host: str
    _network: MemoryNetwork
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _ended: trio.Event = attrs.field(factory=trio.Event, init=False)
    _stop: trio.Event = attrs.field(factory=trio.Event, init=False)
    server: S = attrs.field(init=False)

    async def kill(self) -> None:
        """End it as a power failure would: no goodbye, every connection reset."""
        self._network.cut_host(self.host)
        self._scope.cancel("killed")
        await self._ended.wait()

    async def stop(self) -> None:
        """End it in order: its sessions close their connections."""
        self._stop.set()
        await self._ended.wait()

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Serve until killed or stopped."""
        listener = self._network.listen(self.host, APP_PORT)
        ledger = current_ledger()
        try:
            with self._scope:
                async with self.app.serve(
                    self.host,
                    APP_PORT,
                    listeners=[listener],
                    dial=self._network.dial_from(self.host),
                ) as self.server:
                    if ledger is not None:
                        ledger.watch_crashes(self._crashes)
                    task_status.started()
                    await self._stop.wait()
        finally:
            self._ended.set()

    def _crashes(self) -> list[Crashed]:
        return [
            Crashed(bulkhead="app server", who=self.host, error=error)
            for error in self.server.crashes
        ]


@attrs.define(eq=False, kw_only=True)
class World:
    """The system under test and everything around it.

    Attributes:
        server: the server; its WebSocket address is ``ws://server:8002``.
        network: what everybody is connected by; cut, stall and slow down here.
        telemetry: every fact of the server.
    """

    server: Server
    network: MemoryNetwork
    telemetry: RecordingTelemetry
    _nursery: trio.Nursery

    def glasses(self, user: str = USER) -> AbstractAsyncContextManager[Glasses]:
        """Glasses of ``user``, attached for as long as the block runs."""
        return open_glasses(
            self.server.url,
            self.server.token(user),
            dial=self.network.dial_from(f"phone of {user}"),
        )

    async def add(
        self,
        app: Servable[S],
        *,
        permissions: Iterable[str] = ("ALL",),
        kind: str = "standard",
        settings: Sequence[Mapping[str, Any]] = (),
    ) -> AppProcess[S]:
        """Register ``app`` and run it on a host that is called as its package."""
        await self.server.apps.add(
            app.package,
            url=f"http://{app.package}:{APP_PORT}",
            api_key=app.api_key,
            permissions=permissions,
            kind=kind,
            settings=settings,
        )
        return await self.run(app)

    async def run(self, app: Servable[S]) -> AppProcess[S]:
        """Run an app that is registered already, as after a crash of its process."""
        process = AppProcess(app, app.package, self.network)
        await self._nursery.start(process.run, name=f"app server {app.package}")
        return process

    def snapshot(self, package: str, user: str = USER) -> AppSnapshot | None:
        """How the server sees an app session now; ``None`` if there is none."""
        session = self.server.directory.user(user_id(user))
        apps = session.apps if session is not None else ()
        return next((app for app in apps if app.package == package_name(package)), None)

    def state(self, package: str, user: str = USER) -> str | None:
        """The public name of an app's state now; ``None`` if it has no session."""
        found = self.snapshot(package, user)
        return found.state if found is not None else None


@asynccontextmanager
async def open_world(
    config: Config | None = None,
    *,
    network: MemoryNetwork | None = None,
    store: Store | None = None,
    environment: Environment | None = None,
) -> AsyncGenerator[World]:
    """A world for as long as the block runs. Wants virtual time.

    Args:
        config: as for a real server; address, secrets and data folder are the world's own.
        network: to share with another world, or with latency; ``None`` makes one.
        store: to keep something beyond this world; ``None``: in memory.
        environment: ``None``: reproducible, and wall time that follows Trio's clock.
    """
    network = network or MemoryNetwork()
    telemetry = RecordingTelemetry()
    address = f"ws://{SERVER_HOST}:{SERVER_PORT}"
    config = attrs.evolve(
        config or Config(),
        public_url=address,
        data_dir=None,
        jwt_secret=JWT_SECRET,
        admin_token=ADMIN_TOKEN,
    )
    webhooks = HttpWebhooks(
        allow_private_networks=True,
        connect_s=config.lifecycle.webhook_connect_s,
        read_s=config.lifecycle.webhook_s,
        dial=network.dial_from(SERVER_HOST),
    )
    async with (
        open_server(
            config,
            store=store,
            webhooks=webhooks,
            telemetry=telemetry,
            environment=environment or virtual_environment(),
            listeners=[network.listen(SERVER_HOST, SERVER_PORT)],
        ) as server,
        trio.open_nursery() as processes,
    ):
        yield World(server=server, network=network, telemetry=telemetry, nursery=processes)
        processes.cancel_scope.cancel("world ends")
