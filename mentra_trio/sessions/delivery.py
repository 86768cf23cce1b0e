"""Messages on their way to an app, which may be there, or away and expected back.

``deliver`` never waits and says what has happened. While an app is away its messages are kept;
when it is back they go out in their order, before anything newer.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs
import trio

from ..domain.backlog import FROM_OTHERS, Gap
from ..domain.facts import FrameDropped, MessagesMissed
from ..domain.lifecycle import AWAY, AppState
from ..environment import wire_time
from ..ports import Link
from ..wire.codec import encode
from ..wire.to_app import MISSED, CustomMessage
from .wall_time import wall

if TYPE_CHECKING:
    from .app_session import AppSession

NOT_EXPECTED: Final = "the app is not expected back"
NOT_KEPT: Final = "messages of this kind are not kept"


class Outcome(enum.Enum):
    """What has become of a message. The value is for people."""

    SENT = "sent"
    QUEUED = "queued"
    DROPPED = "dropped"


@attrs.frozen
class Delivery:
    """The answer to whoever has something for an app; ``why`` a dropped message was dropped."""

    outcome: Outcome
    why: str = ""


SENT: Final = Delivery(Outcome.SENT)
QUEUED: Final = Delivery(Outcome.QUEUED)


def free_link(app: AppSession) -> Link | None:
    """Where a message for ``app`` may go at once; ``None`` while it is away, or while there is
    something that is to go first."""
    if app.settling is not None or app.backlog.by_position:
        return None
    return app.link


def deliver(app: AppSession, stream: str, frame: str) -> Delivery:
    """Send ``frame`` to ``app``, or keep it; ``stream`` is named as the app subscribed to it.

    Everybody who has something for the same app at the same time gets the same kind of answer:
    nobody starts anything, and nobody waits (seed 000).
    """
    link = free_link(app)
    if link is not None and link.push(frame):
        return SENT
    return keep(app, stream, frame)  # what a failing link does not take, and what comes after it


def keep(app: AppSession, stream: str, frame: str) -> Delivery:
    """Keep ``frame`` for ``app``, whose link does not take it now; see ``deliver``."""
    if app.state not in AWAY and app.state is not AppState.RUNNING:
        return _dropped(app, NOT_EXPECTED)
    if not app.backlog.keep(stream, frame, trio.current_time()):
        return _dropped(app, NOT_KEPT)
    app.note()
    return QUEUED


def flush(app: AppSession) -> None:
    """Send what was kept, in order, as far as the app still wants it; tell it of a gap first."""
    texts = {*app.subscriptions.texts, FROM_OTHERS}
    wildcard = any(s.is_wildcard for s in app.subscriptions.subscriptions)
    messages = app.backlog.take(trio.current_time(), lambda stream: wildcard or stream in texts)
    gap = app.backlog.take_gap()
    if gap is not None and not _report(app, gap):
        app.backlog.put_back(gap)  # for the next link, as the messages
    for number, message in enumerate(messages):
        if not app.send(message.frame):
            app.backlog.restore(messages[number:])  # for the next link
            break
    if messages or gap is not None:
        app.note()


def _report(app: AppSession, gap: Gap) -> bool:
    """Tell the app: a message that SDKs of every age hand to the author, or ignore.

    ``False`` if its link does not take it.
    """
    reasons = tuple(sorted(loss.value for loss in gap.reasons))
    since = wire_time(wall(app.surroundings.environment, gap.since))
    payload = {"count": gap.count, "since": since, "reason": ", ".join(reasons)}
    timestamp = app.surroundings.environment.timestamp()
    message = CustomMessage(action=MISSED, payload=payload, timestamp=timestamp)
    if not app.send(encode(message)):
        return False
    app.surroundings.telemetry.emit(
        MessagesMissed(user=app.user, package=app.package, count=gap.count, reasons=reasons)
    )
    return True


def _dropped(app: AppSession, why: str) -> Delivery:
    app.surroundings.telemetry.emit(
        FrameDropped(endpoint="app", peer=f"{app.package} of {app.user}", reason=why)
    )
    return Delivery(Outcome.DROPPED, why)
