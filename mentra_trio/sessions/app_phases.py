"""What an app session does while a state holds: one function per state.

Each stays alive exactly as long as its state and returns the event that ended it. Timers are
the scopes inside. Only ``run_app`` moves the session along. How a lost app is brought back is in
``app_returning``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import attrs
import trio

from ..concurrency.milestone import Milestone
from ..concurrency.race import race
from ..domain.breaker import Sign
from ..domain.close_reasons import APP_SILENT, NO_SETTINGS, NOT_YET, CloseReason
from ..domain.facts import FalseResurrection, OwnershipReleased
from ..domain.lifecycle import ENDED, OVER, RESTING, AppEvent, AppState, StopCause
from ..domain.starting import STARTED
from ..domain.stopping import FAREWELLS
from ..domain.timings import CROWD_MOST_S
from ..ports import Link
from .app_greeting import greet
from .app_handlers import handle_app_frame
from .app_returning import backoff, disconnected, resurrecting, try_once
from .app_session import AppSession
from .app_webhooks import call_stop
from .delivery import flush
from .link_service import use_link
from .store_trouble import registration_of

Phase = Callable[[AppSession, trio.Nursery], Awaitable[AppEvent]]

CAUSES: Final[Mapping[AppEvent, StopCause]] = MappingProxyType(
    {AppEvent.START_FAILED: StopCause.START_FAILED}
)
"""Events of phases that end a session, and why it then ended."""

EXPLAINED: Final = frozenset({AppEvent.ATTEMPT_FAILED, AppEvent.BUDGET_SPENT})
"""Events that are told together with what went wrong last."""


async def run_app(app: AppSession) -> None:
    """Live until stopped or at rest, then wind down within a bound. Leaves nothing behind."""
    try:
        async with trio.open_nursery() as nursery:
            _live_in(app, nursery)
            if app.state is not AppState.CONNECTING:
                await _go_on(app)
            while app.state not in OVER:
                event = await PHASES[app.state](app, nursery)
                if app.state not in OVER:  # a stop in the same turn wins
                    because = app.problem if event in EXPLAINED else ""
                    app.advance(event, CAUSES.get(event), because=because)
            nursery.cancel_scope.cancel("app session over")
    except* trio.Cancelled:
        app.stop(StopCause.SERVER_CLOSING)  # ended from outside, without a word to us before
        raise
    finally:
        app.updates.close()
        app.end_turn()
        if app.state not in RESTING:
            app.stop(StopCause.CRASHED)  # does nothing where a cause was given before
            if app.stop_cause is not None and FAREWELLS[app.stop_cause].call_webhook:
                await call_stop(app, app.stop_cause)
            app.advance(AppEvent.WOUND_DOWN, app.stop_cause)


async def connect(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """CONNECTING: call the app server at once, whatever is known of it, and wait for an init."""
    return AppEvent.LINK_ATTACHED if await try_once(app, nursery) else AppEvent.START_FAILED


async def serve_link(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """RUNNING: use the borrowed link until one of its parts says why it is over."""
    if not app.offers.waiting:
        app.lose()
        return AppEvent.LINK_LOST  # its connection ended before it could be used
    arrival, same_runtime = app.attach()
    with trio.move_on_after(app.surroundings.limits.auth_s) as unacked:
        await greet(app, arrival, same_runtime=same_runtime)
    if app.link is None:
        app.detach(NOT_YET if unacked.cancelled_caught else NO_SETTINGS)
        app.lose()
        return AppEvent.LINK_LOST
    app.endpoint.tell(Sign.GOOD)
    app.end_turn()
    app.settle_outcome(STARTED)
    with app.endpoint.serving():
        if app.settling is None:
            reason = await _use(app, arrival.link)
        else:
            reason = await _settle_and_use(app, arrival.link)
    app.endpoint.heard(arrival.link.last_heard)
    app.detach(reason)
    app.lose()
    gone = AppEvent.LINK_RELEASED if _gave_up_ownership(app) else AppEvent.LINK_LOST
    return AppEvent.LINK_REPLACED if app.offers.waiting else gone


async def grace(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """GRACE_PERIOD: wait for the app to come back by itself. This scope *is* the grace timer.

    No webhook is sent in here, whoever asks for the app (seed 003). A server that says it was
    restarted has nothing left that could come back by itself.
    """
    with trio.move_on_after(app.surroundings.lifecycle.grace_s):
        await _until_it_comes_or_cannot(app)
    await _while_crowded(app)
    if app.offers.waiting:
        return AppEvent.LINK_ATTACHED
    gone = not app.desk.here.value and not app.asked.is_set()
    return AppEvent.USER_LEFT if gone else AppEvent.GRACE_EXPIRED


PHASES: Final[Mapping[AppState, Phase]] = MappingProxyType(
    {
        AppState.CONNECTING: connect,
        AppState.RUNNING: serve_link,
        AppState.GRACE_PERIOD: grace,
        AppState.DISCONNECTED: disconnected,
        AppState.RESURRECTING: resurrecting,
        AppState.BACKOFF: backoff,
    }
)


def _comes_or_cannot(app: AppSession) -> bool:
    """Whether the app is at the door, or nothing is left that could come back by itself."""
    return app.offers.waiting or app.restarted.is_set()


async def _until_it_comes_or_cannot(app: AppSession) -> None:
    while not _comes_or_cannot(app):
        await race(app.offers.until_offered, app.restarted.wait)


async def _while_crowded(app: AppSession) -> None:
    """Give the app longer while many come back at once: it may be standing at our own door."""
    crowded_until = app.surroundings.crowded_until
    with trio.move_on_after(CROWD_MOST_S):
        while not _comes_or_cannot(app) and trio.current_time() < crowded_until.value:
            with trio.move_on_at(crowded_until.value):
                await _until_it_comes_or_cannot(app)


# -- parts of the phases ------------------------------------------------------------


def _live_in(app: AppSession, nursery: trio.Nursery) -> None:
    """Whoever stops the app cancels ``nursery``, also if that was before this."""
    app.living = nursery.cancel_scope
    app.updates.open(nursery)
    if app.state in ENDED:
        nursery.cancel_scope.cancel("stopped before it began")


async def _go_on(app: AppSession) -> None:
    """For a session that goes on where another ended: its app is known, or it is over."""
    app.registration = await registration_of(app.surroundings, app.user, app.package)
    if app.registration is None:
        app.stop(StopCause.REMOVED)
    else:
        app.desk.admits(app)


async def _use(app: AppSession, link: Link) -> CloseReason:
    beat = app.surroundings.heartbeat
    return await use_link(
        link,
        handle=partial(handle_app_frame, app),
        interval=beat.interval_s,
        silence=beat.app_pong_s,
        silent=APP_SILENT,
        offers=app.offers,
        pulse=app.surroundings.pulse,
        doubt=RestartOfServer(app),
    )


@attrs.frozen(eq=False, repr=False)
class RestartOfServer:
    """The app's server says that it was restarted: is the link that we use from before?"""

    app: AppSession

    @property
    def raised(self) -> bool:
        """See ``link_service.Doubt``."""
        return self.app.restarted.is_set()

    def dispel(self) -> None:
        """See ``link_service.Doubt``."""
        self.app.restarted = Milestone()  # this one came after the restart


