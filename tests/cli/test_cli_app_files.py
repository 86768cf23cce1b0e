"""What ``apps add`` is told of an app, by its own files and by options."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mentra_trio.cli import main

Add = Callable[..., tuple[int, dict[str, str], str]]
PACKAGE = "com.example.notes"
CONFIG: dict[str, Any] = {
    "name": "Notes",
    "description": "Writes notes",
    "version": "1.2.0",
    "settings": [{"type": "toggle", "key": "on", "label": "On", "defaultValue": True}],
    "tools": [{"id": "note", "description": "Writes a note"}],
    "permissions": [{"type": "MICROPHONE", "description": "to hear"}],
    "hardwareRequirements": [
        {"type": "DISPLAY", "level": "REQUIRED"},
        {"type": "BUTTON", "level": "OPTIONAL"},
    ],
}


@pytest.fixture
def add(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Add:
    """Registers an app; the exit code, what ``apps show`` shows then, and what was wrong."""

    def call(*options: object) -> tuple[int, dict[str, str], str]:
        data = ("--data-dir", str(tmp_path / "data"))
        given = [str(option) for option in options]
        code = main(["apps", "add", PACKAGE, "--url", "http://127.0.0.1:7010", *data, *given])
        problem = capsys.readouterr().err
        main(["apps", "show", PACKAGE, *data])
        rows = (line.partition(":") for line in capsys.readouterr().out.splitlines())
        return code, {name: value.strip() for name, _, value in rows}, problem

    return call


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "app_config.json"
    path.write_text(json.dumps(CONFIG))
    return path


def test_an_app_s_own_configuration_is_taken_as_it_is(add: Add, config: Path) -> None:
    code, shown, _ = add("--config", config)
    assert code == 0
    assert shown["name"] == "Notes"
    assert shown["description"] == "Writes notes"
    assert shown["version"] == "1.2.0"
    assert shown["permissions"] == "MICROPHONE"
    assert shown["hardware"] == "DISPLAY BUTTON:optional"
    assert shown["settings"] == "1"
    assert shown["tools"] == "note"


def test_what_is_said_by_options_counts_instead(add: Add, config: Path, tmp_path: Path) -> None:
    tools, settings = tmp_path / "tools.json", tmp_path / "settings.json"
    tools.write_text(json.dumps([{"id": "a"}, {"id": "b"}]))
    settings.write_text("[]")
    code, shown, _ = add(
        *("--config", config, "--tools", tools, "--settings", settings),
        *("--hardware", "camera", "--hardware", "IMU:optional", "--permission", "LOCATION"),
        *("--name", "Other", "--description", "Does other things", "--version", "2"),
    )
    assert code == 0
    assert shown["name"] == "Other"
    assert shown["description"] == "Does other things"
    assert shown["version"] == "2"
    assert shown["permissions"] == "LOCATION"
    assert shown["hardware"] == "CAMERA IMU:optional"
    assert shown["settings"] == "0"
    assert shown["tools"] == "a b"


def test_without_any_of_it(add: Add) -> None:
    _, shown, _ = add()
    assert shown["hardware"] == "any"
    assert shown["tools"] == shown["version"] == shown["description"] == "none"


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("--config", "{", "is not JSON"),
        ("--config", "\xff", "is not JSON"),
        ("--config", "[]", "must be a JSON object"),
        ("--config", '{"name": 7}', "name must be text"),
        ("--config", '{"settings": [{"type": "toggle"}]}', "settings[0].key"),
        ("--config", '{"tools": [{}]}', "tools[0].id"),
        ("--config", '{"hardwareRequirements": [{"type": "LASER"}]}', "'LASER'"),
        ("--config", '{"permissions": ["FLY"]}', "'FLY'"),
        ("--settings", "{}", "must be a JSON array"),
        ("--tools", "[7]", "tools[0] must be an object"),
        ("--tools", None, "cannot be read"),
    ],
)
def test_a_file_that_is_not_what_it_is_given_for_is_one_line(
    option: str, content: str | None, words: str, add: Add, tmp_path: Path
) -> None:
    file = tmp_path / "file.json"
    if content is not None:
        file.write_bytes(content.encode("latin-1"))
    code, shown, problem = add(option, file)
    assert code == 2
    assert words in problem
    assert problem.count("\n") == 1
    assert shown == {}


@pytest.mark.parametrize("text", ["LASER", "CAMERA:maybe", ""])
def test_hardware_that_there_is_not(text: str, add: Add) -> None:
    code, shown, problem = add("--hardware", text)
    assert (code, shown) == (2, {})
    assert problem.count("\n") == 1
