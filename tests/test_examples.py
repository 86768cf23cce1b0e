from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

RUNS = {
    "minimal_server.py": (["0.3"], "glasses connect to ws://127.0.0.1:"),
    "embed_in_your_trio_app.py": ([], "ada@example.org: DISCONNECTED"),
    "caption_app.py": (["--rehearse"], "the glasses show: Hello from the real world"),
    "find_a_race.py": ([], "The mended app survives the same 25 courses."),
    "watch_one_app_die.py": ([], "com.example.fragile has seen 3 presses"),
}


def run(name: str, arguments: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.real_sockets
@pytest.mark.parametrize("name", RUNS)
def test_an_example_runs_as_it_stands(name: str) -> None:
    arguments, expected = RUNS[name]
    assert expected in run(name, arguments)


@pytest.mark.real_sockets
def test_the_app_that_dies_goes_through_grace() -> None:
    told = run("watch_one_app_die.py", [])
    assert "com.example.fragile grace_period, com.example.steady running" in told


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(RUNS)
