"""What operators call, with the admin token: users, their apps, why; and registrations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.app_config import permission_values
from ..domain.apps import AppRegistration
from ..domain.errors import ConfigError, SessionEnded, UnknownApp
from ..domain.ids import PackageName, UserId, package_name, user_id
from ..domain.starting import StartResult
from ..environment import wire_time
from ..sessions.endpoint import EndpointSnapshot
from ..sessions.snapshots import AppSnapshot, UserSnapshot
from .answers import Json, Problem, app_not_found, bad_request, read_object
from .client_routes import start_problem
from .identity import for_admin
from .segments import SegmentRoute
from .services import services_of

T = TypeVar("T")

PAGE: Final = 100
PAGE_MAX: Final = 1_000
USERS: Final = "/api/admin/users"
APPS: Final = "/api/admin/apps"
FEEDBACK: Final = "/api/admin/feedback"

_UNKNOWN_USER: Final = Problem(
    status=404,
    code="USER_NOT_FOUND",
    message="that user has no session",
    why="a session begins with the glasses' connection and ends some time after it",
)
_BAD_LIMIT: Final = bad_request(f"'limit' must be a number from 1 to {PAGE_MAX}")


class NewApp(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of a registration."""

    package_name: str
    url: str
    api_key: str | None = None
    name: str = ""
    type: str = "standard"
    permissions: list[str | dict[str, Any]] = []
    settings: list[dict[str, Any]] = []
    server_urls: list[str] = []
    allowed_networks: list[str] = []
    hardware_requirements: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    description: str = ""
    version: str = ""


# -- users -----------------------------------------------------------------------------


@for_admin
async def list_users(request: Request) -> Response:
    """User sessions by id: one page, and where the next begins."""
    limit = _limit(request)
    if isinstance(limit, Problem):
        return limit.answer()
    after = request.query_params.get("after", "")
    users = services_of(request).directory.users(after=after, limit=limit + 1)
    page = users[:limit]
    following = page[-1].user if len(users) > limit else None
    return Json({"users": [user_json(user) for user in page], "next": following})


@for_admin
async def show_user(request: Request) -> Response:
    """One user session."""
    user = _user(request)
    snapshot = services_of(request).directory.user(user) if user is not None else None
    return Json(user_json(snapshot)) if snapshot is not None else _UNKNOWN_USER.answer()


@for_admin
async def journal(request: Request) -> Response:
    """The latest facts of a user, newest last; also of one whose session is over."""
    limit, user = _limit(request), _user(request)
    if isinstance(limit, Problem):
        return limit.answer()
    if user is None:
        return _UNKNOWN_USER.answer()
    return Json({"facts": services_of(request).journal(user, limit)})


@for_admin
async def why(request: Request) -> Response:
    """Why an app of a user is as it is, in a few lines."""
    user, named = _user(request), request.path_params["package"]
    if user is None:
        return _UNKNOWN_USER.answer()
    try:
        package = package_name(named)
    except ValueError:
        return app_not_found(named).answer()
    return Json({"lines": services_of(request).why(user, package)})


@for_admin
async def start_app(request: Request) -> Response:
    """Start an app for a user; the real outcome."""
    return await _command(request, services_of(request).directory.start_app, _started)


@for_admin
async def stop_app(request: Request) -> Response:
    """Stop an app of a user; ``stopped`` tells whether it was running."""
    return await _command(request, services_of(request).directory.stop_app, _stopped)


async def _command(
    request: Request,
    give: Callable[[UserId, PackageName], Awaitable[T]],
    answer: Callable[[T], Response],
) -> Response:
    user, package = _user(request), PackageName(request.path_params["package"])
    if user is None:
        return _UNKNOWN_USER.answer()
    try:
        return answer(await give(user, package))
    except UnknownApp:
        return app_not_found(package).answer()
    except SessionEnded:
        return _UNKNOWN_USER.answer()


def _stopped(stopped: bool) -> Response:
    return Json({"success": True, "stopped": stopped})


def _started(result: StartResult) -> Response:
    if result.success:
        return Json({"success": True})
    problem = start_problem(result)
    return problem.answer(error={"stage": problem.code, "message": problem.message})


def user_json(snapshot: UserSnapshot) -> dict[str, Any]:
    """A user session as operators see it (``house.md`` 7.3)."""
    return {
        "userId": snapshot.user,
        "state": snapshot.state,
        "since": wire_time(snapshot.since),
        "connected": snapshot.connected,
        "lastSeen": _moment(snapshot.last_seen),
        "apps": [app_json(app) for app in snapshot.apps],
    }


def app_json(app: AppSnapshot) -> dict[str, Any]:
    """An app session as operators see it."""
    return {
        "packageName": app.package,
        "state": app.state,
        "appState": app.app_state,
        "since": wire_time(app.since),
        "cause": app.cause,
        "subscriptions": list(app.subscriptions),
        "epoch": app.epoch,
        "attempt": app.attempt,
        "nextAttemptAt": _moment(app.next_attempt_at),
        "outbox": app.outbox,
        "giveUpAt": _moment(app.give_up_at),
        "lastSeen": _moment(app.last_seen),
    }


