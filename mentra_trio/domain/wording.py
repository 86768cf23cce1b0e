"""Words for people: numbers of things, and what others wrote."""

from __future__ import annotations


def counted(number: int, one: str, more: str = "") -> str:
    """``1 app``, ``2 apps``; ``more`` is the plural where it is not ``one`` with an s."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def printable(text: str) -> str:
    """``text`` without anything that could forge a line, move a cursor or colour a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
