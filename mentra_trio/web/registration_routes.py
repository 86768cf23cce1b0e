"""What an app server asks about its own registration, with its API key (seed 004)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ..domain.apps import AppRegistration
from .answers import Json, Problem
from .identity import Endpoint, bearer, presents_key_of
from .segments import SegmentRoute
from .services import services_of

ONE: Final = "/api/registrations/{registration_id}"

_NOT_YOURS: Final = Problem(
    status=401,
    code="UNAUTHORIZED",
    message="no registration of that id has that API key",
    fix="send 'Authorization: Bearer <API key>', or 'Bearer <package name>:<API key>'",
)


def for_app_server(
    endpoint: Callable[[Request, AppRegistration], Awaitable[Response]],
) -> Endpoint:
    """``endpoint``, called with the registration that the path names, for its key; else 401.

    An unknown registration takes the same path and the same time as a wrong key.
    """

    async def guarded(request: Request) -> Response:
        named = request.path_params["registration_id"]
        registration = await services_of(request).catalog.by_registration(named)
        matches = presents_key_of(registration, bearer(request))
        if registration is None or not matches:
            return _NOT_YOURS.answer()
        return await endpoint(request, registration)

    return guarded


@for_app_server
async def show_registration(request: Request, registration: AppRegistration) -> Response:
    """The registration, and the sessions that its app has now or is getting back."""
    return Json(
        {
            "success": True,
            "registrationId": registration.registration_id,
            "packageName": registration.package,
            "webhookUrl": registration.webhook_url,
            "serverUrls": list(registration.server_urls),
            "activeSessions": services_of(request).directory.active(registration.package),
        }
    )


@for_app_server
async def restarted(request: Request, registration: AppRegistration) -> Response:
    """The app server has restarted: bring back the sessions that it had."""
    recovered = await services_of(request).recover(registration.package)
    return Json({"success": True, "recovered": recovered})


ROUTES: Final = (
    SegmentRoute(ONE, show_registration),
    SegmentRoute(ONE + "/restarted", restarted, methods=["POST"]),
)
