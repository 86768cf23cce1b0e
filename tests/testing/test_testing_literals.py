from __future__ import annotations

from ast import literal_eval
from typing import Any

import pytest
from counting_machine import Colour, Stroke
from hypothesis import given
from hypothesis import strategies as st

from mentra_trio.testing.literals import NotALiteral, as_code, from_literal, to_literal

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.just(Colour.RED),
    st.builds(Stroke, st.integers()),
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
    with pytest.raises(NotALiteral, match="object"):
        to_literal([object()])


def _text(literal: Any) -> str:
    return repr(literal)