async def _settle_and_use(app: AppSession, link: Link) -> CloseReason:
    async with trio.open_nursery() as greeting:
        greeting.start_soon(_settle, app, name=f"settling {app.package}")
        reason = await _use(app, link)
        greeting.cancel_scope.cancel("link over")
    return reason


async def _settle(app: AppSession) -> None:
    """Keep messages until a new runtime has said what it wants, then send them in order.

    It asks for one stream after the other; the handlers for what it has not asked for yet are
    not there yet either.
    """
    lifecycle = app.surroundings.lifecycle
    with trio.move_on_after(lifecycle.kept_s):
        while app.list_due_at is not None:
            await app.listed.wait()
        unchanged = False
        while not unchanged:
            with trio.move_on_after(lifecycle.settle_s) as quiet:
                await app.listed.wait()
            unchanged = quiet.cancelled_caught
    app.settling = None
    flush(app)


def _gave_up_ownership(app: AppSession) -> bool:
    """Whether the app left for good. A call of ours that makes it move is only a hand-over."""
    if app.released is None:
        return False
    attempt = app.attempt
    handover = attempt is not None and attempt.delivered.is_set() and attempt.serial > app.runtime
    app.surroundings.telemetry.emit(
        OwnershipReleased(
            user=app.user, package=app.package, reason=app.released, handover=handover
        )
    )
    if handover:
        app.surroundings.telemetry.emit(FalseResurrection(user=app.user, package=app.package))
    return not handover
