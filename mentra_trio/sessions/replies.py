"""Answers for apps: sent now, or when the app is back from a short absence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import trio

from ..domain.hops import Obstacle
from ..domain.ids import PackageName
from ..domain.timings import ANSWER_DOUBT_S
from ..ports import Link
from ..wire.codec import encode
from ..wire.to_app import PermissionError as PermissionErrorMessage
from ..wire.to_app import PermissionErrorDetail, TpaConnectionError
from .subsystem import Subsystem, Workplace

if TYPE_CHECKING:
    from .app_session import AppSession

KEPT_PER_APP: Final = 32
"""So many answers are remembered for an app; for one more the oldest is dropped."""


@attrs.frozen
class _Given:
    """An answer, the link over which it went (``None``: none took it), and when (Trio time)."""

    frame: str
    link: Link | None
    at: float

    @property
    def has_arrived(self) -> bool:
        """Whether the app was heard long enough after it over the same link."""
        return self.link is not None and self.link.last_heard > self.at + ANSWER_DOUBT_S


@attrs.define(eq=False, repr=False)
class Replies:
    """The answers of one subsystem, each to the one app that asked.

    A request outlives the link over which it came: the SDK still waits after it has reconnected.
    What went over a link that was broken already is said again, because nobody knows whether it
    came through; the SDK ignores an answer that it has had. What is kept for a runtime that never
    returns is of no use to the next one, and harms none.
    """

    place: Workplace
    _given: dict[PackageName, list[_Given]] = attrs.field(factory=dict, init=False)

    def give(self, package: PackageName, frame: str) -> None:
        """Send ``frame`` to the app, now or when it is ``attached`` again."""
        app = self.place.app(package)
        if app is None:
            return
        link = app.link if app.send(frame) else None
        earlier = [one for one in self._given.get(package, ()) if not one.has_arrived]
        given = [*earlier, _Given(frame, link, trio.current_time())]
        self._given[package] = given[-KEPT_PER_APP:]

    def attached(self, app: AppSession) -> None:
        """``app`` is back: it gets what may not have come through."""
        for one in self._given.pop(app.package, ()):
            if not one.has_arrived:
                self.give(app.package, one.frame)

    def forget(self, package: PackageName) -> None:
        """Nobody waits any more."""
        self._given.pop(package, None)


@attrs.define(eq=False, repr=False)
class Replying(Subsystem):
    """A subsystem whose answers come later, and find apps that have reconnected meanwhile."""

    _replies: Replies = attrs.field(init=False)

    @_replies.default
    def _make_replies(self) -> Replies:
        return Replies(self.place)

    def app_attached(self, app: AppSession) -> None:
        """It gets what was answered while it was away."""
        self._replies.attached(app)

    def app_over(self, package: PackageName) -> None:
        """Nobody waits any more."""
        self._replies.forget(package)

    def app_rests(self, package: PackageName) -> None:
        """The same: nobody expects it, and what comes back is mostly another runtime."""
        self.app_over(package)


def complain(app: AppSession, problem: Obstacle) -> None:
    """Tell an app of a request that cannot work and has no answer of its own (protocol.md 3.6).

    The SDK makes an ``error`` event of it; the link stays as it is.
    """
    timestamp = app.surroundings.environment.timestamp()
    error = TpaConnectionError(code=problem.code, message=problem.text, timestamp=timestamp)
    app.send(encode(error))


def deny(app: AppSession, stream: str, permission: str, problem: str) -> None:
    """Tell an app of a request for which it lacks ``permission`` (protocol.md 4.7)."""
    detail = PermissionErrorDetail(stream=stream, required_permission=permission, message=problem)
    timestamp = app.surroundings.environment.timestamp()
    error = PermissionErrorMessage(message=problem, details=[detail], timestamp=timestamp)
    app.send(encode(error))
