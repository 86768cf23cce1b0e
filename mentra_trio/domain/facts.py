"""What the system reports. Log lines, metrics and the journal are read off these.

A fact is a frozen record of something that has happened, in the past tense. A module emits it
in one place at most. No fact carries a key, a token or a payload.
"""

from __future__ import annotations

import attrs

from .attachment import UserState
from .breaker import Sign
from .close_reasons import CloseReason
from .ids import PackageName, UserId
from .lifecycle import AppEvent, AppState


@attrs.frozen(kw_only=True)
class Fact:
    """Root of all facts."""


@attrs.frozen(kw_only=True)
class ServerStarted(Fact):
    """The server listens on ``address``."""

    address: str


@attrs.frozen(kw_only=True)
class ServerDraining(Fact):
    """The server takes no new connections and ends the ones it has."""


@attrs.frozen(kw_only=True)
class UserStateChanged(Fact):
    """A user session moved; ``old`` is ``None`` at its beginning, ``new`` at its end."""

    user: UserId
    old: UserState | None
    new: UserState | None
    cause: str


@attrs.frozen(kw_only=True)
class AppStateChanged(Fact):
    """An app session moved; ``old`` and ``event`` are ``None`` at its beginning.

    ``seconds`` is how long the old state lasted.
    """

    user: UserId
    package: PackageName
    old: AppState | None
    new: AppState
    event: AppEvent | None
    cause: str
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class FreshSession(Fact):
    """A new app session began where there had been one before, or none; ``epoch`` counts them.

    It is never the object of an ended one (seed 001).
    """

    user: UserId
    package: PackageName
    cause: str
    epoch: int


@attrs.frozen(kw_only=True)
class AttemptBegan(Fact):
    """An app server is about to be called; ``attempt`` counts them since the start or the loss."""

    user: UserId
    package: PackageName
    resurrection: bool
    attempt: int


@attrs.frozen(kw_only=True)
class OwnershipReleased(Fact):
    """An app gave up its session; ``handover`` if a call of ours is the reason."""

    user: UserId
    package: PackageName
    reason: str
    handover: bool


@attrs.frozen(kw_only=True)
class FalseResurrection(Fact):
    """An app was called anew, and its old runtime turned out to be alive."""

    user: UserId
    package: PackageName


@attrs.frozen(kw_only=True)
class Quarantined(Fact):
    """An app's session crashed too often; only the user starts it again."""

    user: UserId
    package: PackageName
    problem: str


@attrs.frozen(kw_only=True)
class GaveWay(Fact):
    """A standard app is no longer wanted: ``to``, another one, was asked for later."""

    user: UserId
    package: PackageName
    to: PackageName


@attrs.frozen(kw_only=True)
class HardwareMissing(Fact):
    """An app runs on glasses that lack something that it uses, but does not require."""

    user: UserId
    package: PackageName
    problem: str


@attrs.frozen(kw_only=True)
class MessagesMissed(Fact):
    """An app is back and was told that it missed ``count`` messages, and why."""

    user: UserId
    package: PackageName
    count: int
    reasons: tuple[str, ...]


@attrs.frozen(kw_only=True)
class EndpointChanged(Fact):
    """An app server began, or ceased, to answer; ``waiting`` sessions stand in its line."""

    package: PackageName
    answers: bool
    sign: Sign
    waiting: int


@attrs.frozen(kw_only=True)
class HealthChecked(Fact):
    """An app server was asked for its health; ``result`` as in ``WebhookCalled``."""

    package: PackageName
    result: str
    seconds: float
    problem: str = ""


@attrs.frozen(kw_only=True)
class LinkAttached(Fact):
    """A link began to serve a session. ``package`` is ``None`` for glasses."""

    endpoint: str
    user: UserId
    package: PackageName | None
    peer: str


@attrs.frozen(kw_only=True)
class LinkEnded(Fact):
    """A link ceased to serve a session."""

    endpoint: str
    user: UserId
    package: PackageName | None
    peer: str
    reason: CloseReason


@attrs.frozen(kw_only=True)
class ConnectionRefused(Fact):
    """A peer was turned away before it had a session: at the upgrade, or by its init."""

    endpoint: str
    peer: str
    problem: str


