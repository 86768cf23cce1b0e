"""The file in which a MentraOS app describes itself."""

from __future__ import annotations

from typing import Any

import pytest

from mentra_trio.domain.app_config import (
    TOOLS_MAX,
    ack_config,
    permission_values,
    problem_of_tools,
    registration_values,
)
from mentra_trio.domain.apps import AppRegistration
from mentra_trio.domain.errors import ConfigError
from mentra_trio.domain.ids import package_name

TOOL = {
    "id": "note",
    "description": "Writes a note",
    "activationPhrases": ["note that"],
    "parameters": {"text": {"type": "string", "required": True}},
}
CONFIG: dict[str, Any] = {
    "name": "Notes",
    "description": "Writes notes",
    "version": "1.2.0",
    "settings": [{"type": "toggle", "key": "on", "label": "On", "defaultValue": True}],
    "tools": [TOOL],
    "permissions": [{"type": "MICROPHONE", "description": "to hear"}, {"type": "camera"}],
    "hardwareRequirements": [{"type": "DISPLAY", "level": "REQUIRED"}],
    "logoURL": "https://x.example/logo.png",
}


def test_everything_that_it_says() -> None:
    assert registration_values(CONFIG) == {
        "name": "Notes",
        "description": "Writes notes",
        "version": "1.2.0",
        "settings": CONFIG["settings"],
        "tools": [TOOL],
        "permissions": ["MICROPHONE", "camera"],
        "permission_texts": {"MICROPHONE": "to hear"},
        "hardware": CONFIG["hardwareRequirements"],
    }


def test_all_of_it_is_optional() -> None:
    assert registration_values({}) == {}
    assert registration_values({"name": None, "tools": None, "permissions": None}) == {}


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ([], "a JSON object"),
        ({"name": 7}, "name must be text"),
        ({"version": 1.0}, "version must be text"),
        ({"settings": {}}, "settings must be a list"),
        ({"tools": "all"}, "tools must be a list"),
        ({"hardwareRequirements": {}}, "hardwareRequirements must be a list"),
        ({"permissions": "ALL"}, "permissions must be a list"),
        ({"permissions": ["ALL", 7]}, r"permissions\[1\]"),
        ({"permissions": [{}]}, r"permissions\[0\]"),
        ({"permissions": [{"type": "ALL", "description": 7}]}, r"permissions\[0\]"),
    ],
)
def test_what_is_no_configuration(config: object, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        registration_values(config)


def test_permissions_are_names_or_objects() -> None:
    assert permission_values(["ALL"]) == {"permissions": ["ALL"], "permission_texts": {}}


@pytest.mark.parametrize(
    ("tool", "problem"),
    [
        (7, "tools[1] must be an object"),
        ({}, "tools[1].id"),
        ({"id": ""}, "tools[1].id"),
        ({"id": "note"}, "'note' is there twice"),
        ({"id": "b", "description": 7}, "tools[1].description"),
        ({"id": "b", "activationPhrases": "x"}, "tools[1].activationPhrases"),
        ({"id": "b", "activationPhrases": [7]}, "tools[1].activationPhrases"),
        ({"id": "b", "parameters": []}, None),
        ({"id": "b", "parameters": [1]}, "tools[1].parameters"),
        ({"id": "b", "parameters": {"text": "string"}}, "tools[1].parameters"),
    ],
)
def test_tools(tool: object, problem: str | None) -> None:
    found = problem_of_tools([TOOL, tool])
    assert found is None if problem is None else problem in (found or "")


def test_tools_have_a_bound() -> None:
    tools = [{"id": str(number)} for number in range(TOOLS_MAX + 1)]
    assert problem_of_tools(tools[:-1]) is None
    assert problem_of_tools(tools) is not None


def test_what_the_sdk_is_told() -> None:
    app = AppRegistration(package=package_name("com.t.a"), url="http://a.test", key_hash="")
    assert ack_config(app) is None
    described = AppRegistration(
        package=package_name("com.t.a"),
        url="http://a.test",
        key_hash="",
        settings=({"type": "toggle", "key": "on"}, {"type": "group", "title": "T"}),
        tools=(TOOL,),
    )
    assert ack_config(described) == {
        "name": "com.t.a",
        "description": "",
        "version": "",
        "settings": [
            {"label": "on", "type": "toggle", "key": "on"},
            {"type": "group", "title": "T"},
        ],
        "tools": [TOOL],
    }
