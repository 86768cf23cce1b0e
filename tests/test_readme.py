"""The README's two commands: all that a fresh machine needs, and what CI runs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commands() -> list[str]:
    """Every line of every shell block of the README."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def test_there_are_exactly_two_and_both_make_their_own_environment() -> None:
    demo, check = commands()
    assert demo.startswith("python3 -m venv ")
    assert demo.endswith("mentra-trio demo")
    assert check.startswith("python3 -m venv ")
    assert check.endswith("nox")


def test_ci_runs_the_second() -> None:
    _, check = commands()
    script = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line]
    assert script[-1] == check
    assert "set -euo pipefail" in script


def test_every_local_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
