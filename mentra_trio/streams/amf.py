"""AMF 0, the data format of RTMP commands, as far as a publisher's commands need it.

Source: Adobe, "Action Message Format -- AMF 0", 2006.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

DEPTH_MAX: Final = 8
_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0, 1, 2, 3, 5, 6
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _DATE, _LONG_STRING = 8, 9, 10, 11, 12


class AmfError(Exception):
    """These bytes are no AMF 0."""


def encode(*values: Any) -> bytes:
    """``values`` (numbers, texts, booleans, ``None``, and mappings of such) in a row."""
    return b"".join(_encoded(value) for value in values)


def _encoded(value: Any) -> bytes:
    match value:
        case None:
            return bytes([_NULL])
        case bool():
            return bytes([_BOOLEAN, value])
        case int() | float():
            return struct.pack(">Bd", _NUMBER, value)
        case str():
            return bytes([_STRING]) + _text(value)
        case Mapping():
            fields = b"".join(_text(name) + _encoded(item) for name, item in value.items())
            return bytes([_OBJECT]) + fields + b"\0\0" + bytes([_OBJECT_END])
        case _:
            raise TypeError(type(value).__name__)


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def decode(data: bytes) -> list[Any]:
    """All values in ``data``, which must hold nothing else.

    Raises:
        AmfError: it does, or is nested too deeply.
    """
    reader, values = _Reader(data), []
    while not reader.done:
        values.append(reader.value())
    return values


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._data)

    def value(self, depth: int = 0) -> Any:
        if depth > DEPTH_MAX:
            raise AmfError("nested too deeply")
        kind = self._take(1)[0]
        match kind:
            case 0:
                return struct.unpack(">d", self._take(8))[0]
            case 1:
                return self._take(1) != b"\0"
            case 2:
                return self._string(">H")
            case 12:
                return self._string(">I")
            case 3:
                return self._fields(depth)
            case 8:
                self._take(4)  # how many there are, which the end mark says as well
                return self._fields(depth)
            case 10:
                return [self.value(depth + 1) for _ in range(self._count())]
            case 11:
                return struct.unpack(">d", self._take(10)[:8])[0]
            case 5 | 6:
                return None
            case _:
                raise AmfError(f"a value of kind {kind}")

    def _fields(self, depth: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        while True:
            name = self._string(">H")
            if not name and self._data[self._at : self._at + 1] == bytes([_OBJECT_END]):
                self._at += 1
                return fields
            fields[name] = self.value(depth + 1)

    def _count(self) -> int:
        count: int = struct.unpack(">I", self._take(4))[0]
        if count > len(self._data):
            raise AmfError("more items than bytes")
        return count

    def _string(self, size: str) -> str:
        (length,) = struct.unpack(size, self._take(struct.calcsize(size)))
        return self._take(length).decode("utf-8", "replace")

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise AmfError("cut off")
        self._at += count
        return taken
