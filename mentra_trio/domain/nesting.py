"""How deep JSON of peers may be: whoever reads or writes it after this need not care."""

from __future__ import annotations

from typing import Any, Final

DEPTH_MAX: Final = 100
"""So many objects and arrays may be inside each other. Where the recursion of a JSON library ends
depends on who calls it: what could just be read may be too deep to be written."""


def is_too_deep(content: Any) -> bool:
    """Whether more than ``DEPTH_MAX`` objects and arrays of ``content`` are inside each other."""
    level = [content]
    for _ in range(DEPTH_MAX):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
