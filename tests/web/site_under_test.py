"""A site to ask: the application over fakes of what is behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import attrs
import httpx
import trio
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mentra_trio.domain.errors import SessionEnded, UnknownApp
from mentra_trio.domain.ids import AppSessionId, PackageName, UserId, app_session_id, package_name
from mentra_trio.domain.starting import STARTED, StartResult
from mentra_trio.environment import Environment
from mentra_trio.ports import Store
from mentra_trio.sessions.catalog import AppCatalog
from mentra_trio.sessions.directory import Directory
from mentra_trio.sessions.endpoint import EndpointSnapshot
from mentra_trio.sessions.neighbours import Neighbours
from mentra_trio.sessions.snapshots import AppSnapshot, UserSnapshot
from mentra_trio.sessions.tool_calls import ToolCalls
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.telemetry.journal import Journal
from mentra_trio.testing.household import Household, open_household
from mentra_trio.web.asgi import Services, make_app
from mentra_trio.wire.tokens import mint_core_token
from mentra_trio.wire.user_tokens import make_key_pem, read_key

SUPABASE_SECRET = "p" * 32
SECRET, ADMIN = "s" * 32, "the-admin-token"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
USER, PACKAGE = UserId("u-1@x.org"), PackageName("com.t.a")
CORE = mint_core_token(USER, SECRET, now=NOW, ttl_s=None)
AS_USER = {"authorization": f"Bearer {CORE}"}
AS_ADMIN = {"authorization": f"Bearer {ADMIN}"}


@cache
def user_token_key() -> RSAPrivateKey:
    """One for all tests: it takes a while to make one."""
    return read_key(make_key_pem())


def app_snapshot(**changes: Any) -> AppSnapshot:
    fields: dict[str, Any] = {
        "package": PACKAGE,
        "state": "running",
        "app_state": "CONNECTED",
        "since": NOW,
        "cause": "a link is attached",
        "subscriptions": ("button_press",),
        "epoch": 1,
        "attempt": 2,
        "next_attempt_at": None,
        "outbox": 0,
    }
    return AppSnapshot(**{**fields, **changes})


def user_snapshot(user: UserId = USER, *apps: AppSnapshot) -> UserSnapshot:
    return UserSnapshot(user=user, state="CONNECTED", since=NOW, connected=True, apps=apps)


@attrs.define(eq=False)
class Sessions:
    """A directory that says what the test wants."""

    store: MemoryStore
    snapshots: dict[UserId, UserSnapshot] = attrs.field(factory=dict)
    result: StartResult = STARTED
    recovered: int = 0
    looked_at: int = 0
    """Of how many users somebody wanted to see the sessions."""
    endpoints: dict[PackageName, EndpointSnapshot] = attrs.field(factory=dict)
    commands: list[tuple[str, UserId, PackageName]] = attrs.field(factory=list)

    def users(self, *, after: str = "", limit: int | None = None) -> list[UserSnapshot]:
        found = [self.snapshots[user] for user in sorted(self.snapshots) if user > after][:limit]
        self.looked_at += len(found)
        return found

    def active(self, package: PackageName) -> list[AppSessionId]:
        return [
            app_session_id(user, package)
            for user in sorted(self.snapshots)
            for app in self.snapshots[user].apps
            if app.package == package and app.active
        ]

    def user(self, user: UserId) -> UserSnapshot | None:
        return self.snapshots.get(user)

    @property
    def surroundings(self) -> SimpleNamespace:
        return SimpleNamespace(store=self.store, neighbours=Neighbours())

    def live(self, user: UserId) -> NoReturn:
        raise SessionEnded("nobody has a session here: there are only pictures of some")

    async def _check(self, user: UserId, package: PackageName) -> None:
        if await self.store.app(package) is None:
            raise UnknownApp
        if user not in self.snapshots:
            raise SessionEnded

    async def start_app(self, user: UserId, package: PackageName) -> StartResult:
        await self._check(user, package)
        self.commands.append(("start", user, package))
        if self.result.success:
            self.snapshots[user] = user_snapshot(user, app_snapshot(package=package))
        return self.result

    async def stop_app(self, user: UserId, package: PackageName) -> bool:
        await self._check(user, package)
        self.commands.append(("stop", user, package))
        was = bool(self.snapshots[user].apps)
        self.snapshots[user] = user_snapshot(user)
        return was

    async def change_user_settings(
        self, user: UserId, changes: Mapping[str, Any], *, by_phone: bool = False
    ) -> Mapping[str, Any]:
        await self.store.put_user_settings(user, changes)
        return await self.store.user_settings(user)

    async def recover(self, package: PackageName) -> int:
        self.commands.append(("recover", UserId(""), package))
        return self.recovered

    def app_changed(self, package: PackageName, url: str) -> None:
        pass  # nobody waits for a server here

    def endpoint(self, package: PackageName) -> EndpointSnapshot | None:
        return self.endpoints.get(package)

    def app_removed(self, package: PackageName) -> None:
        self.commands.append(("removed", USER, package))


@attrs.define(eq=False)
class Site:
    client: httpx.AsyncClient
    services: Services
    sessions: Sessions
    store: MemoryStore
    draining: list[bool]

    async def get(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.client.get(path, **kwargs)

    async def post(self, path: str, **kwargs: Any) -> httpx.Response:
        return await self.client.post(path, **kwargs)


@asynccontextmanager
async def open_site() -> AsyncIterator[Site]:
    store, draining = MemoryStore(), [False]
    sessions = Sessions(store)
    directory = cast("Directory", sessions)
    catalog = AppCatalog(store, directory)
    await catalog.add(
        PACKAGE,
        url="http://127.0.0.1:7010/",
        api_key="key",
        permissions=["MICROPHONE", "camera"],
        settings=[{"key": "size", "type": "number", "defaultValue": 3}],
    )
    services = services_over(
        directory, catalog, store, recover=sessions.recover, draining=lambda: draining[0]
    )
    async with client_of(services) as client:
        yield Site(client, services, sessions, store, draining)


@asynccontextmanager
async def open_house_site(
    **settings: Any,
) -> AsyncIterator[tuple[Household, httpx.AsyncClient]]:
    """A site over real sessions, with fake links and app servers; ``settings`` are theirs."""
    async with open_household(**settings) as house, client_of(services_of_house(house)) as client:
        yield house, client


def services_of_house(house: Household) -> Services:
    """Services over the real sessions of ``house``."""
    directory = house.directory
    return services_over(
        directory,
        house.catalog,
        house.store,
        recover=directory.recover_app,
        draining=lambda: directory.draining,
        tools=ToolCalls(directory.surroundings),
    )


def services_over(
    directory: Directory,
    catalog: AppCatalog,
    store: Store,
    *,
    recover: Callable[[PackageName], Awaitable[int]],
    draining: Callable[[], bool],
    tools: ToolCalls | None = None,
) -> Services:
    return Services(
        directory=directory,
        catalog=catalog,
        store=store,
        jwt_secret=SECRET,
        admin_token=ADMIN,
        environment=Environment(utcnow=lambda: NOW),
        metrics=lambda: b"mentra_up 1\n",
        journal=lambda user, limit: [{"user": user, "limit": limit}],
        follow=Journal().follow,
        closing=trio.Event(),
        recover=recover,
        why=lambda user, package: [f"{user} {package_name(package)}"],
        draining=draining,
        tools=tools or cast("ToolCalls", None),
        version="1.2.3",
        hosts=frozenset({"glasses.example.com"}),
        addresses=frozenset({"https://glasses.example.com"}),
        user_token_key=user_token_key,
        supabase_jwt_secret=SUPABASE_SECRET,
    )


@asynccontextmanager
async def client_of(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(services), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
