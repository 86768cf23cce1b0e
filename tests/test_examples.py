from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
GUIDE = (ROOT / "docs" / "guides" / "test_your_app.md").read_text()
(FOUND,) = re.findall(r"^```text\n(Found: .*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
"""What the guide says that a machine prints."""

RUNS = {
    "minimal_server.py": (["0.3"], "glasses connect to ws://127.0.0.1:"),
    "embed_in_your_trio_app.py": ([], "ada@example.org: DISCONNECTED"),
    "caption_app.py": (["--rehearse"], "the glasses show: Hello from the real world"),
    "meet_in_a_room.py": ([], "grace sees what ada said"),
    "display_and_dashboard.py": ([], "and after a moment ''"),
    "hear_and_translate.py": ([], "the glasses show: in English: Good day"),
    "photo_and_live_stream.py": ([], "the glasses are told to stop"),
    "sound_and_light.py": ([], "the glasses show: silence: phone: no such file"),
    "place_and_time.py": ([], "the glasses show: it is 15:58"),
    "shopping_list.py": ([], "the assistant wants tea, and hears: tea is on the list"),
    "find_a_race.py": ([], FOUND),
    "watch_one_app_die.py": ([], "com.example.fragile has seen 3 presses"),
}
PATIENCE_S = 120
"""One of them also makes a failing example small: that takes its time beside other programs."""


def run(name: str, arguments: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.real_sockets
@pytest.mark.timeout(PATIENCE_S + 10)
@pytest.mark.parametrize("name", RUNS)
def test_an_example_runs_as_it_stands(name: str) -> None:
    arguments, expected = RUNS[name]
    assert expected in run(name, arguments)


@pytest.mark.real_sockets
def test_examples_of_what_apps_ask_for_say_what_becomes_of_it() -> None:
    photos = run("photo_and_live_stream.py", [])
    assert "No photo: phone: the camera is in use" in photos
    assert "the glasses stream to rtmp://" in photos
    heard = run("hear_and_translate.py", []).splitlines()
    assert heard[0] == "the microphone is on"
    assert "somebody speaks" in heard
    shopping = run("shopping_list.py", []).splitlines()
    assert shopping[0] == "the assistant wants salt, and hears: start the app first"
    assert shopping[-1] == "the glasses show: Groceries: milk, tea"


@pytest.mark.real_sockets
def test_the_app_that_dies_goes_through_grace() -> None:
    told = run("watch_one_app_die.py", [])
    assert "com.example.fragile grace_period, com.example.steady running" in told


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(RUNS)
