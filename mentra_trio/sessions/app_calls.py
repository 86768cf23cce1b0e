"""Calls to app servers beside the lifecycle: made once, bounded, and reported."""

from __future__ import annotations

import trio

from ..domain.errors import WebhookFailed, WebhookFailure
from ..domain.facts import WebhookCalled
from ..domain.ids import PackageName, UserId
from ..ports import AppAnswer, AppCall
from .surroundings import Surroundings

OK_FROM, OK_BELOW = 200, 300


async def call_app_server(
    surroundings: Surroundings, user: UserId, package: PackageName, kind: str, call: AppCall
) -> AppAnswer:
    """Make ``call`` on behalf of ``user``, within its time; the answer, whatever its status.

    Raises:
        WebhookFailed: there was no answer; TIMEOUT if only the time was too short.
    """
    began = trio.current_time()
    answer: AppAnswer | None = None
    failure: WebhookFailed | None = None
    with trio.move_on_after(surroundings.lifecycle.webhook_connect_s + call.answer_s) as limit:
        try:
            answer = await surroundings.webhooks.post(call)
        except WebhookFailed as error:
            failure = error
    if limit.cancelled_caught:
        text = f"no answer within {call.answer_s:g} s"
        failure = WebhookFailed(WebhookFailure.TIMEOUT, text, delivered=True)
    result, problem = _outcome(answer, failure)
    surroundings.telemetry.emit(
        WebhookCalled(
            user=user,
            package=package,
            kind=kind,
            result=result,
            seconds=trio.current_time() - began,
            problem=problem,
        )
    )
    if answer is None:
        assert failure is not None, "what has no answer has a failure"
        raise failure
    return answer


def _outcome(answer: AppAnswer | None, failure: WebhookFailed | None) -> tuple[str, str]:
    if failure is not None:
        return failure.failure.value, str(failure)
    if answer is not None and not OK_FROM <= answer.status < OK_BELOW:
        return WebhookFailure.ERROR.value, f"the app answered {answer.status}"
    return "ok", ""
