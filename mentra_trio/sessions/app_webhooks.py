"""Calls of app servers on behalf of one app session."""

from __future__ import annotations

from functools import partial

import trio

from ..concurrency.wind_down import wind_down
from ..domain.errors import WebhookFailed, WebhookFailure
from ..domain.facts import WebhookCalled
from ..domain.lifecycle import AppState, StopCause, wire_reason
from ..ports import SessionCall, StopCall
from .app_session import AppSession
from .attempts import Attempt


async def call_until_delivered(app: AppSession, attempt: Attempt) -> None:
    """Call the app server; for a user's start once more if nothing was delivered.

    Settles ``attempt.failure`` when the attempt has failed; on success, or when the outcome
    interests nobody any more, it just returns. A call that was delivered is never repeated: the
    SDK would tear down the session that the first one opened (protocol.md 2.2).
    """
    with attempt.calling:
        try:
            await _call_start(app, attempt)
            return
        except WebhookFailed as failure:
            again = failure.failure is WebhookFailure.REFUSED and not failure.delivered
            if not again or attempt.resurrection:
                attempt.failure.settle(failure)
                return
        await trio.sleep(app.surroundings.lifecycle.webhook_retry_s)
        if app.state is not AppState.CONNECTING:
            return  # it came all the same
        try:
            await _call_start(app, attempt)
        except WebhookFailed as failure:
            attempt.failure.settle(failure)


async def call_stop(app: AppSession, cause: StopCause) -> None:
    """Tell the app server that the user's session with it is over, within ``stop_s``.

    A failure is only reported. Runs to its end, or its limit, also when everything else of the
    session is cancelled.
    """
    if app.registration is None:
        return
    around = app.surroundings
    began = trio.current_time()
    call = StopCall(
        url=app.registration.url,
        user=app.user,
        package=app.package,
        session_id=app.session_id,
        reason=wire_reason(cause),
        timestamp=around.environment.timestamp(),
    )
    failure: WebhookFailed | None = None
    with wind_down(around.lifecycle.stop_s) as limit:
        try:
            await around.webhooks.stop(call)
        except WebhookFailed as error:
            failure = error
    if limit.cancelled_caught:
        text = f"no answer within {around.lifecycle.stop_s:g} s"
        failure = WebhookFailed(WebhookFailure.TIMEOUT, text, delivered=True)
    _report(app, "stop", began, failure)


async def _call_start(app: AppSession, attempt: Attempt) -> None:
    if app.registration is None:
        raise AssertionError("an attempt begins with a registration")
    around = app.surroundings
    began = trio.current_time()
    call = SessionCall(
        url=app.registration.url,
        user=app.user,
        package=app.package,
        session_id=app.session_id,
        websocket_url=around.websocket_url(attempt.token),
        timestamp=around.environment.timestamp(),
    )
    try:
        await around.webhooks.start(call, delivered=partial(_delivered, app, attempt))
    except WebhookFailed as failure:
        _report(app, "session", began, failure)
        raise
    _report(app, "session", began, None)


def _delivered(app: AppSession, attempt: Attempt) -> None:
    """From now on sockets of older attempts are those of a runtime that was replaced."""
    attempt.delivered.set()
    app.floor = max(app.floor, attempt.serial)
    app.note()


def _report(app: AppSession, kind: str, began: float, failure: WebhookFailed | None) -> None:
    app.surroundings.telemetry.emit(
        WebhookCalled(
            user=app.user,
            package=app.package,
            kind=kind,
            result="ok" if failure is None else failure.failure.value,
            seconds=trio.current_time() - began,
            problem="" if failure is None else str(failure),
        )
    )
