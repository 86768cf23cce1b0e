"""Frames to messages and back, one decoder per direction and one error for all of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar, get_args

import msgspec

from ..domain.errors import DecodeError
from ..domain.nesting import DEPTH_MAX, is_too_deep
from .from_app import FromApp
from .from_glasses import FromGlasses
from .message import Unrecognized
from .to_app import ToApp
from .to_glasses import ToGlasses

T = TypeVar("T")

_UNREADABLE: Final = (msgspec.MsgspecError, RecursionError, ValueError)
"""All that msgspec raises for bad input; bad UTF-8 and lone surrogates are ValueErrors too."""

_TOO_DEEP: Final = "nested too deeply at $"
_SHALLOW_SIZE: Final = 2 * DEPTH_MAX
"""Text that is no longer cannot be too deep: each object and array opens and closes."""

_ENCODER: Final = msgspec.json.Encoder()
_TYPE_FIRST: Final = '{"type":"'
_TYPE_AT: Final = len(_TYPE_FIRST)
_BEGINNING: Final = _TYPE_AT + 5
"""So many characters tell of nearly every frame that its type is known."""
_plain: Final = msgspec.json.Decoder().decode
_HEAD: Final = msgspec.json.Decoder(Unrecognized)
_WHERE: Final = re.compile(r"^(?P<what>.*) - at `(?P<path>\$[^`]*)`$", re.DOTALL)
_QUOTED_VALUE: Final = re.compile(r"'.*'", re.DOTALL)


def _problem(error: Exception) -> str:
    """What is wrong and where, without any of the sender's own text."""
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    if isinstance(error, UnicodeError):
        return "not valid UTF-8 at $"
    found = _WHERE.match(str(error))
    what, path = (found["what"], found["path"]) if found else (str(error), "$")
    return f"{_QUOTED_VALUE.sub('', what).rstrip()} at {path}"


def _refuse(error: Exception) -> NoReturn:
    raise DecodeError(_problem(error)) from None


def _decoder(union: Any) -> Callable[[str | bytes], Any]:
    """A function that decodes one direction.

    A frame of a known type is read in one pass. Only when that fails is the type looked at by
    itself, to tell a bad message from one that we do not know.
    """
    read: Final = msgspec.json.Decoder(union).decode
    known: Final = frozenset(member.__struct_config__.tag for member in get_args(union))
    begins: Final = frozenset(f'{_TYPE_FIRST}{tag}"'[:_BEGINNING] for tag in known)

    def decode(data: str | bytes) -> Any:
        try:
            if isinstance(data, bytes):
                data = data.decode()  # msgspec does not look into text that it skips
            if data[:_BEGINNING] in begins or not _is_unknown(data, known):
                message = read(data)
            else:
                message = _HEAD.decode(data)
                if message.type in known:
                    message = read(data)
        except UnicodeError as error:
            _refuse(error)
        except _UNREADABLE as error:
            message = _head(data, known, error)
        if len(data) > _SHALLOW_SIZE and _may_be_too_deep(data):
            _refuse_if_too_deep(data)
        return message

    return decode


def _is_unknown(data: str, known: frozenset[object]) -> bool:
    """Whether ``data`` says in its first words that it is of a type that is not ``known``.

    It only saves the failure of reading it as one of them: who writes it otherwise is read, too.
    """
    return data.startswith(_TYPE_FIRST) and data[_TYPE_AT : data.find('"', _TYPE_AT)] not in known


def _head(data: str | bytes, known: frozenset[object], problem: Exception) -> Unrecognized:
    """What is read of a frame that could not be read as one of the ``known`` types."""
    try:
        head = _HEAD.decode(data)
    except _UNREADABLE as error:
        _refuse(error)
    if head.type in known:
        _refuse(problem)
    return head


def _may_be_too_deep(data: str | bytes) -> bool:
    """Counting is quick, and tells all that there is to know of nearly every frame."""
    if isinstance(data, str):
        return data.count("[") + data.count("{") > DEPTH_MAX
    return data.count(b"[") + data.count(b"{") > DEPTH_MAX


def _refuse_if_too_deep(data: str | bytes) -> None:
    try:
        too_deep = is_too_deep(_plain(data))
    except _UNREADABLE as error:  # in a part that the message has no field for
        _refuse(error)
    if too_deep:
        raise DecodeError(_TOO_DEEP)


decode_from_app: Final[Callable[[str | bytes], FromApp | Unrecognized]] = _decoder(FromApp)
"""The message in a text frame of an app.

Raises:
    DecodeError: not a JSON object with a text ``type``, or one of a known type with a field
        missing or of the wrong kind. The problem names the path and repeats nothing of it.
"""

decode_from_glasses: Final[Callable[[str | bytes], FromGlasses | Unrecognized]] = _decoder(
    FromGlasses
)
"""The message in a text frame of the glasses; raises as ``decode_from_app``."""

decode_to_app: Final[Callable[[str | bytes], ToApp | Unrecognized]] = _decoder(ToApp)
"""The message in a text frame to an app; raises as ``decode_from_app``."""

decode_to_glasses: Final[Callable[[str | bytes], ToGlasses | Unrecognized]] = _decoder(ToGlasses)
"""The message in a text frame to the glasses; raises as ``decode_from_app``."""


def encode(message: msgspec.Struct) -> str:
    """The text frame of ``message``; the one place where messages become JSON."""
    return _ENCODER.encode(message).decode()
