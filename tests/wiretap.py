"""What really crosses the wire: every message, at the end that reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import attrs
import pytest

from mentra_trio.clients import app_connection, glasses
from mentra_trio.domain.errors import DecodeError
from mentra_trio.sessions import app_handlers, glasses_handlers
from mentra_trio.transport import app_admission
from mentra_trio.wire.from_app import FromApp
from mentra_trio.wire.from_glasses import FromGlasses
from mentra_trio.wire.message import Message
from mentra_trio.wire.to_app import ToApp
from mentra_trio.wire.to_glasses import ToGlasses

Kind = type[Message]

UNIONS: Final[Mapping[str, Any]] = {
    "from_app": FromApp,
    "to_app": ToApp,
    "from_glasses": FromGlasses,
    "to_glasses": ToGlasses,
}
ENDS: Final[Mapping[str, tuple[Any, ...]]] = {
    "from_app": (app_admission, app_handlers),
    "to_app": (app_connection,),
    "from_glasses": (glasses_handlers,),
    "to_glasses": (glasses,),
}
"""By direction: the modules whose code reads the frames that arrive."""


def kinds_of(direction: str) -> frozenset[Kind]:
    """Every type of that direction."""
    return frozenset(get_args(UNIONS[direction]))


def name_of(kind: Kind) -> str:
    """A type, for people: direction and name on the wire."""
    return f"{kind.__module__.rpartition('.')[2]}.{kind.__struct_config__.tag}"


@attrs.define(eq=False)
class Wiretap:
    """Listens at all four ends.

    Attributes:
        crossed: the types that have arrived.
        deaf_to: is taken for nonsense by whoever should read it: nobody acts on it.
    """

    crossed: set[Kind] = attrs.field(factory=set, init=False)
    deaf_to: Kind | None = None

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        """Listen until ``patch`` is undone."""
        for direction, modules in ENDS.items():
            name = f"decode_{direction}"
            for module in modules:
                patch.setattr(module, name, self._listening(getattr(module, name)))

    def _listening(self, decode: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def listening(frame: str | bytes) -> Any:
            message = decode(frame)
            if type(message) is self.deaf_to:
                raise DecodeError("nobody understands it")
            self.crossed.add(type(message))
            return message

        return listening
