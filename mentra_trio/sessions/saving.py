"""What is written down of an app session, and how it is read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import trio

from ..domain.backlog import Backlog, Kept
from ..domain.ids import PackageName, UserId
from ..domain.records import AppRecord
from ..domain.timings import Lifecycle
from ..environment import Environment
from ..ports import SessionChange


def fresh_backlog(lifecycle: Lifecycle) -> Backlog:
    """An empty one, with the bounds of the settings."""
    return Backlog(
        messages_max=lifecycle.kept_messages,
        bytes_max=lifecycle.kept_bytes,
        seconds_max=lifecycle.kept_s,
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
    return SessionChange(
        user=user,
        package=package,
        record=record.to_plain(),
        kept_from=backlog.first_position,
        kept=kept,
    )


def restored_backlog(
    saved: Iterable[tuple[int, Mapping[str, Any]]], lifecycle: Lifecycle, environment: Environment
) -> Backlog:
    """What was kept by a server before this one; what cannot be read is left out.

    A wall clock that was set back meanwhile makes messages no younger than just kept.
    """
    began = environment.utcnow().timestamp() - trio.current_time()
    backlog = fresh_backlog(lifecycle)
    messages = (_kept(position, plain, began) for position, plain in saved)
    backlog.restore(message for message in messages if message is not None)
    return backlog


def _plain(message: Kept, began: float) -> dict[str, Any]:
    return {"at": began + message.at, "stream": message.stream, "frame": message.frame}


def _kept(position: int, plain: Mapping[str, Any], began: float) -> Kept | None:
    at, stream, frame = plain.get("at"), plain.get("stream"), plain.get("frame")
    if not isinstance(at, int | float) or not isinstance(stream, str) or not isinstance(frame, str):
        return None
    moment = min(at - began, trio.current_time())
    return Kept(position=position, at=moment, stream=stream, frame=frame, size=len(frame.encode()))
