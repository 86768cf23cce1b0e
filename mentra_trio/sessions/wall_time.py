"""Moments of Trio time as wall time, for people and for the wire."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import overload

import trio

from ..environment import Environment


@overload
def wall(environment: Environment, moment: float) -> datetime: ...
@overload
def wall(environment: Environment, moment: float | None) -> datetime | None: ...
def wall(environment: Environment, moment: float | None) -> datetime | None:
    """``moment`` of Trio time, past or to come, as wall time; ``None`` stays ``None``."""
    if moment is None:
        return None
    return environment.utcnow() + timedelta(seconds=moment - trio.current_time())
