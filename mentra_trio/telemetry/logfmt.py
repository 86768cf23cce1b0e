"""Lines of ``key=value``, each handed over to the operating system at once."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any, Final, TextIO

import attrs

from ..domain.wording import printable
from ..environment import Environment

LEVELS: Final[tuple[str, ...]] = ("debug", "info", "warning", "error")
WORDS_REMEMBERED: Final = 4_096


@attrs.define(eq=False)
class Log:
    """Writes lines to ``stream``.

    When a line was written it is out of this process: no way to end it, not even a kill, takes
    it back. A log that cannot be written is given up silently: standard error was closed, or its
    reader is gone, and that stops nothing else.

    Attributes:
        level: the lowest that is written: debug, info, warning or error.
    """

    stream: TextIO
    level: str = "info"
    environment: Environment = attrs.field(factory=Environment, kw_only=True)

    def levels(self) -> frozenset[str]:
        """Those that are written."""
        numbers = logging.getLevelNamesMapping()
        lowest = numbers[self.level.upper()]
        return frozenset(one for one in LEVELS if numbers[one.upper()] >= lowest)

    def write(self, level: str, event: str, **fields: Any) -> None:
        """One line, if its level is written."""
        if level in self.levels():
            words = [f"timestamp={self.environment.timestamp()}", head(level, event)]
            self.put("".join([*words, *(word(name, value) for name, value in fields.items())]))

    def put(self, line: str) -> None:
        """``line`` as it is."""
        try:
            self.stream.write(line + "\n")
            self.stream.flush()
        except (OSError, ValueError):
            return


def head(level: str, event: str) -> str:
    """What stands behind the timestamp."""
    return f" level={level}{word('event', event)}"


def word(name: str, value: object) -> str:
    """``value`` as a field, with the space before it.

    A field that says nothing is left out; ``0`` and ``False`` do say something.
    """
    if value is True:
        return f" {name}"
    if value is False:
        return f" {name}=false"
    if isinstance(value, list):
        return f" {name}={_quoted(','.join(value))}" if value else ""
    return "" if value is None else text_word(name, str(value))


def text_word(name: str, text: str) -> str:
    """``text`` as a field, with the space before it; nothing if it is empty."""
    return f" {name}={_quoted(text)}" if text else ""


@lru_cache(WORDS_REMEMBERED)
def known_word(name: str, text: str) -> str:
    """As ``text_word``, and remembered: for texts of which there are few."""
    return text_word(name, text)


def _quoted(text: str) -> str:
    """Whatever a peer sent, it cannot forge a second line or field, or colour the terminal."""
    text = printable(text)
    if " " in text or "=" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    return text
