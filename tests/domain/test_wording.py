"""Numbers of things."""

from __future__ import annotations

import pytest

from mentra_trio.domain.wording import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 apps"), (1, "1 app"), (2, "2 apps"), (1_000, "1000 apps")]
)
def test_counted(number: int, text: str) -> None:
    assert counted(number, "app") == text


def test_an_irregular_plural() -> None:
    assert counted(1, "one is", "are") == "1 one is"
    assert counted(2, "one is", "are") == "2 are"
