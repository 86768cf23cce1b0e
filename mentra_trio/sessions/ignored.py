"""What peers say and we cannot use: their links stay open, and the log tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..domain.facts import FrameIgnored

if TYPE_CHECKING:
    from .app_session import AppSession
    from .subsystem import Workplace


def ignore(app: AppSession, problem: str) -> None:
    """Say in the log that a frame of ``app`` is ignored, and why; nothing of its text."""
    peer = app.link.peer if app.link is not None else ""
    app.surroundings.telemetry.emit(
        FrameIgnored(endpoint="app", peer=f"{app.package} at {peer}", problem=problem)
    )


def ignore_glasses(place: Workplace, problem: str) -> None:
    """The same of a frame of the user's glasses, or of what their phone says over HTTP.

    Where they are not linked, the user's name says whose they are.
    """
    peer = place.eyepiece.peer or place.user
    place.surroundings.telemetry.emit(FrameIgnored(endpoint="glasses", peer=peer, problem=problem))
