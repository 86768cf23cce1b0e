"""What glasses, or the server, bring to an app's ``/photo-upload`` (protocol.md 1.5, 6.3)."""

from __future__ import annotations

from typing import Final

import attrs
import msgspec

from .camera import Photo
from .multipart import FormPart, read_form

PHOTO_BYTES_MAX: Final = 10 * 1_024 * 1_024
UPLOAD_BYTES_MAX: Final = PHOTO_BYTES_MAX + 65_536
"""A photo, and what a form needs around it."""

PHOTO_ERROR: Final = "photo_error"


@attrs.frozen(kw_only=True)
class PhotoFailure:
    """A photo that will not come, and why."""

    request_id: str
    code: str | None
    message: str | None


class _Told(msgspec.Struct, rename="camel"):
    request_id: str = ""
    type: str = ""
    success: bool | str | None = None
    error_code: str | None = None
    error_message: str | None = None


def read_upload(content_type: str, body: bytes) -> Photo | PhotoFailure | str:
    """What was uploaded; or what is wrong with it, in words."""
    form = read_form(content_type, body)
    if form is not None:
        return _of_form(form)
    try:
        told = msgspec.json.decode(body, type=_Told)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "neither a form nor JSON"
    return _failure(told) or "no photo file"


def _of_form(form: list[FormPart]) -> Photo | PhotoFailure | str:
    fields = {part.name: part for part in form}
    texts = {name: part.text for name, part in fields.items() if name != "photo"}
    told = _Told(
        request_id=texts.get("requestId", ""),
        type=texts.get("type", ""),
        success=texts.get("success"),
        error_code=texts.get("errorCode"),
        error_message=texts.get("errorMessage"),
    )
    failure, photo = _failure(told), fields.get("photo")
    if failure is not None:
        return failure
    if photo is None:
        return "no photo file"
    if not photo.mime_type.startswith("image/"):
        return "the file is no image"
    return Photo(
        request_id=told.request_id,
        data=photo.data,
        mime_type=photo.mime_type,
        filename=photo.filename,
    )


def _failure(told: _Told) -> PhotoFailure | str | None:
    """What went wrong with the photo, or with the request; ``None`` if nothing did."""
    if not told.request_id:
        return "no requestId"
    if told.type != PHOTO_ERROR and told.success not in {False, "false"}:
        return None
    return PhotoFailure(
        request_id=told.request_id, code=told.error_code, message=told.error_message
    )
