from __future__ import annotations

import enum
import sys
from ast import literal_eval
from typing import Any, NamedTuple

import attrs
import pytest
from counting_machine import Colour, Stroke
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.testing.literals import NotALiteral, as_code, from_literal, to_literal


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@attrs.frozen
class Renamed:
    _hidden: int
    kind: str = attrs.field(alias="type_")


class Pair(NamedTuple):
    one: int
    other: int


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.just(Colour.RED),
    st.builds(Stroke, st.integers()),
    st.sampled_from([Access.READ, Access.READ | Access.WRITE, Access(0)]),
    st.builds(Renamed, st.integers(), st.text()),
)
VALUES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.lists(parts), st.lists(parts).map(tuple), st.dictionaries(st.text(), parts)
    ),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_down_is_read_again(value: Any) -> None:
    assert from_literal(literal_eval(_text(to_literal(value)))) == value


@given(VALUES)
def test_code_is_the_value(value: Any) -> None:
    code, imports = as_code(value)
    names: dict[str, Any] = {}
    exec("\n".join([*imports, f"value = {code}"]), names)
    assert names["value"] == value


def test_what_cannot_be_written_down_is_said() -> None:
    class Local(enum.Enum):
        MEMBER = 1

    with pytest.raises(NotALiteral, match="object"):
        to_literal([object()])
    with pytest.raises(NotALiteral, match="Pair"):
        to_literal([Pair(1, 2)])
    with pytest.raises(NotALiteral, match="in a function"):
        to_literal(Local.MEMBER)


@pytest.mark.parametrize(
    "literal",
    [
        ("@record", "subprocess:check_output", {"args": ["true"]}),
        ("@record", "builtins:dict", {}),
        ("@record", "counting_machine:Colour", {}),
        ("@member", "os:environ", "PATH"),
        ("@member", "counting_machine:Stroke", "RED"),
        ("@member", "counting_machine:Colour", "GONE"),
    ],
)
def test_a_literal_makes_nothing_but_records_and_members(literal: Any) -> None:
    with pytest.raises((TypeError, LookupError)):
        from_literal(literal)


def test_a_literal_imports_nothing() -> None:
    assert "this" not in sys.modules
    with pytest.raises(LookupError):
        from_literal(("@record", "this:c", {}))
    assert "this" not in sys.modules


def _text(literal: Any) -> str:
    return repr(literal)
