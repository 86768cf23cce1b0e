"""The reference pages that are written by hand name everything that there is."""

from __future__ import annotations

import re
from pathlib import Path

import click

from mentra_trio.cli import commands
from mentra_trio.telemetry.metrics import Metrics

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


def test_every_metric_is_described() -> None:
    page = (REFERENCE / "metrics.md").read_text()
    names = re.findall(r"^# HELP (mentra_\w+)", Metrics().render().decode(), re.MULTILINE)
    ours = {name for name in names if not name.endswith("_created")}
    assert ours
    assert set(re.findall(r"`(mentra_\w+)", page)) == ours


def test_every_command_and_option_is_described() -> None:
    page = (REFERENCE / "commands.md").read_text()
    missing = []
    for name, command in commands.commands.items():
        if f"`{name}" not in page:
            missing.append(name)
        options = [option.opts[0] for option in command.params if isinstance(option, click.Option)]
        missing += [f"{name} {option}" for option in options if option not in page]
    assert missing == []


def test_every_decision_is_numbered_once() -> None:
    numbers = [path.name[:4] for path in (REFERENCE.parent / "decisions").glob("*.md")]
    assert sorted(numbers) == [f"{number:04}" for number in range(1, len(numbers) + 1)]
