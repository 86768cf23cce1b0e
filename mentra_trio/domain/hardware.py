"""What of the glasses an app needs, and whether given glasses have it (protocol.md Appendix B)."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from .errors import ConfigError

DESCRIPTION_CHARACTERS_MAX: Final = 1_000


class HardwareType(enum.Enum):
    """A part of glasses, as the SDK's types name it."""

    CAMERA = "CAMERA"
    DISPLAY = "DISPLAY"
    MICROPHONE = "MICROPHONE"
    SPEAKER = "SPEAKER"
    IMU = "IMU"
    BUTTON = "BUTTON"
    LIGHT = "LIGHT"
    WIFI = "WIFI"

    @property
    def flag(self) -> str:
        """The field of a capability profile that says whether the glasses have it."""
        name: str = self.value
        return f"has{name if self is HardwareType.IMU else name.capitalize()}"

    @property
    def words(self) -> str:
        """As it stands in a sentence."""
        name: str = self.value
        return name if self is HardwareType.IMU else name.lower()


class HardwareLevel(enum.Enum):
    """What becomes of an app on glasses that lack it: it does not run, or runs with less."""

    REQUIRED = "REQUIRED"
    OPTIONAL = "OPTIONAL"


@attrs.frozen(kw_only=True)
class HardwareRequirement:
    """One part that an app uses; ``description`` says to people what for."""

    type: HardwareType
    level: HardwareLevel = HardwareLevel.REQUIRED
    description: str = ""

    @property
    def required(self) -> bool:
        """Whether the app is of no use without it."""
        return self.level is HardwareLevel.REQUIRED

    def to_plain(self) -> dict[str, str]:
        """As a JSON object, in the words of the SDK's types."""
        return {
            "type": self.type.value,
            "level": self.level.value,
            "description": self.description,
        }


def requirement_of(plain: object) -> HardwareRequirement:
    """The requirement that a JSON object ``{type, level?, description?}`` states.

    Raises:
        ConfigError: it is not one; the text says why, in one line.
    """
    if not isinstance(plain, Mapping):
        raise ConfigError("a hardware requirement must be an object with a 'type'")
    description = plain.get("description") or ""
    if not isinstance(description, str) or len(description) > DESCRIPTION_CHARACTERS_MAX:
        most = DESCRIPTION_CHARACTERS_MAX
        raise ConfigError(f"the description of a hardware requirement must be text, at most {most}")
    return HardwareRequirement(
        type=_named(HardwareType, plain.get("type"), "a type of hardware"),
        level=_named(HardwareLevel, plain.get("level", "REQUIRED"), "a level of hardware"),
        description=description,
    )


def _named(kind: Any, name: object, what: str) -> Any:
    if isinstance(name, str) and name.strip().upper() in kind.__members__:
        return kind[name.strip().upper()]
    known = ", ".join(kind.__members__)
    shown = repr(name[:40]) if isinstance(name, str) else "that"
    raise ConfigError(f"{shown} is not {what}: use one of {known}")


def missing(
    requirements: Iterable[HardwareRequirement], capabilities: Mapping[str, Any] | None
) -> tuple[HardwareRequirement, ...]:
    """What of ``requirements`` glasses with ``capabilities`` lack, required or not.

    Nothing is known of glasses without a profile (``None``): they are taken to have everything.
    """
    if capabilities is None:
        return ()
    return tuple(one for one in requirements if not capabilities.get(one.type.flag, False))


def required_but_missing(
    requirements: Iterable[HardwareRequirement], capabilities: Mapping[str, Any] | None
) -> tuple[HardwareRequirement, ...]:
    """What glasses lack without which the app is of no use."""
    return tuple(one for one in missing(requirements, capabilities) if one.required)


def what_is_lacking(lacking: Iterable[HardwareRequirement], model: str | None) -> str:
    """What is missing, for people, with the hop that lacks it: "glasses: X has no display"."""
    names = list(dict.fromkeys(one.type.words for one in lacking))
    return f"glasses: {model or 'this model'} has " + " and ".join(f"no {name}" for name in names)
