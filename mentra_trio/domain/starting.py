"""The outcome of a start, shared by everybody who asked for it."""

from __future__ import annotations

import enum
from typing import Final

import attrs


class StartStage(enum.Enum):
    """Where a start failed (seed 000; protocol.md 2.13)."""

    WEBHOOK = "WEBHOOK"
    """The app server could not be called, or said no; or no such app is known."""
    TIMEOUT = "TIMEOUT"
    """The webhook was delivered, but no valid init came in time."""
    AUTHENTICATION = "AUTHENTICATION"
    """The app came with a wrong API key."""
    CONNECTION = "CONNECTION"
    """The session ended, or was stopped, before the app was up."""
    HARDWARE_CHECK = "HARDWARE_CHECK"
    """The glasses lack something that the app requires."""
    INTERNAL_ERROR = "INTERNAL_ERROR"
    """An error inside the server."""


@attrs.frozen(kw_only=True)
class StartResult:
    """What everybody who asked for an app is told; one object per start, the same for all."""

    success: bool
    stage: StartStage | None = None
    message: str = ""


STARTED: Final = StartResult(success=True)


def failed(stage: StartStage, message: str) -> StartResult:
    """A start that did not succeed, with the stage and a sentence for people."""
    return StartResult(success=False, stage=stage, message=message)
