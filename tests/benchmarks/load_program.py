"""The load program in C: built when it is needed, and run against one server at a time."""

from __future__ import annotations

import base64
import hmac
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from contestants import HERE, SECRET, Contestant, Running
from workloads import Workload

LOAD: Final = HERE / "load"
FLOOR: Final = HERE / "relays" / "floor"
COMPILER: Final = ("gcc", "-O2", "-Wall")
TIME_LIMIT_S: Final = 600.0
TOKENS: Final = 60_000

Figures = dict[str, Any]


def built(folder: Path, name: str, *libraries: str) -> Path | None:
    """The program made of the C files in ``folder``; ``None``: it cannot be made here."""
    if shutil.which(COMPILER[0]) is None:
        return None
    target = HERE.parent.parent / "build" / "bench" / name
    sources = sorted(folder.glob("*.c"))
    newest = max(file.stat().st_mtime for file in folder.iterdir())
    if target.exists() and target.stat().st_mtime > newest:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_suffix(f".{os.getpid()}")
    result = subprocess.run(
        [*COMPILER, "-o", str(made), *map(str, sources), *libraries],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        print(f"{name} cannot be built: {result.stderr[-500:]}")
        return None
    made.replace(target)
    return target


def write_tokens(path: Path, number: int) -> None:
    """Core tokens of so many users, one a line (protocol.md 1.2)."""
    head = _base64(b'{"alg":"HS256","typ":"JWT"}')
    with path.open("wb") as file:
        for user in range(number):
            signed = head + b"." + _base64(b'{"email":"u%d@bench.org"}' % user)
            signature = hmac.digest(SECRET.encode(), signed, "sha256")
            file.write(signed + b"." + _base64(signature) + b"\n")


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@attrs.define
class Load:
    """The built program, and the socket on which it answers webhooks.

    The socket lives longer than the program's runs, because apps are registered with its address.
    """

    program: Path
    tokens: Path
    listener: socket.socket = attrs.field(factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __attrs_post_init__(self) -> None:
        self.listener.listen(1_024)
        self.listener.setblocking(False)

    @property
    def apps_url(self) -> str:
        """The address that apps are registered with."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(
        self,
        contestant: Contestant,
        server: Running,
        workload: Workload,
        options: dict[str, float],
        prepare: Sequence[str] = (),
    ) -> Figures:
        """Put ``workload`` on ``server``.

        Raises:
            RuntimeError: the server did something wrong; the text says what.
        """
        told = workload.options | options
        settings = {
            "port": server.port,
            "pid": server.pid,
            "mode": workload.mode,
            "tokens": self.tokens,
            "listener": self.listener.fileno() if contestant.ours else -1,
            **{name: f"{value:g}" for name, value in told.items()},
        }
        arguments = [str(part) for name, value in settings.items() for part in (f"--{name}", value)]
        with subprocess.Popen(
            [*prepare, str(self.program), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            pass_fds=[self.listener.fileno()],
        ) as process:
            try:
                output, complaint = process.communicate(timeout=TIME_LIMIT_S)
            except subprocess.TimeoutExpired:
                raise RuntimeError("the load did not come to its end") from None
            finally:
                process.kill()
        if process.returncode:
            raise RuntimeError(complaint.strip()[-300:] or f"exit code {process.returncode}")
        figures: Figures = json.loads(output)
        return figures
