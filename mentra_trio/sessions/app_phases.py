"""What an app session does while a state holds: one function per state.

Each stays alive exactly as long as its state and returns the event that ended it. Timers are
the scopes inside. Only ``run_app`` moves the session along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import trio

from ..concurrency.race import race
from ..domain.close_reasons import APP_SILENT, NO_SETTINGS, NOT_YET
from ..domain.errors import StoreFailed, WebhookFailed
from ..domain.lifecycle import ENDED, AppEvent, AppState, StopCause
from ..domain.starting import STARTED, StartStage, failed
from ..domain.stopping import FAREWELLS
from .app_greeting import greet
from .app_handlers import handle_app_frame
from .app_session import AppSession, Attempt
from .app_webhooks import call_stop, call_until_delivered
from .link_service import use_link
from .store_trouble import report_store_trouble

Phase = Callable[[AppSession, trio.Nursery], Awaitable[AppEvent]]

CAUSES: Final[Mapping[AppEvent, StopCause]] = MappingProxyType(
    {AppEvent.START_FAILED: StopCause.START_FAILED, AppEvent.GAVE_UP: StopCause.GRACE_OVER}
)
"""Events of phases that end a session, and why it then ended."""


async def run_app(app: AppSession) -> None:
    """Live until stopped, then wind down within a bound. Leaves nothing behind."""
    try:
        with app.serving:
            async with trio.open_nursery() as nursery:
                await nursery.start(app.updates.run)
                while app.state not in ENDED:
                    event = await PHASES[app.state](app, nursery)
                    if app.state not in ENDED:  # a stop in the same turn wins
                        app.advance(event, CAUSES.get(event))
                nursery.cancel_scope.cancel("app stopped")
    except* trio.Cancelled:
        app.stop(StopCause.SERVER_CLOSING)  # ended from outside, without a word to us before
        raise
    finally:
        app.stop(StopCause.CRASHED)  # does nothing where a cause was given before
        if app.stop_cause is not None and FAREWELLS[app.stop_cause].call_webhook:
            await call_stop(app, app.stop_cause)
        app.advance(AppEvent.WOUND_DOWN, app.stop_cause)


async def connect(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """CONNECTING: call the app server once and wait for a valid init.

    The call itself lives in the session's nursery: its answer may come long after the app is
    up, and then means nothing any more (protocol.md 2.1).
    """
    try:
        app.registration = await app.surroundings.store.app(app.package)
    except StoreFailed as error:
        report_store_trouble(app.surroundings, app.user, error)
        app.settle_start(failed(StartStage.INTERNAL_ERROR, f"App {app.package}: {error}"))
        return AppEvent.START_FAILED
    if app.registration is None:
        app.settle_start(failed(StartStage.WEBHOOK, f"App {app.package} not found"))
        return AppEvent.START_FAILED
    attempt = app.new_attempt()
    nursery.start_soon(call_until_delivered, app, attempt, name=f"webhook {app.package}")
    await race(
        app.offers.until_offered,
        partial(_until_refused, app, attempt),
        attempt.key_rejected.wait,
        partial(_until_too_late, app, attempt),
    )
    # Two of these may have happened in one turn: what is the case decides, not who won.
    if app.offers.waiting:
        return AppEvent.LINK_ATTACHED
    app.settle_start(failed(*_why_not(app, attempt)))
    return AppEvent.START_FAILED


async def serve_link(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """RUNNING: use the borrowed link until one of its parts says why it is over."""
    if not app.offers.waiting:
        return AppEvent.LINK_LOST  # its connection ended before it could be used
    link = app.attach()
    with trio.move_on_after(app.surroundings.limits.auth_s) as unacked:
        await greet(app, link)
    if app.link is None:
        app.detach(NOT_YET if unacked.cancelled_caught else NO_SETTINGS)
        return AppEvent.LINK_LOST
    app.settle_start(STARTED)
    beat = app.surroundings.heartbeat
    reason = await use_link(
        link,
        handle=partial(handle_app_frame, app),
        interval=beat.interval_s,
        silence=beat.app_pong_s,
        silent=APP_SILENT,
        offers=app.offers,
    )
    app.detach(reason)
    return AppEvent.LINK_REPLACED if app.offers.waiting else AppEvent.LINK_LOST


async def grace(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """GRACE_PERIOD: wait for the app to come back by itself. This scope *is* the grace timer."""
    lifecycle = app.surroundings.lifecycle
    jitter = lifecycle.grace_jitter_s * app.surroundings.environment.random.random()
    with trio.move_on_after(lifecycle.grace_s + jitter):
        await app.offers.until_offered()
        app.list_due_at = trio.current_time() + lifecycle.empty_list_hold_s
        return AppEvent.LINK_ATTACHED
    return AppEvent.GAVE_UP


PHASES: Final[Mapping[AppState, Phase]] = MappingProxyType(
    {
        AppState.CONNECTING: connect,
        AppState.RUNNING: serve_link,
        AppState.GRACE_PERIOD: grace,
    }
)


# -- parts of the phases ------------------------------------------------------------


async def _until_refused(app: AppSession, attempt: Attempt) -> None:
    await attempt.failure.wait()


async def _until_too_late(app: AppSession, attempt: Attempt) -> None:
    """Until ``connect_s`` after delivery, or until a call that is never delivered is hopeless."""
    lifecycle = app.surroundings.lifecycle
    with trio.move_on_after(lifecycle.webhook_s) as delivery:
        await attempt.delivered.wait()
    if not delivery.cancelled_caught:
        await trio.sleep(lifecycle.connect_s)


def _why_not(app: AppSession, attempt: Attempt) -> tuple[StartStage, str]:
    failure: WebhookFailed | None = attempt.failure.peek()
    if attempt.key_rejected.is_set():
        return StartStage.AUTHENTICATION, f"App {app.package} came with a wrong API key"
    if failure is not None:
        return StartStage.WEBHOOK, f"The webhook of {app.package} failed: {failure}"
    if not attempt.delivered.is_set():
        return StartStage.WEBHOOK, f"The webhook of {app.package} could not be delivered in time"
    limit = app.surroundings.lifecycle.connect_s
    return StartStage.TIMEOUT, f"App {app.package} did not connect within {limit:g} s"
