"""Values as Python literals and back: what a rule of a machine was given, in a line of text."""

from __future__ import annotations

import enum
import sys
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
            return (_MEMBER, _name_of(type(value)), _member(value))
        case float() if not isfinite(value):
            return (_FLOAT, repr(value), "")
        case _ if type(value) in PLAIN:
            return value
        case tuple() | list() if type(value) in {tuple, list}:
            return type(value)(to_literal(part) for part in value)
        case dict() if type(value) is dict:
            return {to_literal(key): to_literal(part) for key, part in value.items()}
        case _ if attrs.has(type(value)):
            parts = {name: to_literal(part) for name, part in _arguments(value).items()}
            return (_RECORD, _name_of(type(value)), parts)
        case _:
            raise NotALiteral(f"{type(value).__qualname__} cannot be written down: {value!r}")


def from_literal(literal: Any) -> Any:
    """The value that ``to_literal`` made ``literal`` of.

    Nothing is imported, and nothing but attrs records and enums is made: a literal may come from
    anywhere. So the module of each of them must have been imported before.

    Raises:
        LookupError: it names a module that was not imported, or no member of an enum.
        TypeError, ValueError, AttributeError: it names no record or enum, or cannot be one.
    """
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
                member = _member(part)
                inside = f".{member}" if isinstance(member, str) else f"({member})"
                return f"{type(part).__qualname__}{inside}"
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
                fields = [f"{name}={code(own)}" for name, own in _arguments(part).items()]
                return f"{type(part).__qualname__}({', '.join(fields)})"
            case str() if part.isprintable() and not {'"', "\\"} & set(part):
                return f'"{part}"'
            case _:
                return repr(part)

    return code(value), imports


def _arguments(record: object) -> dict[str, Any]:
    """What ``record`` can be made of again, by the names that its class takes."""
    kind: Any = type(record)
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(kind)
    return {str(one.alias): getattr(record, one.name) for one in fields if one.init}


def _member(member: enum.Enum) -> str | int:
    """The name of ``member``; of flags the value, as several together have no name of their own."""
    return member.value if isinstance(member, enum.Flag) else member.name


def _name_of(kind: type) -> str:
    if "<locals>" in kind.__qualname__:
        raise NotALiteral(f"{kind.__qualname__} is defined in a function: nobody finds it there")
    return f"{kind.__module__}:{kind.__qualname__}"


def _named(kind: str, name: str, parts: Any) -> Any:
    if kind == _FLOAT:
        return float(name)
    module, _, path = name.partition(":")
    found: Any = sys.modules[module]
    for step in path.split("."):
        found = getattr(found, step)
    if kind == _MEMBER and isinstance(found, enum.EnumType):
        return found[parts] if isinstance(parts, str) else found(parts)
    if kind == _MEMBER or not (isinstance(found, type) and attrs.has(found)):
        raise TypeError(f"{name} is neither an attrs record nor an enum")
    return found(**{field: from_literal(part) for field, part in parts.items()})
