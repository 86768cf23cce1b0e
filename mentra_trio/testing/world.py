"""A whole server with its surroundings, on an in-memory network and in virtual time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
)
from typing import Any, Final, Protocol, Unpack

import attrs
import trio

from ..clients.glasses import Glasses, open_glasses
from ..config import Config
from ..domain.ids import package_name, user_id
from ..environment import Environment
from ..ports import Store
from ..server import Server
from ..sessions.snapshots import AppSnapshot
from ..storage.memory_store import MemoryStore
from .faults import SERVER, FaultPlan
from .household import virtual_environment
from .network import MemoryNetwork
from .playing import play
from .processes import APP_PORT as APP_PORT
from .processes import SERVER_PORT as SERVER_PORT
from .processes import AppProcess as AppProcess
from .processes import Engines, Phone, Process, R, ServableApp, ServerProcess
from .recording import RecordingTelemetry
from .schedule import seeded_schedule
from .wall_clock import WallClock

SERVER_HOST: Final = SERVER
USER: Final = "u-1@x.org"
JWT_SECRET: Final = "in-memory-worlds-have-no-secrets-"
ADMIN_TOKEN: Final = "in-memory-admin-token-of-no-value"


@attrs.define(eq=False, kw_only=True)
class World:
    """The system under test and everything around it.

    Attributes:
        network: what everybody is connected by; cut, stall and slow down here.
        telemetry: every fact of the server, in all its lives.
        store: the server's disk.
        wall: the server's wall clock.
        server_process: the server, to be killed and started again.
        seed: what its course follows from; ``None``: the order of tasks is Trio's own affair.
    """

    network: MemoryNetwork
    telemetry: RecordingTelemetry
    store: Store
    wall: WallClock
    server_process: ServerProcess
    seed: int | None
    _nursery: trio.Nursery
    _others: list[Process] = attrs.field(factory=list, init=False)

    @property
    def server(self) -> Server:
        """The server; its WebSocket address is ``ws://server:8002``. After a restart another."""
        return self.server_process.server

    @property
    def processes(self) -> list[Process]:
        """Everything that runs, or has run, on a host: the server first."""
        return [self.server_process, *self._others]

    def glasses(self, user: str = USER) -> AbstractAsyncContextManager[Glasses]:
        """Glasses of ``user``, attached for as long as the block runs."""
        return open_glasses(
            self.server.url,
            self.server.token(user),
            dial=self.network.dial_from(phone_of(user)),
        )

    async def wear(self, user: str = USER, *, host: str | None = None) -> Phone:
        """Have ``user`` wear glasses: a phone that stays attached, and comes back after a loss.

        ``host`` is its name in the network, ``"phone of ..."`` unless there is another such.
        """
        phone = Phone(
            host or phone_of(user),
            self.network,
            self._nursery,
            user=user,
            token=self.server.token(user),
            url=self.server.url,
        )
        self._others.append(phone)
        await phone.start()
        return phone

    async def add(
        self,
        app: ServableApp[R],
        *,
        permissions: Iterable[str] = ("ALL",),
        kind: str = "standard",
        settings: Sequence[Mapping[str, Any]] = (),
    ) -> AppProcess[R]:
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

    async def run(self, app: ServableApp[R]) -> AppProcess[R]:
        """Run an app that is registered already, as after a crash of its process."""
        process = AppProcess(app.package, self.network, self._nursery, app)
        self._others.append(process)
        await process.start()
        return process

    async def play(self, plan: FaultPlan) -> None:
        """Let everything go wrong that is in ``plan``; returns when the last fault is over.

        To act meanwhile, play it in a task of its own; a cancellation ends the faults.
        """
        await play(self, plan)

    def snapshot(self, package: str, user: str = USER) -> AppSnapshot | None:
        """How the server sees an app session now; ``None`` if there is none."""
        session = self.server.directory.user(user_id(user))
        apps = session.apps if session is not None else ()
        return next((app for app in apps if app.package == package_name(package)), None)

    def state(self, package: str, user: str = USER) -> str | None:
        """The public name of an app's state now; ``None`` if it has no session."""
        found = self.snapshot(package, user)
        return found.state if found is not None else None


class AppServers(Protocol):
    """What ``World.add`` is, as a fixture."""

    async def __call__(
        self,
        app: ServableApp[R],
        *,
        permissions: Iterable[str] = ...,
        kind: str = ...,
        settings: Sequence[Mapping[str, Any]] = ...,
    ) -> AppProcess[R]:
        """Register ``app`` and run it on a host that is called as its package."""
        ...


def phone_of(user: str) -> str:
    """The host name of a user's phone."""
    return f"phone of {user}"


@asynccontextmanager
async def open_world(
    config: Config | None = None,
    *,
    seed: int | None = None,
    network: MemoryNetwork | None = None,
    store: Store | None = None,
    environment: Environment | None = None,
    **engines: Unpack[Engines],
) -> AsyncGenerator[World]:
    """A world for as long as the block runs. Wants virtual time.

    Args:
        config: as for a real server; address, secrets and data folder are the world's own.
        seed: what everything random follows from, Trio's order of ready tasks included; ``None``:
            all but that order is as with seed 0.
        network: to share with another world, or with latency; ``None`` makes one.
        store: to keep something beyond this world; ``None``: in memory.
        environment: ``None``: reproducible, and wall time is that of ``World.wall``.
        engines: ``transcriber``, ``live_streams`` and ``voice``, as of ``open_server``. Without
            them only phones recognise speech, and nothing is streamed or spoken.
    """
    wall = WallClock()
    environment = environment or attrs.evolve(virtual_environment(seed or 0), utcnow=wall.now)
    network, store = network or MemoryNetwork(), store or MemoryStore()
    telemetry = RecordingTelemetry()
    async with AsyncExitStack() as opened:
        network.must_be_free(SERVER_HOST, SERVER_PORT)
        opened.enter_context(seeded_schedule(seed) if seed is not None else nullcontext())
        lives = await opened.enter_async_context(trio.open_nursery())
        process = ServerProcess(
            SERVER_HOST,
            network,
            lives,
            config=_config(config or Config()),
            store=store,
            telemetry=telemetry,
            environment=environment,
            engines=engines,
        )
        await process.start()
        async with _everybody_else() as others:
            yield World(
                network=network,
                telemetry=telemetry,
                store=store,
                wall=wall,
                server_process=process,
                seed=seed,
                nursery=others,
            )
        if process.is_up:
            await process.stop()


@asynccontextmanager
async def _everybody_else() -> AsyncGenerator[trio.Nursery]:
    """Where apps and phones live; they end first."""
    async with trio.open_nursery() as others:
        yield others
        others.cancel_scope.cancel("world ends")


def _config(config: Config) -> Config:
    return attrs.evolve(
        config,
        public_url=f"ws://{SERVER_HOST}:{SERVER_PORT}",
        data_dir=None,
        jwt_secret=JWT_SECRET,
        admin_token=ADMIN_TOKEN,
    )
