"""How the server takes camera streams in, and gives them to viewers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import attrs

from .timings import positive

NO_ENGINE, FFMPEG = "none", "ffmpeg"
ENGINES: Final = (NO_ENGINE, FFMPEG)
RTMP_PORT: Final = 1935


def _engine(_: object, attribute: attrs.Attribute[Any], value: str) -> None:
    if value not in ENGINES:
        raise ValueError(f"{attribute.name} must be one of {', '.join(ENGINES)}")


def _port(_: object, attribute: attrs.Attribute[Any], value: int) -> None:
    if not 0 <= value <= 65535:
        raise ValueError(f"{attribute.name} must be 0 to 65535 (0 picks a free one), not {value}")


@attrs.frozen(kw_only=True)
class StreamSettings:
    """The streaming engine; the section ``streams`` of the settings."""

    engine: str = attrs.field(default=NO_ENGINE, validator=_engine)
    """``ffmpeg`` takes managed streams in by RTMP; ``none`` refuses requests for them."""
    program: Path | None = None
    """ffmpeg itself; without it, the one of the extra ``mentra-trio[streams]``, or on the PATH."""
    host: str | None = None
    """Where RTMP is listened on; without it, where everything else is."""
    port: int = attrs.field(default=RTMP_PORT, validator=_port)
    """The port for RTMP; 0 picks a free one."""
    public_host: str | None = None
    """How glasses reach that port: a host, and ``:port`` where it is another one outside."""
    folder: Path | None = None
    """Where what viewers watch is kept meanwhile; without it, in the system's temporary folder."""
    most: int = attrs.field(default=8, validator=positive)
    """Streams at the same time; each is a process of ffmpeg, and one more for each output."""
