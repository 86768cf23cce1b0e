"""Values as Python literals and back: what a rule of a machine was given, in a line of text."""

from __future__ import annotations

import enum
from importlib import import_module
from math import isfinite
from typing import Any, Final

import attrs

PLAIN: Final = (type(None), bool, int, float, str, bytes)
_RECORD, _MEMBER, _FLOAT = "@record", "@member", "@float"


class NotALiteral(TypeError):
    """A value that cannot be written down and read again."""


def to_literal(value: object) -> Any:
    """``value`` made of what ``ast.literal_eval`` reads; attrs records and enums are named.

    Raises:
        NotALiteral: it is, or contains, something else.
    """
    match value:
        case enum.Enum():
            return (_MEMBER, _name_of(type(value)), value.name)
        case float() if not isfinite(value):
            return (_FLOAT, repr(value), "")
        case _ if isinstance(value, PLAIN):
            return value
        case tuple() | list():
            return type(value)(to_literal(part) for part in value)
        case dict():
            return {to_literal(key): to_literal(part) for key, part in value.items()}
        case _ if attrs.has(type(value)):
            names = [field.name for field in _fields(value) if field.init]
            parts = {name.lstrip("_"): to_literal(getattr(value, name)) for name in names}
            return (_RECORD, _name_of(type(value)), parts)
        case _:
            raise NotALiteral(f"{type(value).__qualname__} cannot be written down: {value!r}")


def from_literal(literal: Any) -> Any:
    """The value that ``to_literal`` made ``literal`` of."""
    match literal:
        case (str(kind), str(name), parts) if kind in {_RECORD, _MEMBER, _FLOAT}:
            return _named(kind, name, parts)
        case tuple() | list():
            return type(literal)(from_literal(part) for part in literal)
        case dict():
            return {from_literal(key): from_literal(part) for key, part in literal.items()}
        case _:
            return literal


def as_code(value: object) -> tuple[str, set[str]]:
    """``value`` as a Python expression, and the import lines that it needs.

    Records and members are written with their class name, as ``repr`` of an attrs class is.
    """
    imports: set[str] = set()

    def note(kind: type) -> None:
        imports.add(f"from {kind.__module__} import {kind.__qualname__.partition('.')[0]}")

    def code(part: object) -> str:
        match part:
            case enum.Enum():
                note(type(part))
                return f"{type(part).__qualname__}.{part.name}"
            case float() if not isfinite(part):
                return f'float("{part}")'
            case tuple() if len(part) == 1:
                return f"({code(part[0])},)"
            case tuple():
                return f"({', '.join(map(code, part))})"
            case list():
                return f"[{', '.join(map(code, part))}]"
            case dict():
                return f"{{{', '.join(f'{code(k)}: {code(v)}' for k, v in part.items())}}}"
            case _ if attrs.has(type(part)):
                note(type(part))
                fields = [
                    f"{f.name.lstrip('_')}={code(getattr(part, f.name))}"
                    for f in _fields(part)
                    if f.init
                ]
                return f"{type(part).__qualname__}({', '.join(fields)})"
            case str() if part.isprintable() and not {'"', "\\"} & set(part):
                return f'"{part}"'
            case _:
                return repr(part)

    return code(value), imports


def _fields(record: object) -> tuple[attrs.Attribute[Any], ...]:
    kind: Any = type(record)
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(kind)
    return fields


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _named(kind: str, name: str, parts: Any) -> Any:
    if kind == _FLOAT:
        return float(name)
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for step in path.split("."):
        found = getattr(found, step)
    if kind == _MEMBER:
        return found[parts]
    return found(**{field: from_literal(part) for field, part in parts.items()})
