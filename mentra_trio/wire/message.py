"""What every message on the wire has in common: its tag, its spelling, its two common fields."""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

Number: TypeAlias = int | float
"""A JavaScript number: ``3000`` and ``3000.0`` are the same to the other side."""

Timestamp: TypeAlias = str | int | float
"""ISO 8601 text from those who keep to the rule, epoch milliseconds from the others."""


def wire_type(class_name: str) -> str:
    """The ``type`` on the wire for a class: ``TpaConnectionInit`` -> ``tpa_connection_init``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


class Message(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    tag_field="type",
    tag=wire_type,
):
    """A JSON object with a ``type``; what is ``None`` by default is not written.

    Fields that the receiver does not need for any decision are optional even where every known
    sender fills them in: a peer that leaves one out is still understood. Unknown fields are
    ignored, so that newer peers are understood too (protocol.md 0.3).
    """

    timestamp: Timestamp | None = None
    session_id: str | None = None


class Unrecognized(msgspec.Struct, frozen=True):
    """A well-formed message of a ``type`` that this direction does not know; never an error."""

    type: str


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An object inside a message, without a ``type`` of its own."""
