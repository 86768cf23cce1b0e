"""The rules of photos: what becomes of a request, and what the phone's answer means.

Source: protocol.md 6.3 and 3.6.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from .camera import Camera, Obstacle, in_words, obstacle
from .hops import said_by_phone

PURPOSE: Final = "to take photos"
DEFAULT_SIZE: Final = "medium"
DEFAULT_COMPRESSION: Final = "none"

PHONE_TIMEOUT: Final = "PHONE_TIMEOUT"
BUSY: Final = "CAMERA_BUSY"
UNKNOWN: Final = "UNKNOWN_ERROR"
CODES: Final = frozenset(
    {
        "CAMERA_INIT_FAILED",
        "CAMERA_CAPTURE_FAILED",
        "CAMERA_TIMEOUT",
        "CAMERA_BUSY",
        "UPLOAD_FAILED",
        "UPLOAD_TIMEOUT",
        "BLE_TRANSFER_FAILED",
        "BLE_TRANSFER_TIMEOUT",
        "COMPRESSION_FAILED",
        "PERMISSION_DENIED",
        "STORAGE_FULL",
        "NETWORK_ERROR",
        "PHONE_GLASSES_NOT_CONNECTED",
        "PHONE_TIMEOUT",
        "UNKNOWN_ERROR",
    }
)
"""What phones and servers give as reasons (protocol.md 6.3)."""
NOT_REACHED: Final = "PHONE_GLASSES_NOT_CONNECTED"
"""The code for a phone as well as for glasses that are away."""


@attrs.frozen(kw_only=True)
class PhotoFailure:
    """Why there is no photo: a code for programs, and a text that names the hop."""

    code: str
    text: str


def refusal(
    granted: frozenset[str], camera: Camera, pending: int, most: int
) -> PhotoFailure | None:
    """Why an app with ``granted`` gets no photo, where that is known before anybody is asked.

    ``pending`` of its photos are under way; ``most`` may be.
    """
    found = obstacle(granted, camera)
    if found is not None:
        code = NOT_REACHED if found is Obstacle.NO_GLASSES else found.value
        return PhotoFailure(code=code, text=in_words(found, camera, PURPOSE))
    if pending >= most:
        return PhotoFailure(
            code=BUSY, text=f"app: {pending} of its photos are under way, wait for one of them"
        )
    return None


def reported_failure(
    success: bool | None, error: str | None, code: str | None, message: str | None
) -> PhotoFailure | None:
    """What a phone's answer says has failed; ``None`` if the photo was taken.

    ``error`` is a mere text, ``code`` and ``message`` what came as fields. A phone that says
    nothing of success has failed if it gives a reason.
    """
    if success is True or (success is None and not (error or code or message)):
        return None
    text = message or error or "it gave no reason"
    return PhotoFailure(code=code or UNKNOWN, text=said_by_phone(text))


def late(seconds: float, *, phone: bool) -> PhotoFailure:
    """Nobody has answered for ``seconds``; ``phone`` is whether one is linked now."""
    away = "" if phone else "its connection is lost, and "
    return PhotoFailure(code=PHONE_TIMEOUT, text=f"phone: {away}no answer within {seconds:g} s")


def error_body(request: str, failure: PhotoFailure) -> dict[str, Any]:
    """The JSON object that rejects the app's request (protocol.md 1.5)."""
    return {
        "requestId": request,
        "type": "photo_error",
        "success": False,
        "errorCode": failure.code,
        "errorMessage": failure.text,
    }


def known_code(code: str) -> str:
    """``code`` where it is one of ``CODES``; a phone may give any text."""
    return code if code in CODES else UNKNOWN
