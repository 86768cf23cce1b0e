"""What the app SDK calls (protocol.md 1.4)."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.app_settings import merged_settings
from ..domain.ids import PackageName, UserId, package_name, user_id, user_of_session
from .answers import Json, Problem, app_not_found
from .identity import bearer
from .segments import SegmentRoute
from .services import Services, services_of

SDK_LATEST: Final = "2.1.29"
"""The newest SDK that this server is known to serve."""

_NAMELESS: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="send 'Authorization: Bearer <session id>', as the webhook told it",
)
_NOT_RUNNING: Final = Problem(
    status=401, code="UNAUTHORIZED", message="no such session has that app running"
)


async def sdk_version(request: Request) -> Response:
    """Which SDK is the newest; apps print a notice if theirs is older."""
    return Json({"success": True, "data": {"latest": SDK_LATEST}})


async def permissions(request: Request) -> Response:
    """What an app declared; drives warnings that the SDK prints."""
    package = request.path_params["package"]
    registration = await services_of(request).catalog.get(package)
    if registration is None:
        return app_not_found(package).answer()
    declared = [
        {
            "type": name,
            "description": registration.permission_texts.get(name, ""),
            "_id": f"{package}:{name}",
        }
        for name in sorted(registration.permissions)
    ]
    return Json({"packageName": registration.package, "permissions": declared})


async def app_settings(request: Request) -> Response:
    """One user's settings of an app, defaults filled in.

    The SDK names the session or the user where a secret should be, so the answer is given only
    for a user who has that app running now.
    """
    services = services_of(request)
    try:
        package = package_name(request.path_params["package"])
    except ValueError:
        return app_not_found(request.path_params["package"]).answer()
    if not (presented := bearer(request)):
        return _NAMELESS.answer()
    user = _running_user(services, presented, package)
    registration = await services.catalog.get(package) if user is not None else None
    if user is None or registration is None:
        return _NOT_RUNNING.answer()
    own = await services.store.app_settings(user, package)
    return Json({"success": True, "settings": merged_settings(registration.settings, own)})


def _running_user(services: Services, presented: str, package: PackageName) -> UserId | None:
    """The user that ``presented`` names, as a session or by id, if the app is theirs now."""
    candidates = [user_of_session(presented, package)]
    try:
        candidates.append(user_id(presented))
    except ValueError:
        return None
    for user in candidates:
        snapshot = services.directory.user(user) if user is not None else None
        if snapshot is not None and any(app.package == package for app in snapshot.apps):
            return snapshot.user
    return None


ROUTES: Final = (
    Route("/api/sdk/version", sdk_version),
    SegmentRoute("/api/public/permissions/{package}", permissions),
    SegmentRoute("/appsettings/user/{package}", app_settings),
)
