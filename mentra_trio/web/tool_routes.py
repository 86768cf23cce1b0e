"""Tools of apps, for assistants: which there are, and having one carried out (protocol.md 1.6).

Upstream asks nobody who they are here. We ask: for the admin token, for the core token of the
user for whom a tool is called, or for the API key of the app whose tool it is.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..domain.apps import AppRegistration
from ..domain.errors import TooManyCalls, WebhookFailed, WebhookFailure
from ..domain.ids import UserId, user_id
from ..ports import AppAnswer
from .answers import Json, Problem, app_not_found, read_object
from .identity import bearer, core_user, is_admin, names_and_proves
from .segments import SegmentRoute
from .services import Services, services_of

_NOT_YOURS: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="no token, or one that is not for this",
    why="tools act for a user: that user, the app itself, or an operator may use them",
    fix="send 'Authorization: Bearer' with the user's core token, '<package name>:<API key>' of"
    " the app, or the admin token",
)


async def user_tools(request: Request) -> Response:
    """The tools of all registered apps, each with the name of its app."""
    services = services_of(request)
    user = _user(request.path_params["user"])
    if user is None or not _may_act_for(services, bearer(request), user):
        return _NOT_YOURS.answer()
    return Json([tool for app in await services.catalog.list() for tool in _tools(app)])


async def app_tools(request: Request) -> Response:
    """The tools of one app."""
    services, package = services_of(request), request.path_params["package"]
    registration = await services.catalog.get(package)
    if not _is_known(services, bearer(request), registration):
        return _NOT_YOURS.answer()
    if registration is None:
        return app_not_found(package).answer()
    return Json(_tools(registration))


async def call_tool(request: Request) -> Response:
    """Have an app carry out one of its tools; status and body are those of the app's answer."""
    services, package = services_of(request), request.path_params["package"]
    registration, token = await services.catalog.get(package), bearer(request)
    if not _is_known(services, token, registration):
        return _NOT_YOURS.answer(error=True)
    body = await read_object(request)
    if isinstance(body, Problem):
        return body.answer(error=True)
    wrong = _problem_of(body)
    if wrong is not None:
        return _failed(400, "BAD_REQUEST", wrong)
    user = _user(body["userId"])
    if user is None:
        return _failed(400, "BAD_REQUEST", "$.userId must be the id of a user")
    if not _may_act_for(services, token, user) and not names_and_proves(registration, token):
        return _NOT_YOURS.answer(error=True)
    if registration is None:
        return app_not_found(package).answer(error=True)
    if registration.tools and body["toolId"] not in {tool["id"] for tool in registration.tools}:
        return _failed(404, "TOOL_NOT_FOUND", f"cloud: {package} has no tool of that id")
    return await _pass_on(services, registration, user, body)


async def _pass_on(
    services: Services, app: AppRegistration, user: UserId, body: dict[str, Any]
) -> Response:
    parameters = body.get("toolParameters") or {}
    try:
        answer = await services.tools.call(
            app, user, body["toolId"], parameters, body.get("timestamp")
        )
    except TooManyCalls as error:
        return _failed(429, "TOO_MANY_CALLS", f"cloud: {error}")
    except WebhookFailed as failure:
        late = failure.failure is WebhookFailure.TIMEOUT
        status, code = (504, "APP_TIMEOUT") if late else (502, "APP_UNREACHABLE")
        return _failed(status, code, f"app: {app.package}: {failure}")
    if not _can_be_passed_on(answer):
        problem = f"app: {app.package} answered {answer.status}, and not with JSON"
        return _failed(502, "APP_ANSWER_UNUSABLE", problem)
    return Response(answer.body, answer.status, media_type="application/json")


def _can_be_passed_on(answer: AppAnswer) -> bool:
    """A redirect is not: what answers there is not the app. Nor is what is no JSON: a page of a
    proxy, or an answer that was too long and is cut off."""
    try:
        msgspec.json.decode(answer.body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return False
    return not 300 <= answer.status < 400


def _failed(status: int, code: str, message: str) -> Response:
    return Problem(status=status, code=code, message=message).answer(error=True)


def _problem_of(body: dict[str, Any]) -> str | None:
    for name in ("toolId", "userId"):
        if not isinstance(body.get(name), str) or not body[name]:
            return f"$.{name} must be text"
    if not isinstance(body.get("toolParameters") or {}, dict):
        return "$.toolParameters must be an object"
    return None


def _tools(app: AppRegistration) -> list[dict[str, Any]]:
    return [{**tool, "appPackageName": app.package} for tool in app.tools]


def _user(text: str) -> UserId | None:
    try:
        return user_id(text)
    except ValueError:
        return None


def _is_known(services: Services, token: str, registration: AppRegistration | None) -> bool:
    """Whether ``token`` is of a user, whoever it is, of an operator, or of that app."""
    known = core_user(services, token) is not None or is_admin(services, token)
    return known or names_and_proves(registration, token)


def _may_act_for(services: Services, token: str, user: UserId) -> bool:
    return core_user(services, token) == user or is_admin(services, token)


ROUTES: Final = (
    SegmentRoute("/api/tools/users/{user}/tools", user_tools),
    SegmentRoute("/api/tools/apps/{package}/tools", app_tools),
    SegmentRoute("/api/tools/apps/{package}/tool", call_tool, methods=["POST"]),
)
