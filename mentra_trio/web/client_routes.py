"""What the phone calls (protocol.md 1.6). Every route needs a core token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.apps import AppRegistration
from ..domain.capabilities import capabilities_of
from ..domain.errors import SessionEnded, UnknownApp
from ..domain.hardware import missing, what_is_lacking
from ..domain.ids import PackageName, UserId
from ..domain.starting import StartResult, StartStage
from ..sessions.snapshots import AppSnapshot
from .answers import NO_SESSION, Json, Problem, app_not_found
from .identity import for_user
from .segments import SegmentRoute
from .services import Services, services_of

NOT_RUNNING: Final = "DISCONNECTED"


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
        return NO_SESSION.answer()
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
        return NO_SESSION.answer()
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
    hidden = await services.store.uninstalled_apps(user)
    live, model = apps_of(services, user), model_of(services, user)
    apps = [
        _app(one, live.get(one.package), model)
        for one in await services.catalog.list()
        if one.package not in hidden or one.package in live
    ]
    return Json({"success": True, "data": apps})


def model_of(services: Services, user: UserId) -> str | None:
    """Which glasses the user has, as far as is known."""
    snapshot = services.directory.user(user)
    return snapshot.model_name if snapshot is not None else None


def compatibility(registration: AppRegistration, model: str | None) -> dict[str, Any]:
    """Whether the app can run on glasses of ``model``, and what they lack of what it uses."""
    lacking = missing(registration.hardware, capabilities_of(model))
    required = [one for one in lacking if one.required]
    return {
        "isCompatible": not required,
        "missingRequired": [one.to_plain() for one in required],
        "missingOptional": [one.to_plain() for one in lacking if not one.required],
        "message": what_is_lacking(lacking, model) if lacking else "",
    }


def _app(
    registration: AppRegistration, app: AppSnapshot | None, model: str | None
) -> dict[str, Any]:
    return {
        "packageName": registration.package,
        "name": registration.title,
        "publicUrl": registration.url,
        "type": registration.kind.value,
        "description": registration.description,
        "version": registration.version,
        "permissions": [
            {"type": name, "description": registration.permission_texts.get(name, "")}
            for name in sorted(registration.permissions)
        ],
        "hardwareRequirements": [one.to_plain() for one in registration.hardware],
        "compatibility": compatibility(registration, model),
        "running": app is not None and app.active,
        "healthy": app is None or app.state != "evicted",
        "appState": app.app_state if app is not None else NOT_RUNNING,
    }


ROUTES: Final = (
    *(
        SegmentRoute(f"/apps/{{package}}/{verb}", endpoint, methods=["POST"])
        for verb, endpoint in (("start", start_app), ("stop", stop_app))
    ),
    Route("/api/client/apps", list_apps),
)
