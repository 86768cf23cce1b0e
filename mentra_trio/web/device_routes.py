"""What the phone says of the glasses over HTTP (protocol.md 1.6, 6.10)."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.errors import SessionEnded, SettingRefused
from ..domain.ids import UserId
from ..sessions.devices import Devices
from .answers import NO_SESSION, Json, Problem, read_object, refused
from .identity import for_user
from .services import services_of


@for_user
async def change_device_state(request: Request, user: UserId) -> Response:
    """Take note of some keys of GlassesInfo; apps are told what has changed."""
    services = services_of(request)
    news = await read_object(request)
    if isinstance(news, Problem):
        return news.answer()
    try:
        session = services.directory.live(user)
        session.desk.part(Devices).apply(news)
    except SessionEnded:
        return NO_SESSION.answer()
    except SettingRefused as error:
        return refused(error).answer()
    device = session.desk.device
    return Json(
        {
            "success": True,
            "appliedState": {
                "isGlassesConnected": device.connected,
                "isPhoneConnected": session.desk.eyepiece.attached,
                "modelName": device.model_name,
                "capabilities": device.capabilities,
            },
            "timestamp": services.environment.timestamp(),
        }
    )


ROUTES: Final = (Route("/api/client/device/state", change_device_state, methods=["POST"]),)
