"""Numbers of things, and what others wrote."""

from __future__ import annotations

import pytest

from mentra_trio.domain.wording import counted, printable


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 apps"), (1, "1 app"), (2, "2 apps"), (1_000, "1000 apps")]
)
def test_counted(number: int, text: str) -> None:
    assert counted(number, "app") == text


def test_an_irregular_plural() -> None:
    assert counted(1, "one is", "are") == "1 one is"
    assert counted(2, "one is", "are") == "2 are"


@pytest.mark.parametrize(
    ("text", "told"),
    [("plain ä 眼鏡", "plain ä 眼鏡"), ("a\nb\x1b[2J", "a\\nb\\x1b[2J"), ("", "")],
)
def test_what_others_wrote_moves_no_cursor(text: str, told: str) -> None:
    assert printable(text) == told
    assert printable(text).isprintable()
