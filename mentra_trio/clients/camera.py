"""Photos: asked for through the server, and uploaded by the glasses to the app's own server."""

from __future__ import annotations

from typing import Final

import attrs

from ..wire import from_app, to_app
from ..wire.parts import PhotoError
from .ability import Ability, failure, new_id
from .ears import FromServer

PHOTO_S: Final = 30.0
"""How long a photo is awaited (protocol.md 6.3)."""

PHOTO: Final = "photo"
UNKNOWN: Final = "UNKNOWN_ERROR"


@attrs.frozen(kw_only=True)
class Photo:
    """A photo as the glasses uploaded it: the bytes of the file, ``image/jpeg`` or such."""

    request_id: str
    data: bytes = attrs.field(repr=False)
    mime_type: str
    filename: str

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.data)


class Camera(Ability):
    """The glasses' camera. Needs the permission ``CAMERA``. Live pictures: ``session.streams``."""

    async def request_photo(
        self,
        *,
        size: str = "medium",
        compress: str = "none",
        save_to_gallery: bool = False,
        within_s: float = PHOTO_S,
    ) -> Photo:
        """Take a photo and wait until it is here.

        Args:
            size: ``small``, ``medium``, ``large`` or ``full``.
            compress: ``none``, ``medium`` or ``heavy``.
            save_to_gallery: whether the phone keeps it, too.

        Raises:
            RequestFailed: with a code of protocol.md 6.3, such as ``PERMISSION_DENIED``,
                ``PHONE_GLASSES_NOT_CONNECTED`` or ``CAMERA_BUSY``; or as ``Questions.ask``.
        """
        request_id = new_id("photo_req")
        photo = await self.ask(
            PHOTO,
            request_id,
            from_app.PhotoRequest,
            request_id=request_id,
            size=size,
            compress=compress,
            save_to_gallery=save_to_gallery,
            within_s=within_s,
        )
        assert isinstance(photo, Photo)
        return photo

    async def send_photo_to(
        self,
        url: str,
        *,
        auth_token: str | None = None,
        size: str = "medium",
        compress: str = "none",
    ) -> bool:
        """Have a photo uploaded to ``url``, which is not this app's server; nothing is awaited.

        Returns:
            ``False`` if there was no connection.
        """
        return await self.tell(
            from_app.PhotoRequest,
            request_id=new_id("photo_req"),
            custom_webhook_url=url,
            auth_token=auth_token,
            size=size,
            compress=compress,
        )

    def arrived(self, photo: Photo) -> bool:
        """A photo was uploaded; ``False`` if it was not asked for here, or is not awaited now."""
        return self.settle(PHOTO, photo.request_id, photo)

    def failed(self, request_id: str, code: str | None, message: str | None) -> bool:
        """A photo will not come; ``False`` as for ``arrived``."""
        return self.settle(
            PHOTO,
            request_id,
            failure(message, code=code or UNKNOWN, otherwise="the photo could not be taken"),
        )

    def take(self, message: FromServer) -> None:
        """A failure may be told over the link as well; a photo itself never is."""
        match message:
            case to_app.PhotoResponse(success=False, error=PhotoError() as error):
                self.failed(message.request_id, error.code, error.message)
            case to_app.PhotoResponse(success=False, error=str() | None as error):
                self.failed(message.request_id, message.error_code, error or message.error_message)