@attrs.frozen(kw_only=True)
class FrameIgnored(Fact):
    """A peer sent something that we could not use; its link stays open."""

    endpoint: str
    peer: str
    problem: str


@attrs.frozen(kw_only=True)
class FrameDropped(Fact):
    """A frame for a peer was not sent: the outbox was full, or the link was gone."""

    endpoint: str
    peer: str
    reason: str


@attrs.frozen(kw_only=True)
class WebhookCalled(Fact):
    """A call to an app server ended. ``kind`` is ``session``, ``stop``, ``settings`` or ``tool``;
    ``result`` is ``ok`` or the value of a ``WebhookFailure``."""

    user: UserId
    package: PackageName
    kind: str
    result: str
    seconds: float
    problem: str = ""


@attrs.frozen(kw_only=True)
class StartJoined(Fact):
    """Somebody asked for an app whose start was already under way, and waits for that one."""

    user: UserId
    package: PackageName


@attrs.frozen(kw_only=True)
class StartEnded(Fact):
    """A start or a resurrection ended after ``seconds``; ``stage`` is empty if it succeeded."""

    user: UserId
    package: PackageName
    stage: str
    message: str
    seconds: float
    resurrection: bool = False


@attrs.frozen(kw_only=True)
class StartAnswered(Fact):
    """Somebody who asked for an app was told the outcome after waiting ``seconds``."""

    user: UserId
    package: PackageName
    success: bool
    seconds: float


@attrs.frozen(kw_only=True)
class SubscriptionsChanged(Fact):
    """An app's subscriptions are now ``streams``; ``rejected`` lack a permission."""

    user: UserId
    package: PackageName
    streams: tuple[str, ...]
    rejected: tuple[str, ...]


@attrs.frozen(kw_only=True)
class PhotoEnded(Fact):
    """A photo that an app asked for was taken, or not: then ``problem`` is the code of why."""

    user: UserId
    package: PackageName
    problem: str
    seconds: float


@attrs.frozen(kw_only=True)
class SoundAnswered(Fact):
    """An app was told what has come of a sound; ``problem`` is the code of why it was not played,
    ``REPORTED`` if the phone says why."""

    user: UserId
    package: PackageName
    problem: str


@attrs.frozen(kw_only=True)
class MessageRefused(Fact):
    """A message of an app for other users was not taken; ``problem`` is the code of the bound."""

    user: UserId
    package: PackageName
    problem: str


@attrs.frozen(kw_only=True)
class StreamChanged(Fact):
    """A camera stream is now ``status``; ``kind`` is ``managed`` or ``unmanaged``.

    ``package`` is the app whose stream it is: of a managed one the first that asked for it.
    """

    user: UserId
    package: PackageName
    kind: str
    status: str


@attrs.frozen(kw_only=True)
class UpdateFailed(Fact):
    """A queued update of an app raised; the next one was not blocked by it."""

    user: UserId
    package: PackageName
    problem: str


@attrs.frozen(kw_only=True)
class StoreTrouble(Fact):
    """The store could not do something for a user; what depends on it was left undone."""

    user: UserId
    problem: str


@attrs.frozen(kw_only=True)
class VoiceTrouble(Fact):
    """A text could not be said; whoever asked was told so."""

    problem: str


@attrs.frozen(kw_only=True)
class RecogniserChanged(Fact):
    """A recogniser of speech in ``language`` was ``opened`` for a user, has ``failed``, or was
    ``closed``; one that failed is opened again, ``failures`` in a row are counted."""

    user: UserId
    language: str
    now: str
    failures: int = 0
    problem: str = ""


@attrs.frozen(kw_only=True)
class SpeechNotServed(Fact):
    """Apps of a user ask for ``streams`` of speech that the transcriber here cannot give."""

    user: UserId
    streams: tuple[str, ...]


@attrs.frozen(kw_only=True)
class SlowStep(Fact):
    """A task ran for ``seconds`` without letting anybody else have a turn."""

    function: str
    seconds: float


@attrs.frozen(kw_only=True)
class Crashed(Fact):
    """A crash was stopped at a bulkhead: ``connection``, ``user session``, ``app session`` or
    ``recogniser``."""

    bulkhead: str
    who: str
    error: BaseException
