"""Numbers of things, as people write them."""

from __future__ import annotations


def counted(number: int, one: str, more: str = "") -> str:
    """``1 app``, ``2 apps``; ``more`` is the plural where it is not ``one`` with an s."""
    return f"{number} {one if number == 1 else more or one + 's'}"
