"""Servers and apps for the conformance checks: started once, used by all of them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from .notes_app import CONFIG, NOTES, NOTES_KEY
from .other_cloud import OtherCloud
from .real_app import NODE_PROJECT, RealApp
from .running_server import RunningServer
from .sdk_methods import claims_hold
from .stub_app import StubApp

API_KEYS = {"com.t.a": "key of a", "com.t.b": "key of b", "com.t.quiet": "key of a"}
QUICK = (
    "lifecycle.user_grace_s=1.0",
    "lifecycle.grace_s=1.6",
    "lifecycle.grace_jitter_s=0.1",
    "limits.auth_s=1.0",
)
BUSY_S = 120
"""How long a test may take, processes of its own included, on a machine that has more to do."""
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.real_sockets)
            item.add_marker(pytest.mark.timeout(BUSY_S))


@pytest.fixture(scope="session")
def node() -> None:
    """Node and the SDK are there; otherwise the test is skipped, or fails in CI."""
    problem = None
    if shutil.which("node") is None:
        problem = "there is no Node on the PATH"
    elif not (NODE_PROJECT / "node_modules" / "@mentra" / "sdk").exists():
        problem = "the app SDK is not installed: run `nox -s conformance`"
    if problem and os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)


@pytest.fixture(scope="session")
def declared(node: None) -> Mapping[str, Any]:
    """What the SDK declares, read by the TypeScript compiler."""
    command = ["node", "declarations.mjs"]
    done = subprocess.run(command, cwd=NODE_PROJECT, capture_output=True, check=True, timeout=60)
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found


def running(folder: Path, *settings: str) -> Iterator[RunningServer]:
    """A server for as long as the generator is open."""
    server = RunningServer(folder, settings)
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="session")
def server_a(node: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with every setting at its default."""
    yield from running(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="session")
def server_q(node: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that is quick to give up."""
    yield from running(tmp_path_factory.mktemp("quick_server"), *QUICK)


@pytest.fixture(scope="session")
def node_apps(
    server_a: RunningServer, server_q: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, RealApp]]:
    """The Node processes of apps A and B, registered with both servers.

    B is a background app: a user may run both.
    """
    folder = tmp_path_factory.mktemp("apps")
    apps = {
        name: RealApp(f"com.t.{name}", API_KEYS[f"com.t.{name}"], folder / f"{name}.log")
        for name in ("a", "b")
    }
    for app, kind in zip(apps.values(), ("standard", "background"), strict=True):
        app.start()
        for server in (server_a, server_q):
            server.add_app(app.package, url=app.url, api_key=app.api_key, kind=kind)
    server_a.add_app(
        "com.t.quiet", url=apps["a"].url, api_key=API_KEYS["com.t.quiet"], permissions=[]
    )
    yield apps
    for app in apps.values():
        app.end()


@pytest.fixture
def user() -> str:
    """A user of this test alone; with a dash, because ids are never taken apart at one."""
    return f"u-{next(_numbers)}@x.org"


@pytest.fixture
def callers(request: pytest.FixtureRequest) -> Iterator[list[RealApp]]:
    """The apps that this test has: what it is said to call of the SDK, one of them calls."""
    apps: list[RealApp] = []
    yield apps
    claims_hold(request.node.originalname, *apps)


@pytest.fixture
async def app_a(
    node_apps: dict[str, RealApp], nursery: trio.Nursery, callers: list[RealApp]
) -> AsyncGenerator[RealApp]:
    """App A: the real SDK, with every permission."""
    app = node_apps["a"]
    callers.append(app)
    await nursery.start(app.watch)
    yield app
    await app.become("com.t.a", API_KEYS["com.t.a"])
    await app.command("configure", keepSocketOnStop=False)


@pytest.fixture
async def notes(server: RunningServer, app_a: RealApp, tmp_path: Path) -> AsyncGenerator[RealApp]:
    """App A as an app with a configuration of its own, which needs a camera."""
    file = tmp_path / "app_config.json"
    file.write_text(json.dumps(CONFIG))
    where = ("--url", app_a.url, "--api-key", NOTES_KEY, "--config", str(file))
    await trio.to_thread.run_sync(partial(server.command, "apps", "add", NOTES, *where))
    await app_a.become(NOTES, NOTES_KEY)
    yield app_a
    await app_a.command("configure", toolReply=None)


@pytest.fixture
async def app_b(node_apps: dict[str, RealApp], nursery: trio.Nursery) -> RealApp:
    """App B: the real SDK, with every permission; a background app."""
    app = node_apps["b"]
    await nursery.start(app.watch)
    return app


@pytest.fixture
async def stub_app(nursery: trio.Nursery) -> StubApp:
    """An app server that answers webhooks and never connects."""
    app = StubApp()
    await nursery.start(app.serve)
    return app


@pytest.fixture
def server(server_a: RunningServer) -> RunningServer:
    """The server at its default settings."""
    return server_a


@pytest.fixture
def quick_server(server_q: RunningServer) -> RunningServer:
    """The server that is quick to give up."""
    return server_q


MakeServer = Callable[..., Awaitable[RunningServer]]


@pytest.fixture
async def make_server(node: None, tmp_path: Path) -> AsyncGenerator[MakeServer]:
    """Makes servers for this test alone, with the settings that it is called with."""
    made: list[RunningServer] = []

    async def make(*settings: str) -> RunningServer:
        folder = tmp_path / f"server_{len(made)}"
        folder.mkdir()
        server = RunningServer(folder, settings)
        await server.start_again()
        made.append(server)
        return server

    yield make
    for server in made:
        if server.process.poll() is None:
            await trio.to_thread.run_sync(server.end)


@pytest.fixture
async def lone_app(
    node: None, tmp_path: Path, nursery: trio.Nursery, callers: list[RealApp]
) -> AsyncGenerator[RealApp]:
    """An app of this test alone, whose process may be ended; not registered anywhere."""
    app = RealApp("com.t.lone", "key of lone", tmp_path / "lone.log")
    callers.append(app)
    await trio.to_thread.run_sync(app.start)
    await nursery.start(app.watch)
    yield app
    await trio.to_thread.run_sync(app.end)


@pytest.fixture
async def other_cloud(nursery: trio.Nursery) -> OtherCloud:
    """Another cloud, which has sessions of its own with the same app servers."""
    cloud = OtherCloud()
    await nursery.start(cloud.serve)
    return cloud