def _moment(moment: datetime | None) -> str | None:
    return wire_time(moment) if moment is not None else None


def _user(request: Request) -> UserId | None:
    try:
        return user_id(request.path_params["user"])
    except ValueError:
        return None


def _limit(request: Request) -> int | Problem:
    text = request.query_params.get("limit", str(PAGE))
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        return _BAD_LIMIT
    return int(text) if 1 <= int(text) <= PAGE_MAX else _BAD_LIMIT


@for_admin
async def feedback(request: Request) -> Response:
    """What users have said lately, newest last."""
    limit = _limit(request)
    if isinstance(limit, Problem):
        return limit.answer()
    found = await services_of(request).store.feedback(limit)
    return Json(
        {"feedback": [{"userId": one.user, "at": one.at, "text": one.text} for one in found]}
    )


# -- registrations ------------------------------------------------------------------------


@for_admin
async def list_apps(request: Request) -> Response:
    """All registered apps."""
    apps = await services_of(request).catalog.list()
    return Json({"apps": [registration_json(app) for app in apps]})


@for_admin
async def show_app(request: Request) -> Response:
    """One registered app, and how its server is."""
    package = request.path_params["package"]
    services = services_of(request)
    app = await services.catalog.get(package)
    if app is None:
        return app_not_found(package).answer()
    endpoint = endpoint_json(services.directory.endpoint(app.package))
    return Json({**registration_json(app), "endpoint": endpoint})


@for_admin
async def add_app(request: Request) -> Response:
    """Register an app server, or replace its registration; the key is told this once.

    An app that is there already keeps its key unless one is given: then ``apiKey`` is ``null``.
    """
    body = await read_object(request)
    if isinstance(body, Problem):
        return body.answer()
    try:
        new = msgspec.convert(body, NewApp)
        added = await services_of(request).catalog.add(
            new.package_name,
            url=new.url,
            api_key=new.api_key,
            name=new.name,
            kind=new.type,
            settings=new.settings,
            server_urls=new.server_urls,
            allowed_networks=new.allowed_networks,
            hardware=new.hardware_requirements,
            tools=new.tools,
            description=new.description,
            version=new.version,
            **permission_values(new.permissions),
        )
    except (msgspec.ValidationError, ConfigError) as error:
        return bad_request(str(error)).answer()
    answer: Mapping[str, Any] = {
        **registration_json(added.registration),
        "apiKey": added.api_key or None,
    }
    return Json(answer, 201)


@for_admin
async def remove_app(request: Request) -> Response:
    """Forget a registration, and stop the app for everybody."""
    package = request.path_params["package"]
    if not await services_of(request).catalog.remove(package):
        return app_not_found(package).answer()
    return Json({"success": True})


def endpoint_json(endpoint: EndpointSnapshot | None) -> dict[str, Any]:
    """An app server as operators see it; one that nobody has used is taken for well."""
    if endpoint is None:
        return {"breaker": "closed", "waiting": 0, "canary": False, "failures": 0}
    return {
        "breaker": endpoint.state.value,
        "sign": endpoint.sign.value,
        "since": _moment(endpoint.since),
        "failures": endpoint.failures,
        "canary": endpoint.trial,
        "nextCanaryAt": _moment(endpoint.next_trial_at),
        "waiting": endpoint.waiting,
    }


def registration_json(app: AppRegistration) -> dict[str, Any]:
    """A registration as operators see it; of the key nothing is shown."""
    return {
        "registrationId": app.registration_id,
        "packageName": app.package,
        "url": app.url,
        "webhookUrl": app.webhook_url,
        "serverUrls": list(app.server_urls),
        "allowedNetworks": list(app.allowed_networks),
        "name": app.name,
        "type": app.kind.value,
        "permissions": sorted(app.permissions),
        "permissionDescriptions": dict(app.permission_texts),
        "settings": list(app.settings),
        "hardwareRequirements": [one.to_plain() for one in app.hardware],
        "tools": list(app.tools),
        "description": app.description,
        "version": app.version,
    }


# A user id may have slashes in it, so what follows it is recognised from the end of the path.
_ONE_USER: Final = USERS + "/{user:path}"

ROUTES: Final = (
    Route(USERS, list_users),
    SegmentRoute(_ONE_USER + "/journal", journal),
    SegmentRoute(_ONE_USER + "/apps/{package}/why", why),
    SegmentRoute(_ONE_USER + "/apps/{package}/start", start_app, methods=["POST"]),
    SegmentRoute(_ONE_USER + "/apps/{package}/retry", start_app, methods=["POST"]),
    SegmentRoute(_ONE_USER + "/apps/{package}/stop", stop_app, methods=["POST"]),
    SegmentRoute(_ONE_USER, show_user),
    Route(FEEDBACK, feedback),
    Route(APPS, list_apps),
    Route(APPS, add_app, methods=["POST"]),
    SegmentRoute(APPS + "/{package}", show_app),
    SegmentRoute(APPS + "/{package}", remove_app, methods=["DELETE"]),
)
