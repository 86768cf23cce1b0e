"""What may be kept, counted as JavaScript counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.domain.errors import DecodeError
from mentra_trio.domain.simple_storage import (
    KEY_UNITS_MAX,
    KEYS_MAX,
    TOTAL_UNITS_MAX,
    VALUE_UNITS_MAX,
    checked_entries,
    checked_value,
    entry_units,
    excess,
    text_units,
)


@pytest.mark.parametrize(
    ("text", "units"), [("", 0), ("a", 1), ("é", 1), ("字", 1), ("😀", 2), ("\ud800", 1), ("\0", 1)]
)
def test_lengths_are_those_of_javascript(text: str, units: int) -> None:
    assert text_units(text) == units


@given(st.dictionaries(st.text(min_size=1, max_size=KEY_UNITS_MAX // 2), st.text()))
def test_texts_are_taken_as_they_are(entries: dict[str, str]) -> None:
    assert checked_entries(entries) == entries


@pytest.mark.parametrize("value", [None, 1, True, [], {}, 1.5])
def test_only_texts_are_kept_and_the_path_is_named(value: object) -> None:
    with pytest.raises(DecodeError, match=r"a value must be a text - at \$\.data\['b'\]$"):
        checked_entries({"a": "x", "b": value})


@pytest.mark.parametrize("data", [None, [], "text", 1])
def test_only_an_object_has_entries(data: object) -> None:
    with pytest.raises(DecodeError, match=r"expected an object of texts - at \$\.data$"):
        checked_entries(data)


@pytest.mark.parametrize("key", ["", "k" * (KEY_UNITS_MAX + 1), "😀" * (KEY_UNITS_MAX // 2 + 1)])
def test_keys_have_a_length(key: str) -> None:
    with pytest.raises(DecodeError, match=r"^a key has 1 to 1,024 characters") as caught:
        checked_entries({key: "x"})
    assert len(str(caught.value)) < 120


def test_the_longest_value() -> None:
    longest = "v" * VALUE_UNITS_MAX
    assert checked_value("k", longest, "$.value") == longest
    for too_long in (longest + "v", "😀" * (VALUE_UNITS_MAX // 2) + "v"):
        with pytest.raises(DecodeError, match=r"at most 100,000 characters - at \$\.value$"):
            checked_value("k", too_long, "$.value")


def test_keys_count_as_well_as_values() -> None:
    assert entry_units("ab", "😀") == 4


def test_what_is_too_much() -> None:
    assert excess(KEYS_MAX, TOTAL_UNITS_MAX) == ""
    assert "characters" in excess(1, TOTAL_UNITS_MAX + 1)
    assert "keys" in excess(KEYS_MAX + 1, 1)
