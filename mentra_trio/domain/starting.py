"""The outcome of a start, shared by everybody who asked for it."""

from __future__ import annotations

import enum
from typing import Final

import attrs

from .ids import PackageName


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
    """What everybody who asked for an app is told; one object per start, the same for all.

    ``superseded_by`` is the standard app that was asked for later, where that is why this one
    does not run (protocol.md 2.13).
    """

    success: bool
    stage: StartStage | None = None
    message: str = ""
    superseded_by: PackageName | None = None


STARTED: Final = StartResult(success=True)


def failed(stage: StartStage, message: str) -> StartResult:
    """A start that did not succeed, with the stage and a sentence for people."""
    return StartResult(success=False, stage=stage, message=message)


def took_the_foreground(package: PackageName) -> str:
    """Why another standard app stops, in words."""
    return f"{package} took the foreground"


def superseded(package: PackageName, by: PackageName) -> StartResult:
    """A start of ``package`` that came to nothing because ``by`` was asked for later."""
    return StartResult(
        success=False,
        stage=StartStage.CONNECTION,
        message=f"App {package}: {took_the_foreground(by)}",
        superseded_by=by,
    )
