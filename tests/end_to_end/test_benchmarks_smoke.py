"""The benchmarks' load program against our server: every message comes, and is right.

Nothing here is about time: a fraction of a second of each kind of workload.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
RUNNER = ROOT / "tests" / "benchmarks" / "run_benchmarks.py"
WORKLOADS = {
    "W2": "events to five apps",
    "W3": "events and displays of several users",
    "W4": "sound",
    "W5b": "pings",
    "W6b": "users who come back",
    "SA": "whole sessions with an app",
}

pytestmark = [
    pytest.mark.real_sockets,
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="the load program needs gcc"),
    pytest.mark.skipif(sys.platform != "linux", reason="the load program needs epoll"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What one smoke run of the benchmarks saw, by workload."""
    out = tmp_path_factory.mktemp("bench") / "bench.json"
    told = ["--smoke", "--contestants", "ours", "--workloads", ",".join(WORKLOADS)]
    result = subprocess.run(
        [sys.executable, str(RUNNER), *told, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode in {0, 1}, result.stdout + result.stderr
    return {run["workload"]: run for run in json.loads(out.read_text())["runs"]}


@pytest.mark.parametrize("name", WORKLOADS)
def test_everything_comes_and_is_right(name: str, runs: dict[str, dict[str, Any]]) -> None:
    run = runs[name]
    assert "error" not in run, run
    assert run["wrong"] == 0, run
    assert run["missing"] == 0, run


@pytest.mark.parametrize("name", ["W2", "W3", "W4"])
def test_something_was_sent(name: str, runs: dict[str, dict[str, Any]]) -> None:
    assert runs[name]["sent"] > 0


def test_the_last_display_of_everybody_is_shown(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["W3"]["displays_sent"] > 0
    assert runs["W3"]["displays_missing"] == 0


def test_idle_links_are_pinged(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["W5b"]["pings"] >= runs["W5b"]["connections"]


def test_sessions_end(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["SA"]["sessions"] == 50
