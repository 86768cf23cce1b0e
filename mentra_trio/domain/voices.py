"""What is set about the voice that says the texts of apps."""

from __future__ import annotations

from typing import Any, Final

import attrs

ENGINES: Final = ("none", "espeak")


def _is_engine(_: object, field: attrs.Attribute[Any], value: str) -> None:
    if value not in ENGINES:
        raise ValueError(f"{field.name} must be one of {', '.join(ENGINES)}")


def _is_named(_: object, field: attrs.Attribute[Any], value: str) -> None:
    if not value:
        raise ValueError(f"{field.name} must not be empty")


@attrs.frozen(kw_only=True)
class VoiceSettings:
    """What says the texts that apps have spoken (protocol.md 1.4, 6.4)."""

    engine: str = attrs.field(default="none", validator=_is_engine)
    """``espeak`` wants the extra ``mentra-trio[voice]``; with ``none`` apps cannot speak."""
    name: str = attrs.field(default="en-us", validator=_is_named)
    """The voice of those who name none that the engine has."""
