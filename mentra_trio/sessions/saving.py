"""What is written down of an app session, and how it is read again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import trio

from ..domain.backlog import Backlog, Gap, Kept, Loss
from ..domain.ids import PackageName, UserId
from ..domain.records import AppRecord
from ..domain.timings import Lifecycle
from ..environment import Environment
from ..ports import SavedApp, SessionChange

if TYPE_CHECKING:
    from .app_session import AppSession


def fresh_backlog(lifecycle: Lifecycle) -> Backlog:
    """An empty one, with the bounds of the settings."""
    return Backlog(
        messages_max=lifecycle.kept_messages,
        bytes_max=lifecycle.kept_bytes,
        seconds_max=lifecycle.kept_s,
    )


def record_of(app: AppSession, since: datetime) -> AppRecord:
    """What would have to be known of ``app``, in its state ``since`` then, if it ended now."""
    return AppRecord(
        state=app.state,
        cause=app.cause,
        since=since,
        epoch=app.epoch,
        floor=app.floor,
        runtime=app.runtime,
        serial=app.book.newest(app.package),
        tokens=app.book.of(app.package),
        subscriptions=app.subscriptions,
        reconnect_hash=app.reconnect_hash,
    )


def change_of(
    user: UserId,
    package: PackageName,
    record: AppRecord,
    backlog: Backlog,
    *,
    unsaved_from: int,
    environment: Environment,
) -> SessionChange:
    """The record, and the messages that have been kept since it was written down last."""
    began = environment.utcnow().timestamp() - trio.current_time()
    kept = tuple(
        (message.position, _plain(message, began)) for message in backlog.since(unsaved_from)
    )
    missed = {"missed": _plain_gap(gap, began)} if (gap := backlog.gap) is not None else {}
    return SessionChange(
        user=user,
        package=package,
        record={**record.to_plain(), **missed},
        kept_from=backlog.first_position,
        kept=kept,
    )


def restored_backlog(saved: SavedApp, lifecycle: Lifecycle, environment: Environment) -> Backlog:
    """What was kept, and missed, under a server before this one; without what cannot be read.

    A wall clock that was set back meanwhile makes messages no younger than just kept.
    """
    began = environment.utcnow().timestamp() - trio.current_time()
    backlog = fresh_backlog(lifecycle)
    messages = (_kept(position, plain, began) for position, plain in saved.kept)
    backlog.restore(message for message in messages if message is not None)
    gap = _gap(saved.record.get("missed"), began)
    if gap is not None:
        backlog.put_back(gap)
    return backlog


def _plain(message: Kept, began: float) -> dict[str, Any]:
    return {"at": began + message.at, "stream": message.stream, "frame": message.frame}


def _kept(position: int, plain: Mapping[str, Any], began: float) -> Kept | None:
    at, stream, frame = plain.get("at"), plain.get("stream"), plain.get("frame")
    if not isinstance(at, int | float) or not isinstance(stream, str) or not isinstance(frame, str):
        return None
    moment = _moment(at, began)
    return Kept(position=position, at=moment, stream=stream, frame=frame, size=len(frame.encode()))


def _plain_gap(gap: Gap, began: float) -> dict[str, Any]:
    reasons = sorted(loss.value for loss in gap.reasons)
    return {"count": gap.count, "since": began + gap.since, "reasons": reasons}


def _gap(plain: object, began: float) -> Gap | None:
    try:
        match plain:
            case {"count": int(count), "since": int() | float() as since, "reasons": [*reasons]}:
                losses = frozenset(map(Loss, reasons))
                return Gap(count=count, since=_moment(since, began), reasons=losses)
    except ValueError:  # a reason of another version
        pass
    return None


def _moment(at: float, began: float) -> float:
    return min(at - began, trio.current_time())
