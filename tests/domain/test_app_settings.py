"""The settings of an app: schemas, and the values that they admit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.app_settings import (
    CHANGES_MAX,
    ENTRIES_MAX,
    checked_changes,
    merged_settings,
    problem_of_schema,
    problem_of_value,
)
from mentra_trio.domain.errors import SettingRefused

OPTIONS = [{"label": "One", "value": 1}, {"label": "Two", "value": "two"}]
SCHEMA: list[dict[str, Any]] = [
    {"type": "group", "title": "A title"},
    {"type": "toggle", "key": "on", "defaultValue": False},
    {"type": "text", "key": "name", "defaultValue": ""},
    {"type": "slider", "key": "size", "min": 1, "max": 5, "defaultValue": 3},
    {"type": "select", "key": "one", "options": OPTIONS, "defaultValue": 1},
    {"type": "multiselect", "key": "some", "options": OPTIONS},
    {"type": "numeric_input", "key": "many", "min": 0},
    {"type": "time_picker", "key": "when"},
    {"type": "titleValue", "label": "Version", "value": "1.2"},
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("on", True, None),
        ("on", 1, "true or false"),
        ("on", "true", "true or false"),
        ("name", "Ann", None),
        ("name", 7, "text"),
        ("name", "x" * 16_385, "at most"),
        ("size", 5, None),
        ("size", 2.5, None),
        ("size", 0, "at least 1"),
        ("size", 6, "at most 5"),
        ("size", True, "a number"),
        ("size", "3", "a number"),
        ("size", None, "a number"),
        ("many", 1_000_000, None),
        ("many", -1, "at least 0"),
        ("many", 2**53, None),
        ("many", 10**400, "a number"),
        ("when", 3_600, None),
        ("one", "two", None),
        ("one", 1, None),
        ("one", True, "one of the options"),
        ("one", "three", "one of the options"),
        ("some", [], None),
        ("some", ["two", 1], None),
        ("some", [1, 1], "each of them once"),
        ("some", ["three"], "options"),
        ("some", "two", "a list"),
        ("unknown", {"any": ["thing", None]}, None),
        ("unknown", "x" * 65_536, "characters of JSON"),
    ],
)
def test_values(key: str, value: object, problem: str | None) -> None:
    body = {"key": key, "value": value, "label": "sent back by the phone"}
    if problem is None:
        assert checked_changes(SCHEMA, body) == {key: value}
        assert checked_changes(SCHEMA, [body]) == {key: value}
        return
    with pytest.raises(SettingRefused, match=problem) as caught:
        checked_changes(SCHEMA, [{"key": "on", "value": True}, body])
    assert caught.value.path == "$[1].value"
    with pytest.raises(SettingRefused) as alone:
        checked_changes(SCHEMA, body)
    assert alone.value.path == "$.value"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (None, "$"),
        (7, "$"),
        ({}, "$"),
        ({"key": "on"}, "$"),
        ([7], "$[0]"),
        ({"value": 1}, "$.key"),
        ({"key": "", "value": 1}, "$.key"),
        ({"key": "x" * 129, "value": 1}, "$.key"),
        ({"key": 7, "value": 1}, "$.key"),
        ([{"key": "a", "value": 1}] * (CHANGES_MAX + 1), "$"),
    ],
)
def test_what_is_no_change(body: object, path: str) -> None:
    with pytest.raises(SettingRefused) as caught:
        checked_changes(SCHEMA, body)
    assert caught.value.path == path


def test_a_value_that_is_nested_too_deeply() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert problem_of_value({}, value) is not None
    assert problem_of_value({"type": "multiselect", "options": OPTIONS}, value) is not None


@given(json_values, st.sampled_from([entry.get("key", "other") for entry in SCHEMA]))
def test_a_change_is_taken_as_it_is_or_refused_and_no_text_repeats_it(
    value: object, key: str
) -> None:
    body, refusals = {"key": key, "value": value}, list[str]()
    try:
        taken = checked_changes(SCHEMA, body)
    except SettingRefused as refused:
        refusals.append(str(refused))
    else:
        assert json.dumps(taken) == json.dumps({key: value})
        assert key != "on" or isinstance(value, bool)
    assert all(len(one) < 120 for one in refusals)


def test_the_later_of_two_values_counts() -> None:
    body = [{"key": "size", "value": 1}, {"key": "size", "value": 5}]
    assert checked_changes(SCHEMA, body) == {"size": 5}
    assert checked_changes(SCHEMA, []) == {}


def test_the_user_s_values_stand_over_the_defaults() -> None:
    settings = merged_settings(SCHEMA, {"size": 5, "own": [1]})
    assert {one["key"]: one["value"] for one in settings} == {
        "on": False,
        "name": "",
        "size": 5,
        "one": 1,
        "some": None,
        "many": None,
        "when": None,
        "own": [1],
    }
    assert settings[2]["max"] == 5


def test_a_schema() -> None:
    assert problem_of_schema(SCHEMA) is None
    assert problem_of_schema([]) is None
    assert problem_of_schema([{"key": "bare"}]) is None


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (7, "settings[1] must be an object"),
        ({"type": "toggle"}, "settings[1].key"),
        ({"type": 7, "key": "a"}, "settings[1].type"),
        ({"type": "toggle", "key": ""}, "settings[1].key"),
        ({"type": "toggle", "key": "on"}, "settings[1].key 'on' is there twice"),
        ({"type": "toggle", "key": "a", "defaultValue": 1}, "defaultValue must be true or false"),
        ({"type": "slider", "key": "a", "min": 1, "defaultValue": 0}, "at least 1"),
        ({"type": "slider", "key": "a", "min": "1"}, "min must be a number"),
        ({"type": "select", "key": "a", "options": 7}, "options must be a list"),
        ({"type": "select", "key": "a", "options": OPTIONS, "defaultValue": 2}, "one of the opt"),
    ],
)
def test_what_is_no_schema(entry: object, problem: str) -> None:
    found = problem_of_schema([{"type": "toggle", "key": "on"}, entry])
    assert found is not None
    assert problem in found


def test_a_schema_has_a_bound() -> None:
    entries = [{"key": str(number)} for number in range(ENTRIES_MAX + 1)]
    assert problem_of_schema(entries[:-1]) is None
    assert "more than" in (problem_of_schema(entries) or "")
