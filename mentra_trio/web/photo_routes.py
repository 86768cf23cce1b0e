"""What the phone says about photos over HTTP (protocol.md 1.6). Needs a core token."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..domain.errors import SessionEnded
from ..domain.ids import UserId
from ..sessions.phone import button_pressed, phone_says
from ..wire.from_glasses import ButtonPress, PhotoResponse
from .answers import NO_SESSION, Json, Problem, bad_request, read_object
from .identity import for_user
from .services import services_of


@for_user
async def photo_response(request: Request, user: UserId) -> Response:
    """What became of a photo: as ``photo_response`` over the WebSocket."""
    message = _read(await read_object(request), PhotoResponse)
    if isinstance(message, Problem):
        return message.answer()
    try:
        phone_says(services_of(request).directory, user, message)
    except SessionEnded:
        return NO_SESSION.answer()
    return Json({"success": True})


@for_user
async def button_press(request: Request, user: UserId) -> Response:
    """A button was pressed: if no app wants it, the phone is told to take a photo by itself.

    The apps hear of the press by the phone's ``button_press`` over the WebSocket.
    """
    message = _read(await read_object(request), ButtonPress)
    if isinstance(message, Problem):
        return message.answer()
    try:
        photo = button_pressed(services_of(request).directory, user)
    except SessionEnded:
        return NO_SESSION.answer()
    if photo is None:
        return Json({"success": True})
    return Json(
        {
            "success": True,
            "action": "take_photo",
            "requestId": photo,
            "saveToGallery": True,
            "timestamp": services_of(request).environment.timestamp(),
        }
    )


def _read(body: dict[str, Any] | Problem, kind: type[Any]) -> Any:
    """``body`` as a message of that kind, or why it is none."""
    if isinstance(body, Problem):
        return body
    tag = str(kind.__struct_config__.tag)
    try:
        return msgspec.convert({**body, "type": tag}, kind)
    except msgspec.ValidationError as error:
        path = str(error).rpartition(" - at ")[2].strip("`")  # without what was sent
        return bad_request(f"not what was expected: {path}")


ROUTES: Final = (
    Route("/api/client/photo/response", photo_response, methods=["POST"]),
    Route("/api/hardware/button-press", button_press, methods=["POST"]),
)
