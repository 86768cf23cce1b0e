"""What the phone calls (protocol.md 1.6). Every route needs a core token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.apps import AppRegistration
from ..domain.errors import SessionEnded, UnknownApp
from ..domain.ids import PackageName, UserId
from ..domain.starting import StartResult, StartStage
from ..domain.user_settings import complete_settings, from_phone, setting_name
from ..sessions.snapshots import AppSnapshot
from .answers import Json, Problem, app_not_found, read_object
from .identity import for_user
from .segments import SegmentRoute
from .services import Services, services_of

NOT_RUNNING: Final = "DISCONNECTED"
_NO_SESSION: Final = Problem(
    status=409,
    code="NO_SESSION",
    message="Session not found",
    why="an app runs only while its user's glasses are, or were just, connected",
    fix="connect the glasses first",
)


@for_user
async def start_app(request: Request, user: UserId) -> Response:
    """Start an app and answer with what came of it."""
    services = services_of(request)
    package = PackageName(request.path_params["package"])
    try:
        result = await services.directory.start_app(user, package)
    except UnknownApp:
        return app_not_found(package).answer()
    except SessionEnded:
        return _NO_SESSION.answer()
    if not result.success:
        return start_problem(result).answer()
    return Json({"success": True, "data": _outcome(services, user, package, "started")})


@for_user
async def stop_app(request: Request, user: UserId) -> Response:
    """Stop an app; one that does not run is stopped already."""
    services = services_of(request)
    package = PackageName(request.path_params["package"])
    try:
        await services.directory.stop_app(user, package)
    except UnknownApp:
        return app_not_found(package).answer()
    except SessionEnded:
        return _NO_SESSION.answer()
    return Json({"success": True, "data": _outcome(services, user, package, "stopped")})


def start_problem(result: StartResult) -> Problem:
    """What a failed start is answered with."""
    stage = result.stage or StartStage.INTERNAL_ERROR
    return Problem(status=500, code=stage.value, message=result.message or "the start failed")


def _outcome(services: Services, user: UserId, package: PackageName, status: str) -> dict[str, str]:
    app = apps_of(services, user).get(package)
    state = app.app_state if app is not None else NOT_RUNNING
    return {"status": status, "packageName": package, "appState": state}


def apps_of(services: Services, user: UserId) -> Mapping[PackageName, AppSnapshot]:
    """The app sessions of a user by package; none where the user has no session."""
    snapshot = services.directory.user(user)
    return {app.package: app for app in snapshot.apps} if snapshot is not None else {}


@for_user
async def list_apps(request: Request, user: UserId) -> Response:
    """The user's apps and how each is: all registered ones that were not uninstalled, and those
    which run all the same."""
    services = services_of(request)
    registered, hidden = (
        await services.catalog.list(),
        await services.store.uninstalled_apps(user),
    )
    live = apps_of(services, user)
    apps = [
        _app(one, live.get(one.package))
        for one in registered
        if one.package not in hidden or one.package in live
    ]
    return Json({"success": True, "data": apps})


def _app(registration: AppRegistration, app: AppSnapshot | None) -> dict[str, Any]:
    return {
        "packageName": registration.package,
        "name": registration.title,
        "publicUrl": registration.url,
        "type": registration.kind.value,
        "permissions": [{"type": name} for name in sorted(registration.permissions)],
        "running": app is not None and app.active,
        "healthy": app is None or app.state != "evicted",
        "appState": app.app_state if app is not None else NOT_RUNNING,
    }


@for_user
async def get_settings(request: Request, user: UserId) -> Response:
    """All of the user's MentraOS settings, under the names that apps know (6.9)."""
    stored = await services_of(request).store.user_settings(user)
    return Json({"success": True, "data": complete_settings(stored)})


@for_user
async def change_settings(request: Request, user: UserId) -> Response:
    """Merge the given settings, under either spelling, and answer with all of them."""
    changes = await read_object(request)
    if isinstance(changes, Problem):
        return changes.answer()
    return await _store(request, user, from_phone(changes))


@for_user
async def get_setting(request: Request, user: UserId) -> Response:
    """One setting; ``null`` where it was never set and has no default."""
    key = request.path_params["key"]
    stored = await services_of(request).store.user_settings(user)
    value = complete_settings(stored).get(setting_name(key))
    return Json({"success": True, "data": {"key": key, "value": value}})


@for_user
async def change_setting(request: Request, user: UserId) -> Response:
    """Set one setting to ``value``."""
    body = await read_object(request)
    if isinstance(body, Problem):
        return body.answer()
    if "value" not in body:
        return Problem(status=400, code="BAD_REQUEST", message="'value' is missing").answer()
    return await _store(request, user, from_phone({request.path_params["key"]: body["value"]}))


async def _store(request: Request, user: UserId, changes: Mapping[str, Any]) -> Response:
    stored = await services_of(request).directory.change_user_settings(user, changes)
    return Json({"success": True, "data": complete_settings(stored)})


SETTINGS: Final = "/api/client/user/settings"

ROUTES: Final = (
    *(
        SegmentRoute(f"/apps/{{package}}/{verb}", endpoint, methods=["POST"])
        for verb, endpoint in (("start", start_app), ("stop", stop_app))
    ),
    Route("/api/client/apps", list_apps),
    Route(SETTINGS, get_settings),
    Route(SETTINGS, change_settings, methods=["PUT", "POST"]),
    SegmentRoute(SETTINGS + "/key/{key}", get_setting),
    SegmentRoute(SETTINGS + "/key/{key}", change_setting, methods=["PUT", "POST"]),
)
