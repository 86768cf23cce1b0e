"""How an app is called, and how a lost one is brought back: the phases after grace.

Whoever wants the app only asks (``AppSession.ask``); what is done about it is decided here.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import trio

from ..concurrency.milestone import Milestone
from ..concurrency.race import race
from ..domain.breaker import Sign, sign_of
from ..domain.errors import StoreFailed, WebhookFailed, WebhookFailure
from ..domain.lifecycle import AppEvent, AppState, StopCause
from ..domain.restarts import retry_delay
from ..domain.starting import StartStage, failed
from .app_session import AppSession
from .app_webhooks import call_until_delivered
from .attempts import Attempt
from .endpoint import Turn
from .health import ask_for_health
from .store_trouble import report_store_trouble


async def disconnected(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """DISCONNECTED: let a random time pass, so that one crash does not become one herd."""
    lifecycle = app.surroundings.lifecycle
    now = trio.current_time()
    app.attempts, app.give_up_at = 0, now + lifecycle.resurrection_budget_s
    spread = lifecycle.grace_jitter_s if app.previous is AppState.GRACE_PERIOD else 0.0
    app.retry_at = now + spread * app.surroundings.environment.random.random()
    with trio.move_on_at(app.retry_at):
        while _decided(app) is None:
            await _until_decided(app)
    if (event := _decided(app)) is not None:
        return event
    app.endpoint.expected(app.lost_at)
    app.turn = app.endpoint.goes_at_once(app.lost_at)
    return AppEvent.TURN_AWAITED if app.turn is None else AppEvent.JITTER_ELAPSED


async def resurrecting(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """RESURRECTING: one webhook, and the wait for the init that it should bring."""
    _begin_budget(app)
    app.retry_at = None
    app.restarted = Milestone()  # that word was heeded; if this fails, the next try has its wait
    if await try_once(app, nursery):
        return AppEvent.LINK_ATTACHED
    app.end_turn()
    return AppEvent.ATTEMPT_FAILED


async def backoff(app: AppSession, nursery: trio.Nursery) -> AppEvent:
    """BACKOFF: wait for the next turn; or for the app itself, the user, or the end of it all."""
    if (event := _decided(app)) is not None:
        return event
    if app.tries_out:
        return AppEvent.BUDGET_SPENT
    _begin_budget(app)
    delay = 0.0
    if app.failures:
        lifecycle = app.surroundings.lifecycle
        delay = retry_delay(
            app.failures,
            first_s=lifecycle.retry_s,
            most_s=lifecycle.retry_most_s,
            jitter=app.surroundings.environment.random.random(),
        )
    app.retry_at = trio.current_time() + delay
    spent = False
    while not spent and app.turn is None and _decided(app) is None:
        spent = await race(
            partial(_until_turn, app, app.retry_at),
            partial(_until_decided, app),
            partial(_until_spent, app),
        )
    # Two of these may have happened in one turn: what is the case decides, not who won.
    if (event := _decided(app)) is not None:
        return event
    return AppEvent.BUDGET_SPENT if app.turn is None else AppEvent.RETRY_DUE


async def try_once(app: AppSession, nursery: trio.Nursery) -> bool:
    """Call the app server and wait for a valid init; whether one came.

    If none did, everybody who waits has been told why. The call lives in the session's nursery:
    its answer may come long after the app is up, and then means nothing (protocol.md 2.1).
    """
    if not await _read_registration(app):
        return False
    if app.attempt is not None:
        app.attempt.calling.cancel("a later attempt begins")
    attempt = app.new_attempt()
    app.desk.app_called(app)
    # A server after us must know this attempt's token before the app can use it.
    await app.surroundings.keeper.save_now()
    nursery.start_soon(call_until_delivered, app, attempt, name=f"webhook {app.package}")
    over = False
    while not over:
        over = await race(partial(_until_offered, app), partial(_until_failed, app, attempt))
        if app.offers.waiting:
            return True  # also in the turn in which the attempt failed
    attempt.calling.cancel("the attempt is over")
    stage, message, sign = _why_not(app, attempt)
    app.endpoint.tell(sign)
    app.failures = app.failures + 1 if sign is Sign.FAILED else 0
    if _leaves_a_ghost(attempt):
        app.floor = max(app.floor, attempt.serial + 1)
        app.note()
    app.settle_outcome(failed(stage, message))
    return False


# -- parts of the phases ------------------------------------------------------------


def _begin_budget(app: AppSession) -> None:
    """From now on it counts how long the app is being brought back, if it did not before."""
    if app.give_up_at is None:
        budget = app.surroundings.lifecycle.resurrection_budget_s
        app.give_up_at = trio.current_time() + budget


async def _read_registration(app: AppSession) -> bool:
    """Look the app up: it may have moved. ``False``, with everybody told, if that failed."""
    try:
        found = await app.surroundings.store.app(app.package)
    except StoreFailed as error:
        report_store_trouble(app.surroundings, app.user, error)
        app.failures += 1  # nothing is learnt of the server, and it is not tried again at once
        app.settle_outcome(failed(StartStage.INTERNAL_ERROR, f"App {app.package}: {error}"))
        return False
    if found is None:
        app.settle_outcome(failed(StartStage.WEBHOOK, f"App {app.package} not found"))
        if app.state is not AppState.CONNECTING:
            app.stop(StopCause.REMOVED)  # behind our back; a start fails in any case
        return False
    app.registration = found
    app.surroundings.endpoints.found_at(app.package, found.url)
    return app.desk.admits(app)


def _decided(app: AppSession) -> AppEvent | None:
    """What ends the wait of an app that is away, if anything does now."""
    if app.offers.waiting:
        return AppEvent.LINK_ATTACHED
    if app.asked.is_set():
        return AppEvent.START_REQUESTED
    return None if app.desk.here.value else AppEvent.USER_LEFT


# What ends a race says whether the wait is over with it. A link that was offered may be
# withdrawn before the race is over: then the wait goes on.


async def _until_decided(app: AppSession) -> bool:
    await race(
        app.offers.until_offered,
        app.asked.wait,
        partial(app.desk.here.until, lambda here: not here),
    )
    return False


async def _until_turn(app: AppSession, begin: float) -> bool:
    with trio.move_on_at(begin):
        await app.restarted.wait()
    while app.turn is None:
        app.turn = await _turn_of_use(app)
    return False


async def _turn_of_use(app: AppSession) -> Turn | None:
    """The next turn; ``None`` if the server, asked whether it is there, is still away.

    A server that was away is asked before it is called: that leaves no half-started app behind,
    and costs it nothing.
    """
    turn = await app.endpoint.turn(app.lost_at)
    if not app.endpoint.breaker.asks_first:
        return turn
    with ExitStack() as unless_well:
        unless_well.callback(turn.over)
        failure = await ask_for_health(app.surroundings, app.endpoint)
        if failure is None:
            unless_well.pop_all()
            return turn
        app.endpoint.tell(sign_of(failure.failure))
    return None


async def _until_spent(app: AppSession) -> bool:
    """Until the budget is spent. While its server is being tried, or answers, there is hope."""
    await trio.sleep_until(app.give_up_at or 0.0)
    if not app.failures:
        await app.endpoint.until_hopeless()
    return True


async def _until_offered(app: AppSession) -> bool:
    await app.offers.until_offered()
    return False


async def _until_failed(app: AppSession, attempt: Attempt) -> bool:
    await race(
        partial(_until_refused, attempt),
        attempt.key_rejected.wait,
        partial(_until_too_late, app, attempt),
    )
    return True


async def _until_refused(attempt: Attempt) -> None:
    await attempt.failure.wait()


async def _until_too_late(app: AppSession, attempt: Attempt) -> None:
    """Until ``connect_s`` after delivery, or until a call that is never delivered is hopeless."""
    lifecycle = app.surroundings.lifecycle
    with trio.move_on_after(lifecycle.webhook_s) as delivery:
        await attempt.delivered.wait()
    if not delivery.cancelled_caught:
        await trio.sleep(lifecycle.connect_s)


def _leaves_a_ghost(attempt: Attempt) -> bool:
    """Whether an app may still come of a failed attempt that would never do anything.

    An SDK that had no ack in time answers its webhook with 500, never runs its author's code,
    and yet goes on connecting (protocol.md 2.2).
    """
    failure = attempt.failure.peek()
    return failure is not None and failure.failure is WebhookFailure.ERROR


def _why_not(app: AppSession, attempt: Attempt) -> tuple[StartStage, str, Sign]:
    failure: WebhookFailed | None = attempt.failure.peek()
    package = app.package
    if attempt.key_rejected.is_set():
        return StartStage.AUTHENTICATION, f"App {package} came with a wrong API key", Sign.FAILED
    if failure is not None:
        message = f"The webhook of {package} failed: {failure}"
        return StartStage.WEBHOOK, message, sign_of(failure.failure)
    if not attempt.delivered.is_set():
        message = f"The webhook of {package} could not be delivered in time"
        return StartStage.WEBHOOK, message, Sign.AWAY
    limit = app.surroundings.lifecycle.connect_s
    return StartStage.TIMEOUT, f"App {package} did not connect within {limit:g} s", Sign.AWAY
