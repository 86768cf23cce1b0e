"""Settings as the phone reads and changes them: the user's own, and those of apps (6.9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.app_settings import checked_changes, merged_settings
from ..domain.apps import AppRegistration
from ..domain.errors import SettingRefused
from ..domain.ids import UserId
from ..domain.user_settings import complete_settings, from_phone, setting_name
from ..sessions.app_settings import change_app_settings as store_app_settings
from .answers import Json, Problem, app_not_found, bad_request, read_json, read_object, refused
from .identity import Endpoint, for_user
from .segments import SegmentRoute
from .services import services_of

# -- the user's own --------------------------------------------------------------------


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
        return bad_request("'value' is missing").answer()
    return await _store(request, user, from_phone({request.path_params["key"]: body["value"]}))


async def _store(request: Request, user: UserId, changes: Mapping[str, Any]) -> Response:
    directory = services_of(request).directory
    try:
        stored = await directory.change_user_settings(user, changes, by_phone=True)
    except SettingRefused as error:
        return refused(error).answer()
    return Json({"success": True, "data": complete_settings(stored)})


# -- those of apps ---------------------------------------------------------------------


def _of_app(
    endpoint: Callable[[Request, UserId, AppRegistration], Awaitable[Response]],
) -> Endpoint:
    """``endpoint``, called with the user and the app that the path names; else 401 or 404."""

    @for_user
    async def found(request: Request, user: UserId) -> Response:
        package = request.path_params["package"]
        registration = await services_of(request).catalog.get(package)
        if registration is None:
            return app_not_found(package).answer()
        return await endpoint(request, user, registration)

    return found


@_of_app
async def get_app_settings(
    request: Request, user: UserId, registration: AppRegistration
) -> Response:
    """The user's settings of an app, defaults filled in, and what the app is."""
    own = await services_of(request).store.app_settings(user, registration.package)
    return Json(
        {
            "success": True,
            "packageName": registration.package,
            "name": registration.title,
            "description": registration.description,
            "version": registration.version,
            "publicUrl": registration.url,
            "settings": merged_settings(registration.settings, own),
        }
    )


@_of_app
async def change_app_settings(
    request: Request, user: UserId, registration: AppRegistration
) -> Response:
    """Store one ``{key, value}``, or an array of them; the app is told, if it runs."""
    body = await read_json(request)
    if isinstance(body, Problem):
        return body.answer()
    try:
        changes = checked_changes(registration.settings, body)
        await store_app_settings(services_of(request).directory, registration, user, changes)
    except SettingRefused as error:
        return refused(error).answer()
    return Json({"success": True, "message": "Settings updated successfully"})


SETTINGS: Final = "/api/client/user/settings"

ROUTES: Final = (
    Route(SETTINGS, get_settings),
    Route(SETTINGS, change_settings, methods=["PUT", "POST"]),
    SegmentRoute(SETTINGS + "/key/{key}", get_setting),
    SegmentRoute(SETTINGS + "/key/{key}", change_setting, methods=["PUT", "POST"]),
    SegmentRoute("/appsettings/{package}", get_app_settings),
    SegmentRoute("/appsettings/{package}", change_app_settings, methods=["POST"]),
)
