"""Assembly: opens everything in order, and closes it in the reverse order.

Order of opening is order of trust: what is opened first outlives what is opened after it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, partial
from importlib.metadata import version
from typing import Final

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from .concurrency.closing import Closing
from .config import Config
from .domain.facts import ServerDraining, ServerStarted
from .domain.frame_counts import FrameCounts
from .domain.ids import package_name, user_id
from .domain.starting import StartResult
from .domain.timings import LAST_CLOSE_S
from .engines import LiveStreams, Transcriber, Voice
from .environment import Environment
from .opening import (
    Listeners,
    StreamFile,
    addresses_of,
    http_base,
    http_webhooks,
    listen,
    open_store,
    open_streams,
    open_voice,
    public_hosts,
    report_voice,
    websocket_base,
)
from .ports import Store, Telemetry, Webhooks
from .sessions.catalog import AppCatalog
from .sessions.directory import Directory
from .sessions.snapshots import UserSnapshot
from .sessions.surroundings import Surroundings
from .sessions.tool_calls import ToolCalls
from .speech.engines import open_engine
from .storage.secrets import admin_token, jwt_secret, user_token_key
from .telemetry.counts import HttpAnswers
from .telemetry.fan import Telemetries
from .telemetry.journal import Journal
from .telemetry.metrics import Metrics
from .telemetry.slow_tasks import SlowTasks
from .transport.admission import Admission, frame_counts
from .transport.port import Port
from .transport.pump import Pump, pump_for
from .web.asgi import Services, make_app
from .web.speaking import Speaker
from .wire.tokens import mint_core_token

VERSION: Final = version("mentra-trio")


@attrs.define(eq=False, kw_only=True)
class Server:
    """A running server: what an embedder may ask of it.

    Attributes:
        url: base of the WebSocket endpoints, such as ``ws://127.0.0.1:8002``.
        http_url: base of the HTTP routes.
        apps: the registered apps.
        directory: the live sessions.
        admin_token: opens the ``/api/admin`` routes.
    """

    url: str
    apps: AppCatalog
    directory: Directory
    admin_token: str = attrs.field(repr=False)
    _jwt_secret: str = attrs.field(repr=False)
    _user_token_key: Callable[[], RSAPrivateKey] = attrs.field(repr=False)
    _environment: Environment
    _journal: Journal

    @property
    def http_url(self) -> str:
        """Base of the HTTP routes, such as ``http://127.0.0.1:8002``."""
        return http_base(self.url)

    async def start_app(self, user: str, package: str) -> StartResult:
        """Start an app for a user whose glasses are, or were just, connected.

        Everybody who asks while the start is under way gets the same result object. Raises as
        ``Directory.start_app``.
        """
        return await self.directory.start_app(user_id(user), package_name(package))

    async def stop_app(self, user: str, package: str) -> bool:
        """Stop an app as its user wants it; ``False`` if it was not running."""
        return await self.directory.stop_app(user_id(user), package_name(package))

    def why(self, user: str, package: str) -> list[str]:
        """Why an app of a user is as it is, and what comes next: at most five lines."""
        who, what = user_id(user), package_name(package)
        return self.directory.explain(who, what, self._journal.story(who, what))

    def users(self) -> list[UserSnapshot]:
        """All user sessions at this moment, by user id."""
        return self.directory.users()

    def token(self, user: str, ttl_s: float | None = None) -> str:
        """A core token with which glasses of ``user`` may connect; valid ``ttl_s`` seconds."""
        now = self._environment.utcnow()
        return mint_core_token(user_id(user), self._jwt_secret, now=now, ttl_s=ttl_s)


