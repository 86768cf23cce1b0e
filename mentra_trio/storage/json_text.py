"""JSON as every store keeps it, so that all of them accept and return the same values."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from ..domain.errors import StoreFailed

T = TypeVar("T")


def to_json(value: object) -> str:
    """``value`` as compact JSON.

    Raises:
        StoreFailed: it is not a JSON value, or nested too deeply. The value is not in the text.
    """
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise StoreFailed("only JSON values can be stored") from None


def from_json(text: str) -> Any:
    """The value that ``to_json`` was given.

    Raises:
        StoreFailed: the text was damaged.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise StoreFailed("a stored value is damaged: it is not JSON") from None


def object_from_json(text: str) -> dict[str, Any]:
    """The JSON object that ``to_json`` was given.

    Raises:
        StoreFailed: the text was damaged.
    """
    return _of_kind(dict, "object", from_json(text))


def list_from_json(text: str) -> list[Any]:
    """The JSON array that ``to_json`` was given.

    Raises:
        StoreFailed: the text was damaged.
    """
    return _of_kind(list, "array", from_json(text))


def _of_kind(kind: type[T], name: str, value: object) -> T:
    if not isinstance(value, kind):
        raise StoreFailed(f"a stored value is damaged: it is not a JSON {name}")
    return value
