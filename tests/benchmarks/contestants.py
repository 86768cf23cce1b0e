"""The servers that are measured: ours, ours at an earlier commit, and four plain relays."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs
from workloads import Workload

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
RELAYS: Final = HERE / "relays"
NODE_MODULES: Final = RELAYS / "node_modules"
RELAY_PYTHON: Final = ROOT / ".nox" / "bench" / ("Scripts" if os.name == "nt" else "bin") / "python"
SECRET: Final = "a secret for benchmarks only, 32 bytes and more"
API_KEY: Final = "key"
PACKAGES: Final = tuple(f"com.bench.app{number}" for number in range(5))
BEFORE: Final = "fdc900c"
"""The last commit whose links were those of trio-websocket."""
START_S: Final = 20.0
READY: Final = re.compile(r"ready on http://127\.0\.0\.1:(\d+)")
NO_DOORMAN: Final = {
    "MENTRA_TRIO_LIMITS_UPGRADES_PER_S": "1000000",
    "MENTRA_TRIO_LIMITS_UPGRADES_BURST": "1000000",
}
"""By default 400 links are opened per second; that limit is no question of this benchmark."""


@attrs.frozen(kw_only=True)
class Contestant:
    """A program that serves.

    Attributes:
        apps_url: where our server reaches the load's webhook endpoint; ``None``: a relay,
            to which apps connect without having been called.
    """

    key: str
    name: str
    command: tuple[str, ...]
    folder: Path = ROOT
    environ: dict[str, str] = attrs.field(factory=dict)
    data: Path | None = None
    apps_url: str | None = None

    @property
    def ours(self) -> bool:
        """Whether this is a version of our server."""
        return self.apps_url is not None


@attrs.frozen
class Running:
    """A contestant while it serves."""

    pid: int
    port: int


def ours(scratch: Path, apps_url: str, apps_number: int) -> Contestant:
    """Our server as it is in this folder, with everything that it does."""
    return _version("ours", "mentra_trio", ROOT, scratch / "ours", apps_url, apps_number)


def before(commit: str, scratch: Path, apps_url: str, apps_number: int) -> Contestant:
    """Our server as it was at ``commit``.

    Raises:
        subprocess.CalledProcessError: git does not know the commit.
    """
    archive = subprocess.run(
        ["git", "archive", commit, "mentra_trio"], cwd=ROOT, check=True, capture_output=True
    )
    folder = scratch / "package-before"
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    name = f"mentra_trio {commit[:7]}"
    return _version("before", name, folder, scratch / "before", apps_url, apps_number)


def _version(
    key: str, name: str, folder: Path, data: Path, apps_url: str, apps_number: int
) -> Contestant:
    command = (sys.executable, "-m", "mentra_trio")  # -m takes the package of the current folder
    environ = {"MENTRA_TRIO_JWT_SECRET": SECRET, "PYTHONUNBUFFERED": "1", **NO_DOORMAN}
    environ["PYTHONPATH"] = str(folder)
    for number, package in enumerate(PACKAGES[:apps_number]):
        kind = "background" if number else "standard"  # one of them has the screen
        add = ("apps", "add", package, "--type", kind, "--url", apps_url, "--api-key", API_KEY)
        subprocess.run(
            [*command, *add, "--permission", "MICROPHONE", "--data-dir", str(data)],
            cwd=folder,
            env=os.environ | environ,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    return Contestant(
        key=key,
        name=name,
        command=(*command, "serve", "--port", "0"),
        folder=folder,
        environ=environ,
        data=data,
        apps_url=apps_url,
    )


def relays(floor: Path | None) -> dict[str, Contestant | str]:
    """The relays by key: each, or why it cannot run here."""
    bun = NODE_MODULES / "bun" / "bin" / "bun.exe"  # the npm package names it so on all systems
    python = str(RELAY_PYTHON)
    no_packages = "its npm packages are not installed (nox -s bench does it where npm is)"
    found: dict[str, Contestant | str] = {}
    if shutil.which("node") is None:
        found["ws"] = "Node is not installed"
    elif not (NODE_MODULES / "ws").exists():
        found["ws"] = no_packages
    else:
        found["ws"] = _relay("ws", "ws (Node)", "node", str(RELAYS / "ws_relay.mjs"))
    if bun.exists():
        found["bun"] = _relay("bun", "Bun", str(bun), str(RELAYS / "bun_relay.mjs"))
    else:
        found["bun"] = no_packages
    if RELAY_PYTHON.exists():
        script = str(RELAYS / "websockets_relay.py")
        found["websockets"] = _relay("websockets", "websockets (uvloop)", python, script)
    else:
        found["websockets"] = "its environment is not there (nox -s bench makes it)"
    if floor is not None:
        found["floor"] = _relay("floor", "C floor", str(floor))
    else:
        found["floor"] = "it needs gcc and the headers of OpenSSL"
    return found


def _relay(key: str, name: str, *command: str) -> Contestant:
    key_hash = hashlib.sha256(API_KEY.encode()).hexdigest()
    environ = {"RELAY_SECRET": SECRET, "RELAY_KEY_HASH": key_hash}
    return Contestant(key=key, name=name, command=command, environ=environ)


@contextmanager
def running(contestant: Contestant, workload: Workload, scratch: Path) -> Generator[Running]:
    """A fresh process of ``contestant``; it is killed at the end, whatever happens.

    Raises:
        RuntimeError: it did not start.
    """
    environ = contestant.environ | {"HEARTBEAT_S": f"{workload.heartbeat_s:g}"}
    command = list(contestant.command)
    if contestant.data is not None:
        data = scratch / "data"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(contestant.data, data)
        command += ["--data-dir", str(data)]
        environ |= _settings(workload)
    log = scratch / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=contestant.folder,
            env=os.environ | environ,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Running(process.pid, _port(process, log, contestant.name))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _settings(workload: Workload) -> dict[str, str]:
    patience = str(max(60.0, workload.heartbeat_s * 4))
    return {
        "MENTRA_TRIO_HEARTBEAT_INTERVAL_S": f"{workload.heartbeat_s:g}",
        "MENTRA_TRIO_HEARTBEAT_APP_PONG_S": patience,
        "MENTRA_TRIO_HEARTBEAT_GLASSES_PONG_S": patience,
        "MENTRA_TRIO_LIFECYCLE_USER_GRACE_S": f"{workload.user_grace_s:g}",
    }


def _port(process: subprocess.Popen[bytes], log: Path, name: str) -> int:
    deadline = time.monotonic() + START_S
    while not (ready := READY.search(log.read_text(errors="replace"))):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not start: {log.read_text(errors='replace')}")
        time.sleep(0.02)
    return int(ready[1])
