"""Sessions without a network: a directory on fake ports, for tests of what sessions do and when."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from random import Random
from typing import Any, Unpack

import attrs
import trio

from ..domain.ids import PackageName, UserId, package_name, user_id
from ..domain.timings import Heartbeat, Lifecycle, Limits
from ..engines import LiveStreams, Transcriber
from ..environment import Environment
from ..ports import SessionCall, Store
from ..sessions.catalog import AppCatalog, AppDetails
from ..sessions.directory import AppClaim, Directory
from ..sessions.snapshots import AppSnapshot
from ..sessions.surroundings import Surroundings
from ..storage.memory_store import MemoryStore
from .links import FakeWebhooks, MemoryLink, WebhookScript
from .recording import RecordingTelemetry
from .wall_clock import WallClock

USER = user_id("u-1@x.org")
APP = package_name("com.t.a")
ALL = ("ALL",)


def virtual_environment(seed: int = 0, *, tokens: str = "t") -> Environment:
    """Wall time that follows Trio's clock, seeded randomness, and tokens ``t1``, ``t2`` ...

    ``tokens`` replaces the ``t``, for a server that comes after another.
    """
    names = count(1)
    return Environment(
        utcnow=WallClock().now,
        random=Random(seed),
        perf_counter=None,  # no virtual time passes during a step
        new_token=lambda: f"{tokens}{next(names)}",
    )


def token_of(call: SessionCall) -> str:
    """The token of the attempt, as it stands in the URL that the app server is given."""
    return call.websocket_url.split("/")[-2]


@attrs.define(eq=False, kw_only=True)
class Household:
    """A directory with fake webhooks and a store in memory, and links made by the test."""

    directory: Directory
    store: Store
    webhooks: FakeWebhooks
    telemetry: RecordingTelemetry
    _connections: trio.Nursery

    @property
    def catalog(self) -> AppCatalog:
        """The registered apps."""
        return AppCatalog(self.store, self.directory)

    async def add_app(
        self,
        package: str = APP,
        *,
        permissions: Iterable[str] = ALL,
        kind: str = "standard",
        settings: Sequence[Mapping[str, Any]] = (),
        **details: Unpack[AppDetails],
    ) -> PackageName:
        """Register an app whose server nobody needs."""
        added = await self.catalog.add(
            package,
            url=f"http://{package}.test",
            api_key="key",
            permissions=permissions,
            kind=kind,
            settings=settings,
            **details,
        )
        return added.registration.package

    def glasses(self, user: UserId = USER, *, name: str = "glasses") -> MemoryLink:
        """A link of glasses, on its way to the user's session."""
        link = MemoryLink(name)
        self._connections.start_soon(link.lend, partial(self.directory.serve_glasses, user))
        return link

    async def attached_glasses(self, user: UserId = USER) -> MemoryLink:
        """The same, once it was greeted."""
        link = self.glasses(user)
        await link.expect("connection_ack")
        return link

    def app(
        self,
        user: UserId = USER,
        package: PackageName = APP,
        *,
        token: str | None = None,
        reconnect: bool = False,
        reconnect_token: str = "",
        name: str = "app",
        link: MemoryLink | None = None,
    ) -> MemoryLink:
        """A link of an app whose key was verified, on its way to the user's session."""
        link = link or MemoryLink(name)
        claim = AppClaim(
            package=package,
            session_id=f"{user}-{package}",
            user=None,
            token=token,
            reconnect=reconnect,
            reconnect_token=reconnect_token,
        )
        self._connections.start_soon(link.lend, partial(self.directory.serve_app, claim))
        return link

    def answer(self, call: SessionCall) -> MemoryLink:
        """A link of the app server that was called, over the URL that it was given."""
        return self.app(call.user, call.package, token=token_of(call))

    def connect_when_called(
        self, package: PackageName = APP, *, after: float = 0.0
    ) -> list[MemoryLink]:
        """From now on the server of ``package`` answers ``after`` seconds, and its app connects.

        Returns where its links will be, in their order.
        """
        links: list[MemoryLink] = []

        def connect(call: SessionCall) -> None:
            links.append(self.answer(call))

        self.webhooks.plan(package, WebhookScript(deliver_after=after, on_delivered=connect))
        return links

    async def running_app(self, user: UserId = USER, package: PackageName = APP) -> MemoryLink:
        """An app that was started and greeted; the glasses must be attached."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.directory.start_app, user, package)
            link = self.answer(await self.webhooks.next_start())
            await link.expect("tpa_connection_ack")
        return link

    async def running_apps(
        self, users: Iterable[UserId], package: PackageName = APP
    ) -> dict[UserId, MemoryLink]:
        """The links of ``package`` for ``users``, who have come with their glasses and run it."""
        links = {}
        for user in users:
            await self.attached_glasses(user)
            links[user] = await self.running_app(user, package)
        return links

    def snapshot(self, user: UserId = USER, package: PackageName = APP) -> AppSnapshot | None:
        """How an app session looks now; ``None`` if there is none."""
        session = self.directory.user(user)
        apps = session.apps if session is not None else ()
        return next((app for app in apps if app.package == package), None)

    def state(self, user: UserId = USER, package: PackageName = APP) -> str | None:
        """The public name of an app's state now; ``None`` if it has no session.

        Unlike a snapshot it may be asked for from outside of Trio.
        """
        session = self.directory._users.get(user)
        if session is None:
            return None
        app, rest = session.roster.apps.get(package), session.roster.resting.get(package)
        state = app.state if app is not None else rest.record.state if rest is not None else None
        return state.value if state is not None else None

    def subscriptions(self, user: UserId, package: PackageName) -> tuple[str, ...] | None:
        """The streams in force for an app; ``None`` if it has no session. As ``state``."""
        session = self.directory._users.get(user)
        app = session.roster.apps.get(package) if session is not None else None
        return app.subscriptions.texts if app is not None else None

    def kept(self, user: UserId, package: PackageName) -> int:
        """How many messages are kept for an app that is away. As ``state``."""
        session = self.directory._users.get(user)
        if session is None:
            return 0
        app, rest = session.roster.apps.get(package), session.roster.resting.get(package)
        backlog = app.backlog if app is not None else rest.backlog if rest is not None else ()
        return len(backlog)


@asynccontextmanager
async def open_wearer(**settings: Any) -> AsyncGenerator[tuple[Household, MemoryLink]]:
    """A household in which ``USER`` wears glasses and ``APP`` is registered: it, their link.

    ``settings`` are those of ``open_household``.
    """
    async with open_household(**settings) as house:
        await house.add_app()
        yield house, await house.attached_glasses()


@asynccontextmanager
async def open_one_app(
    **settings: Any,
) -> AsyncGenerator[tuple[Household, MemoryLink, MemoryLink]]:
    """A household in which ``USER`` wears glasses and runs ``APP``: it, their link, its link.

    ``settings`` are those of ``open_household``.
    """
    async with open_wearer(**settings) as (house, glasses):
        yield house, glasses, await house.running_app()


@asynccontextmanager
async def open_household(
    *,
    lifecycle: Lifecycle | None = None,
    heartbeat: Heartbeat | None = None,
    limits: Limits | None = None,
    store: Store | None = None,
    environment: Environment | None = None,
    webhooks: FakeWebhooks | None = None,
    telemetry: RecordingTelemetry | None = None,
    transcriber: Transcriber | None = None,
    live_streams: LiveStreams | None = None,
) -> AsyncGenerator[Household, None]:
    """Sessions that live while the block runs; afterwards all are ended and all links closed."""
    webhooks, telemetry = webhooks or FakeWebhooks(), telemetry or RecordingTelemetry()
    store = store or MemoryStore()
    surroundings = Surroundings(
        store=store,
        webhooks=webhooks,
        telemetry=telemetry,
        environment=environment or virtual_environment(),
        lifecycle=lifecycle or Lifecycle(),
        heartbeat=heartbeat or Heartbeat(),
        limits=limits or Limits(),
        websocket_url=lambda token: f"ws://server.test/s/{token}/app-ws",
        dashboard_package="system.augmentos.dashboard",
        transcriber=transcriber,
        live_streams=live_streams,
    )
    async with _open_directory(surroundings) as (directory, connections):
        yield Household(
            directory=directory,
            store=store,
            webhooks=webhooks,
            telemetry=telemetry,
            connections=connections,
        )


@asynccontextmanager
async def _open_directory(
    surroundings: Surroundings,
) -> AsyncGenerator[tuple[Directory, trio.Nursery]]:
    """A directory, and a nursery for the connections that it serves."""
    async with trio.open_nursery() as background:
        async with trio.open_nursery() as sessions, trio.open_nursery() as connections:
            directory = Directory(surroundings, sessions)
            await directory.recall()
            background.start_soon(directory.run)
            yield directory, connections
            await directory.close()
            directory.drain()
        background.cancel_scope.cancel("household ends")
