"""Messages of an app: each changes something now, or is queued in its order.

One function per message. All are synchronous: the link's reader never waits for them. Nothing
an app says here closes its link, with one exception: a flood of updates (protocol.md 3.6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import trio

from ..concurrency.milestone import Milestone
from ..domain.close_reasons import UPDATES_OVERFLOW, CloseReason
from ..domain.errors import DecodeError, SessionEnded, UpdatesOverflow
from ..domain.facts import SubscriptionsChanged
from ..domain.permissions import REJECTED, Rejection, split_by_permission
from ..domain.subscriptions import SubscriptionSet, decide_update
from ..wire.codec import decode_from_app, encode
from ..wire.from_app import FromApp, OwnershipRelease, Ping, SubscriptionUpdate
from ..wire.message import Unrecognized
from ..wire.to_app import PermissionError as PermissionErrorMessage
from ..wire.to_app import PermissionErrorDetail, Pong
from .app_session import AppSession
from .ignored import ignore

UNSAID: Final = "no reason given"
REPORTED_MAX: Final = 512
"""Rejected streams that are remembered per link; an app that invents more hears no more."""


def handle_app_frame(app: AppSession, frame: str | bytes) -> CloseReason | None:
    """Act on one frame of an app; the reason to close its link, if there is one.

    The reader may outlive a stop by a moment: what it still reads then is as if never said.
    """
    if app.link is None:
        return None
    if isinstance(frame, bytes):
        ignore(app, "a binary frame")
        return None
    try:
        message = decode_from_app(frame)
    except DecodeError as error:
        ignore(app, error.problem)
        return None
    if isinstance(message, SubscriptionUpdate):
        return subscription_update(app, message)
    act(app, message)
    return None


def act(app: AppSession, message: FromApp | Unrecognized) -> None:
    """What a message that needs no turn in a queue means."""
    own = _ACTS.get(type(message))
    if own is not None:
        own(app, message)
    elif isinstance(message, Unrecognized):
        ignore(app, "a message of a type that is not known here")
    elif not app.desk.app_says(app, message):
        ignore(app, f"{type(message).__name__} is of no use here")


def _answer(app: AppSession, message: Ping) -> None:
    app.send(encode(Pong(timestamp=app.surroundings.environment.timestamp())))


def _release(app: AppSession, message: OwnershipRelease) -> None:
    app.released = message.reason or UNSAID  # it will go away by itself (2.10)


_ACTS: Final[Mapping[type, Callable[[AppSession, Any], None]]] = MappingProxyType(
    {Ping: _answer, OwnershipRelease: _release}
)
"""What is done here with a message; all others are for the subsystems."""


def subscription_update(app: AppSession, message: SubscriptionUpdate) -> CloseReason | None:
    """Queue the new list behind those that came before it (seed 002)."""
    requested = SubscriptionSet.from_wire(message.subscriptions)
    try:
        app.updates.submit(partial(apply_subscriptions, app, requested))
    except UpdatesOverflow:
        return UPDATES_OVERFLOW
    except SessionEnded:
        return None  # the reader outlived the worker by a moment; the link is being given back
    return None


async def apply_subscriptions(app: AppSession, requested: SubscriptionSet) -> SubscriptionSet:
    """Replace the app's subscriptions by those of ``requested`` that it may have.

    Runs in the update worker only. Returns what is in force afterwards.
    """
    await trio.lowlevel.checkpoint()
    allowed, rejections = split_by_permission(requested, app.granted)
    held = app.list_due_at is not None and trio.current_time() < app.list_due_at
    app.subscriptions = decide_update(app.subscriptions, allowed, held=held)
    if not allowed.is_empty:
        app.list_due_at = None
    _report_rejections(app, rejections)
    app.surroundings.telemetry.emit(
        SubscriptionsChanged(
            user=app.user,
            package=app.package,
            streams=app.subscriptions.texts,
            rejected=tuple(rejection.stream for rejection in rejections),
        )
    )
    app.listed.set()
    app.listed = Milestone()
    app.note()
    app.desk.apps_changed()
    _report_added(app, allowed)
    return app.subscriptions


def _report_added(app: AppSession, allowed: SubscriptionSet) -> None:
    """Let subsystems know what is new, so that they tell the app what it missed (4.11).

    What is only kept from the runtime before is not asked for: nobody would hear it yet.
    """
    added = [one for one in allowed.subscriptions if one.text not in app.asked_for]
    app.asked_for = frozenset(allowed.texts)
    if added:
        app.desk.app_listed(app, added)


def _report_rejections(app: AppSession, rejections: tuple[Rejection, ...]) -> None:
    """Tell the app, once per stream and link: the SDK repeats its list for every handler."""
    news = [rejection for rejection in rejections if rejection.stream not in app.reported]
    if not news or len(app.reported) >= REPORTED_MAX:
        return
    app.reported.update(rejection.stream for rejection in news)
    message = PermissionErrorMessage(
        message=REJECTED,
        details=[
            PermissionErrorDetail(
                stream=rejection.stream,
                required_permission=rejection.required_permission,
                message=rejection.message,
            )
            for rejection in news
        ],
        timestamp=app.surroundings.environment.timestamp(),
    )
    app.send(encode(message))
