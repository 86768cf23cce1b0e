"""What the figures depend on: the machine, and where on it the processes run."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contestants import NODE_MODULES, RELAY_PYTHON, ROOT


def described() -> dict[str, Any]:
    """The machine, the time, and the versions of what is measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_at_start": os.getloadavg()[0],
        "commit": _said("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "versions": {
            "Python": platform.python_version(),
            "trio": version("trio"),
            "Node": _said("node", "--version").lstrip("v"),
            "ws": _npm_version("ws"),
            "Bun": _npm_version("bun"),
            "websockets": _relay_version("websockets"),
            "uvloop": _relay_version("uvloop"),
        },
    }


def sentence(machine: dict[str, Any]) -> str:
    """The same in one sentence for people."""
    versions = ", ".join(f"{name} {said}" for name, said in machine["versions"].items() if said)
    return (
        f"{machine['date'][:10]}, {machine['processor']}, {machine['cores']} cores, "
        f"Linux {machine['kernel']}; {versions}; commit {machine['commit']}"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = cpuinfo.exists() and re.search(r"model name\s*: (.*)", cpuinfo.read_text())
    return found[1] if found else platform.processor() or "unknown processor"


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return result.stdout.strip() if result.returncode == 0 else ""


def _npm_version(package: str) -> str:
    file = NODE_MODULES / package / "package.json"
    return str(json.loads(file.read_text())["version"]) if file.exists() else ""


def _relay_version(package: str) -> str:
    ask = f"import importlib.metadata as m; print(m.version({package!r}))"
    return _said(str(RELAY_PYTHON), "-c", ask) if RELAY_PYTHON.exists() else ""


def allow_many_files() -> int:
    """Raise the limit of open files as far as we may; processes started from now on have it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 65_536), max(hard, 65_536)))
    except (OSError, ValueError):  # only root may, and not everywhere
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Cores:
    """The first core is the server's, the second the load's, where there are two."""

    def __init__(self, *, real_time: bool) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self._server, self._load = cores[:1], cores[1:2] or cores
        self._real_time = real_time

    def for_server(self, pid: int) -> None:
        """Put the server of that process id on its core."""
        self._place(pid, self._server)

    def for_load(self) -> None:
        """Put this process, and so the load that it starts, on the other."""
        self._place(0, self._load)

    def _place(self, pid: int, cores: list[int]) -> None:
        for thread in Path(f"/proc/{pid or os.getpid()}/task").iterdir():
            os.sched_setaffinity(int(thread.name), set(cores))
            if self._real_time:
                os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))