@asynccontextmanager
async def open_server(
    config: Config,
    *,
    store: Store | None = None,
    webhooks: Webhooks | None = None,
    voice: Voice | None = None,
    telemetry: Telemetry | None = None,
    transcriber: Transcriber | None = None,
    environment: Environment | None = None,
    listeners: Listeners | None = None,
    live_streams: LiveStreams | None = None,
) -> AsyncGenerator[Server, None]:
    """Serve while the block runs; drain for at most ``config.drain_s`` seconds after it.

    Everything that is not given is made from ``config``: a store in the data folder, or in
    memory where there is none; webhooks over HTTP; the recogniser of speech, the voice and the
    streaming engine that are set, if they are; listeners on ``config.host`` and ``port``.
    Listeners that are given are closed at the end, also where the server cannot be opened.
    ``telemetry`` gets every fact, beside the metrics and the journal that every server has.

    Raises:
        ConfigError: a setting is wrong or cannot be used.
        StoreFailed: the store, or a secret kept beside it, cannot be used.
        OSError: the address cannot be listened on.
    """
    environment = environment or Environment()
    async with AsyncExitStack() as opened:
        for listener in listeners or ():
            opened.push_async_callback(listener.aclose)  # also where we never come to serve
        if store is None:
            store = await opened.enter_async_context(open_store(config))
        if listeners is None:
            listeners = await listen(config)
            for listener in listeners:
                opened.push_async_callback(listener.aclose)
        parts = _Parts(
            config=config,
            store=store,
            webhooks=webhooks or http_webhooks(config),
            voice=voice or open_voice(config),
            telemetry=telemetry,
            transcriber=transcriber or open_engine(config.speech),
            environment=environment,
            url=websocket_base(config, listeners),
            live_streams=live_streams,
        )
        server = await opened.enter_async_context(_serve(parts, listeners))
        yield server


@attrs.frozen(kw_only=True)
class _Parts:
    """What the assembly is made of, once every default is settled."""

    config: Config
    store: Store
    webhooks: Webhooks
    voice: Voice | None
    telemetry: Telemetry | None
    transcriber: Transcriber | None
    environment: Environment
    url: str
    live_streams: LiveStreams | None


@asynccontextmanager
async def _serve(parts: _Parts, listeners: Listeners) -> AsyncGenerator[Server, None]:
    frames = frame_counts()
    metrics, journal = Metrics(frames=frames), Journal(parts.environment)
    sinks: list[Telemetry] = [metrics, journal]
    telemetry = Telemetries(*sinks, *([parts.telemetry] if parts.telemetry else []))
    secret, admin = jwt_secret(parts.config), admin_token(parts.config)
    key = cache(partial(user_token_key, parts.config))
    if parts.config.data_dir is not None or parts.config.user_token_key:
        key()  # made at the first start; a wrong one is told at once
    async with (
        open_streams(parts.config, parts.url, telemetry, parts.environment.new_token) as streams,
        _sessions(parts, telemetry, parts.live_streams or streams[0]) as directory,
    ):
        server = Server(
            url=parts.url,
            apps=AppCatalog(parts.store, directory),
            directory=directory,
            admin_token=admin,
            jwt_secret=secret,
            user_token_key=key,
            environment=parts.environment,
            journal=journal,
        )
        port = _port(parts, server, telemetry, metrics, frames, streams[1])
        async with (
            _pumping(port.pump),
            _accepting(port, listeners, directory, telemetry, parts.config.drain_s),
            # until the end begins, which has more urgent things to do
            _steps_measured(parts.environment.perf_counter, telemetry, metrics),
        ):
            telemetry.emit(ServerStarted(address=parts.url))
            yield server


@asynccontextmanager
async def _sessions(
    parts: _Parts, telemetry: Telemetry, live_streams: LiveStreams | None
) -> AsyncGenerator[Directory]:
    """The sessions: they outlive every connection, and what writes them down outlives them."""
    async with trio.open_nursery() as background:
        async with trio.open_nursery() as sessions:
            directory = Directory(_surroundings(parts, telemetry, live_streams), sessions)
            await directory.recall()
            background.start_soon(directory.run, name="background")
            try:
                yield directory
            finally:
                directory.drain()  # also where an error or a cancellation brought us here
                sessions.cancel_scope.deadline = trio.current_time() + parts.config.lifecycle.stop_s
        background.cancel_scope.cancel("server closed")


