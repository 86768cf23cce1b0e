"""Facts as plain values, for people and for JSON; what a peer could have put in is left out."""

from __future__ import annotations

import enum
import traceback
from collections.abc import Iterator
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final

from ..domain import close_reasons
from ..domain.close_reasons import CloseReason
from ..domain.facts import Fact

TEXT_MAX: Final = 300
ITEMS_MAX: Final = 20
FRAMES_MAX: Final = 8
DIGITS: Final = 3
"""Of seconds, after the point."""

_OURS: Final = MappingProxyType(
    {
        reason: str(reason)
        for reason in vars(close_reasons).values()
        if isinstance(reason, CloseReason)
    }
)


def plain_fields(fact: Fact) -> dict[str, Any]:
    """The fields of ``fact`` by name: texts, numbers, ``None``, and lists of texts.

    Long texts and lists are cut. An exception is told by its type and place alone, because its
    message may quote what it stumbled over.
    """
    return {field.name: plain(getattr(fact, field.name)) for field in fact.__attrs_attrs__}


def plain(value: object) -> Any:
    """``value`` as a text, a number, ``None``, or a list of texts; see ``plain_fields``."""
    if type(value) is str:  # nearly all are
        return value[:TEXT_MAX]
    if value is None:
        return None
    match value:
        case enum.Enum():
            return value.value
        case bool() | int():
            return value
        case float():
            return round(value, DIGITS)
        case CloseReason():
            return told(value)
        case BaseException():
            return place_of(value)
        case tuple():
            return [plain(item) for item in value[:ITEMS_MAX]]
        case _:
            return str(value)[:TEXT_MAX]


def told(reason: CloseReason) -> str:
    """``reason`` as it may be shown: the text only if it is one of ours, not a peer's."""
    return _OURS.get(reason) or str(reason.code)


def place_of(error: BaseException) -> str:
    """Which exceptions there were, and where: ``KeyError < sessions/screen.py:12 in draw``."""
    return "; ".join(_where(leaf) for leaf in _leaves(error))[: TEXT_MAX * 4]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    places = [f"{'/'.join(PurePath(f.filename).parts[-2:])}:{f.lineno} in {f.name}" for f in frames]
    return " < ".join([type(error).__name__, *reversed(places)])
