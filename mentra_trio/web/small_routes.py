"""What phones and apps ask in passing: versions, feedback, codecs, what is installed
(protocol.md 1.4, 1.6)."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.errors import SessionEnded, UnknownApp
from ..domain.ids import PackageName, UserId
from ..ports import Feedback
from .answers import Json, Problem, app_not_found, bad_request, read_object
from .identity import for_user
from .segments import SegmentRoute
from .services import services_of

CLIENT_REQUIRED: Final = "0.0.0"
CLIENT_RECOMMENDED: Final = "0.0.0"
"""Every version of the phone's app is served."""
AUDIO_FORMATS: Final = ("pcm",)
"""What phones may send as audio (protocol.md 0.3)."""
FEEDBACK_CHARACTERS_MAX: Final = 4_000


async def client_version(request: Request) -> Response:
    """The oldest version of the phone's app that is served, and the one that is wished for."""
    data = {"required": CLIENT_REQUIRED, "recommended": CLIENT_RECOMMENDED}
    return Json({"success": True, "data": data})


async def server_version(request: Request) -> Response:
    """The version of this server."""
    return Json({"success": True, "version": services_of(request).version})


async def instructions(request: Request) -> Response:
    """Instructions for a user's app: this server has none, and says so."""
    return Json({"success": True, "instructions": None})


@for_user
async def feedback(request: Request, user: UserId) -> Response:
    """What the user has to say; operators find it at ``/api/admin/feedback``."""
    body = await read_object(request)
    if isinstance(body, Problem):
        return body.answer()
    given = body.get("feedback")
    if given is None or given in ("", {}, []):
        return bad_request("'feedback' is missing").answer()
    text = given if isinstance(given, str) else msgspec.json.encode(given).decode()
    services = services_of(request)
    at, kept = services.environment.timestamp(), text[:FEEDBACK_CHARACTERS_MAX]
    await services.store.add_feedback(Feedback(user=user, at=at, text=kept))
    return Json({"success": True, "message": "Feedback received"})


@for_user
async def configure_audio(request: Request, user: UserId) -> Response:
    """In which format the phone will send audio: one that the apps understand, or 400."""
    body = await read_object(request)
    if isinstance(body, Problem):
        return body.answer()
    wished = body.get("format")
    if wished not in AUDIO_FORMATS:
        return Problem(
            status=400,
            code="UNSUPPORTED_FORMAT",
            message=f"cloud: audio must be {' or '.join(AUDIO_FORMATS)}, 16 kHz, 16 bit, mono",
            why="apps get the audio as the phone sends it",
        ).answer()
    return Json({"success": True, "format": wished})


@for_user
async def install(request: Request, user: UserId) -> Response:
    """Have the app among the user's apps; all apps are, until they are uninstalled."""
    package = await _known(request)
    if isinstance(package, Problem):
        return package.answer()
    await services_of(request).store.set_installed(user, package, installed=True)
    return Json({"success": True, "message": f"App {package} installed"})


@for_user
async def uninstall(request: Request, user: UserId) -> Response:
    """Stop the app, and have it no more among the user's apps; what it keeps for the user stays."""
    package = await _known(request)
    if isinstance(package, Problem):
        return package.answer()
    services = services_of(request)
    await services.store.set_installed(user, package, installed=False)
    try:
        await services.directory.stop_app(user, package)
    except UnknownApp:
        return app_not_found(package).answer()  # removed just now
    except SessionEnded:  # so nothing of it runs; nor does it when the user comes
        await services.store.set_wanted(user, package, wanted=False)
    return Json({"success": True, "message": f"App {package} uninstalled"})


async def _known(request: Request) -> PackageName | Problem:
    package: str = request.path_params["package"]
    registration = await services_of(request).catalog.get(package)
    return registration.package if registration is not None else app_not_found(package)


ROUTES: Final = (
    Route("/api/client/min-version", client_version),
    Route("/apps/version", server_version),
    Route("/api/instructions", instructions),
    Route("/api/client/feedback", feedback, methods=["POST"]),
    Route("/api/client/audio/configure", configure_audio, methods=["POST"]),
    SegmentRoute("/api/store/install/{package}", install, methods=["POST"]),
    SegmentRoute("/api/store/uninstall/{package}", uninstall, methods=["POST"]),
)