def _port(
    parts: _Parts,
    server: Server,
    telemetry: Telemetry,
    metrics: Metrics,
    frames: Mapping[str, FrameCounts],
    stream_file: StreamFile,
) -> Port:
    directory, closing = server.directory, Closing()
    limits, environment = parts.config.limits, parts.environment
    secret = server._jwt_secret
    admission = Admission(
        directory, parts.store, secret, limits, telemetry, environment, frames=frames
    )
    services = _services(parts, server, metrics, stream_file, closing.event)
    metrics.add(HttpAnswers(services.answers))
    return Port(
        app=make_app(services),
        websockets=admission,
        limits=limits,
        telemetry=telemetry,
        crowded_until=directory.surroundings.crowded_until,
        closing=closing,
        pump=pump_for(parts.config.driver, real_time=environment.perf_counter is not None),
    )


def _services(
    parts: _Parts,
    server: Server,
    metrics: Metrics,
    stream_file: StreamFile,
    closing: trio.Event,
) -> Services:
    """What the routes are given."""
    directory, journal = server.directory, server._journal
    return Services(
        directory=directory,
        catalog=server.apps,
        store=parts.store,
        jwt_secret=server._jwt_secret,
        admin_token=server.admin_token,
        environment=parts.environment,
        metrics=metrics.render,
        journal=journal.entries,
        follow=journal.follow,
        recover=directory.recover_app,
        why=server.why,
        draining=lambda: directory.draining,
        tools=ToolCalls(directory.surroundings),
        closing=closing,
        version=VERSION,
        stream_file=stream_file,
        hosts=public_hosts(parts.config),
        addresses=addresses_of(parts.config, server.http_url),
        user_token_key=server._user_token_key,
        supabase_jwt_secret=parts.config.supabase_jwt_secret,
        speaker=Speaker(
            voice=parts.voice,
            report=partial(report_voice, directory.surroundings.telemetry),
        ),
    )


@asynccontextmanager
async def _steps_measured(
    clock: Callable[[], float] | None, telemetry: Telemetry, metrics: Metrics
) -> AsyncGenerator[None]:
    """Measure every task of this run while the block lasts, if there is a clock for it."""
    if clock is None:
        yield
        return
    slow = SlowTasks(telemetry, clock)
    metrics.add(slow)
    trio.lowlevel.add_instrument(slow)
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(slow)


@asynccontextmanager
async def _pumping(pump: Pump | None) -> AsyncGenerator[None]:
    """Have ``pump`` read as long as there are connections."""
    async with trio.open_nursery() as nursery:
        if pump is not None:
            nursery.start_soon(pump.run, name="pump")
        yield
        nursery.cancel_scope.cancel("no connections any more")


@asynccontextmanager
async def _accepting(
    port: Port, listeners: Listeners, directory: Directory, telemetry: Telemetry, drain_s: float
) -> AsyncGenerator[None, None]:
    """Accept connections while the block runs, then end those there are."""
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            for listener in listeners:
                accepting.start_soon(port.listen, listener, connections, name="listener")
            yield
            accepting.cancel_scope.cancel("draining")  # 1. no new connections
        telemetry.emit(ServerDraining())
        connections.cancel_scope.deadline = trio.current_time() + drain_s
        port.closing.set()  # 2. idle connections end, and none is kept alive
        directory.begin_nothing_new()  # what is under way goes on
        with trio.move_on_after(max(0.0, drain_s - 2 * LAST_CLOSE_S)):
            await port.until_quiet()
        await directory.close()  # 3. what sessions are is on disk
        await directory.drain_in_lots()  # 4. links are given back, and closed in order
        closed_by = trio.current_time() + LAST_CLOSE_S
        connections.cancel_scope.deadline = min(connections.cancel_scope.deadline, closed_by)


def _surroundings(
    parts: _Parts, telemetry: Telemetry, live_streams: LiveStreams | None
) -> Surroundings:
    return Surroundings(
        store=parts.store,
        webhooks=parts.webhooks,
        telemetry=telemetry,
        environment=parts.environment,
        lifecycle=parts.config.lifecycle,
        heartbeat=parts.config.heartbeat,
        limits=parts.config.limits,
        websocket_url=lambda token: f"{parts.url}/s/{token}/app-ws",
        dashboard_package=parts.config.dashboard_package,
        transcriber=parts.transcriber,
        live_streams=live_streams,
    )
