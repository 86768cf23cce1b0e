"""What a phone answers when it is asked for something: photos, sound, light, a place, a sign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from ..wire import from_glasses, to_glasses
from ..wire.message import Number
from ..wire.parts import PhotoError
from .http_calls import HttpAnswer, call_http
from .multipart import FormPart, write_form
from .questions import RequestFailed

if TYPE_CHECKING:
    from .glasses import Glasses

UPLOAD_S: Final = 30.0
"""How long an upload may take."""

UPLOAD_FAILED: Final = "UPLOAD_FAILED"


@attrs.frozen(eq=False, repr=False)
class Answering:
    """The answering half of ``Glasses``; the requests are what ``next`` returns.

    Every method raises ``LinkClosed`` once the connection is over.
    """

    _glasses: Glasses

    async def photo(
        self,
        request: to_glasses.PhotoRequest,
        data: bytes,
        *,
        mime_type: str = "image/jpeg",
        filename: str = "photo.jpg",
    ) -> HttpAnswer:
        """Upload a photo to where the request says, and then tell the server that it is done.

        Raises:
            RequestFailed: the app's server could not be reached. The server is told that then.
        """
        fields = {"requestId": request.request_id, "type": "photo_upload", "success": "true"}
        content_type, body = write_form(
            *(FormPart(name=name, data=text.encode()) for name, text in fields.items()),
            FormPart(name="photo", data=data, filename=filename, mime_type=mime_type),
        )
        headers = [("Content-Type", content_type)]
        if request.auth_token is not None:
            headers.append(("Authorization", f"Bearer {request.auth_token}"))
        try:
            answer = await call_http(
                "POST",
                request.webhook_url or "",
                headers=headers,
                body=body,
                dial=self._glasses.door.dial,
                ssl_context=self._glasses.door.ssl_context,
                within_s=UPLOAD_S,
            )
        except RequestFailed as error:
            failure = error
        else:
            if answer.ok:
                await self._photo_uploaded(request)
            else:
                await self.photo_failed(request, UPLOAD_FAILED, f"app: answered {answer.status}")
            return answer
        await self.photo_failed(request, UPLOAD_FAILED, "app: it cannot be reached")
        raise failure

    async def _photo_uploaded(self, request: to_glasses.PhotoRequest) -> None:
        await self._glasses.send(
            from_glasses.PhotoResponse(
                request_id=request.request_id,
                success=True,
                saved_to_gallery=request.save_to_gallery or None,
            )
        )

    async def photo_failed(self, request: to_glasses.PhotoRequest, code: str, message: str) -> None:
        """Say that there is no photo; ``code`` is one of protocol.md 6.3."""
        await self._glasses.send(
            from_glasses.PhotoResponse(
                request_id=request.request_id,
                success=False,
                error=PhotoError(code=code, message=message),
            )
        )

    async def audio(
        self,
        request: to_glasses.AudioPlayRequest,
        *,
        duration: Number | None = None,
        error: str | None = None,
    ) -> None:
        """Say that a sound was played, or why it was not."""
        await self._glasses.send(
            from_glasses.AudioPlayResponse(
                request_id=request.request_id,
                success=error is None,
                error=error,
                duration=duration,
            )
        )

    async def led(self, request: to_glasses.RgbLedControl, *, error: str | None = None) -> None:
        """Say that the light does what it should, or why it does not."""
        await self._glasses.send(
            from_glasses.RgbLedControlResponse(
                request_id=request.request_id, success=error is None, error=error
            )
        )

    async def location(
        self,
        request: to_glasses.RequestSingleLocation,
        lat: float,
        lng: float,
        *,
        accuracy: float | None = None,
    ) -> None:
        """Say where the user is, to whoever wanted to know it; ``accuracy`` in metres."""
        await self._glasses.location(
            lat, lng, accuracy=accuracy, correlation_id=request.correlation_id
        )

    async def keep_alive(self, question: to_glasses.KeepRtmpStreamAlive) -> None:
        """Say that a stream is alive (protocol.md 6.6)."""
        await self._glasses.send(
            from_glasses.KeepAliveAck(stream_id=question.stream_id, ack_id=question.ack_id)
        )

    async def keep_streams_alive(self) -> None:
        """Answer every such question until cancelled, or until the connection is over."""
        while True:
            await self.keep_alive(await self._glasses.next(to_glasses.KeepRtmpStreamAlive))
