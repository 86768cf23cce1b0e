"""Calls of app servers on behalf of one app session."""

from __future__ import annotations

import trio

from ..concurrency.wind_down import wind_down
from ..domain.errors import WebhookFailed, WebhookFailure
from ..domain.facts import WebhookCalled
from ..domain.lifecycle import AppState, StopCause, wire_reason
from ..ports import SessionCall, StopCall
from .app_session import AppSession, Attempt


async def call_until_delivered(app: AppSession, attempt: Attempt) -> None:
    """Call the app server; once more if nothing was delivered, never if something was.

    Settles ``attempt.failure`` when the attempt has failed; on success it just returns.

    Source: protocol.md 2.2 (a repeated webhook kills the live session of the SDK).
    """
    try:
        await _call_start(app, attempt)
    except WebhookFailed as failure:
        if failure.delivered or failure.failure is not WebhookFailure.REFUSED:
            attempt.failure.settle(failure)
            return
    else:
        return
    await trio.sleep(app.surroundings.lifecycle.webhook_retry_s)
    if app.state is not AppState.CONNECTING:
        return  # it came all the same: another call would tear its live session down
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
        await around.webhooks.start(call, delivered=attempt.delivered.set)
    except WebhookFailed as failure:
        _report(app, "session", began, failure)
        raise
    _report(app, "session", began, None)


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
