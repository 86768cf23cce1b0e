"""What peers say and we cannot use: their links stay open, and the log tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..domain.facts import FrameIgnored

if TYPE_CHECKING:
    from .app_session import AppSession
    from .subsystem import Workplace
    from .surroundings import Surroundings


def ignore(app: AppSession, problem: str) -> None:
    """Say in the log that a frame of ``app`` is ignored, and why; nothing of its text."""
    peer = app.link.peer if app.link is not None else ""
    _say(app.surroundings, "app", f"{app.package} at {peer}", problem)


def ignore_glasses(place: Workplace, problem: str) -> None:
    """The same of a frame of the user's glasses, or of what their phone says over HTTP.

    Where they are not linked, the user's name says whose they are.
    """
    _say(place.surroundings, "glasses", place.eyepiece.peer or place.user, problem)


def _say(surroundings: Surroundings, endpoint: str, peer: str, problem: str) -> None:
    surroundings.telemetry.emit(FrameIgnored(endpoint=endpoint, peer=peer, problem=problem))
