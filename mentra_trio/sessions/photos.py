"""Photos that apps ask for: the phone is asked, and what it cannot do is told at once.

The picture goes from the phone straight to the app's server; only the request and a failure
pass through here (protocol.md 6.3). A request belongs to the app and not to its link: it is
waited for while the app reconnects, and, up to its time limit, while the phone does. What an
SDK waits for is a call of ``/photo-upload``, so that is how it hears of a failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs
import trio

from ..domain.camera import CAMERA, Obstacle
from ..domain.errors import StoreFailed, WebhookFailed
from ..domain.facts import FrameDropped, PhotoEnded
from ..domain.hops import PHONE_AWAY
from ..domain.ids import PackageName
from ..domain.photos import (
    DEFAULT_COMPRESSION,
    DEFAULT_SIZE,
    NOT_REACHED,
    PhotoFailure,
    error_body,
    known_code,
    late,
    refusal,
    reported_failure,
)
from ..domain.streams import StreamEvent
from ..domain.timings import (
    PHOTO_ERROR_S,
    PHOTO_ERRORS_UNDER_WAY,
    PHOTO_S,
    PHOTOS_UNDER_WAY,
)
from ..ports import AppCall
from ..wire import from_app, to_glasses
from ..wire.codec import encode
from ..wire.from_glasses import PhotoResponse
from ..wire.parts import PhotoError
from .camera import camera_of
from .fan_out import fan_out
from .ignored import ignore, ignore_glasses
from .replies import deny
from .routes import awaited
from .subsystem import AppHandlers, GlassesHandlers, Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession

UPLOAD_PATH: Final = "/photo-upload"
BUTTON_PRESS: Final = StreamEvent(stream="button_press")
PHOTO_RESPONSE: Final = StreamEvent(stream="photo_response")


@attrs.define(eq=False, kw_only=True, repr=False)
class _Photo:
    """A photo that the phone was asked for, or is just about to be.

    ``known_url`` is that of the app's server when it was started; a newer one may be registered
    by now. ``awaited`` is whether the SDK waits: not for a photo that goes somewhere else.
    ``life`` ends the wait for it.
    """

    package: PackageName
    request: from_app.PhotoRequest
    known_url: str
    began: float = attrs.field(factory=trio.current_time)
    life: trio.CancelScope = attrs.field(factory=trio.CancelScope)

    @property
    def awaited(self) -> bool:
        return not self.request.custom_webhook_url


@attrs.define(eq=False, repr=False)
class Photos(Subsystem):
    """The photos of one user that are under way, by the id that their app gave them."""

    _pending: dict[str, _Photo] = attrs.field(factory=dict, init=False)
    _telling: Counter[PackageName] = attrs.field(factory=Counter, init=False)

    ON_DEMAND: ClassVar[bool] = True

    # -- what apps, the phone and its user say ---------------------------------------

    def photo_request(self, app: AppSession, request: from_app.PhotoRequest) -> None:
        """Have the phone take a photo, or say at once why it does not."""
        if app.registration is None:
            return  # an app that says something has a link, and so a registration
        photo = _Photo(package=app.package, request=request, known_url=app.registration.url)
        other = self._pending.get(request.request_id)
        if other is not None and other.package == app.package:
            ignore(app, "a photo_request with an id that is under way")
            return  # the answer to the first one settles both
        if other is not None:
            text = "app: the id of this photo is in use"
            self._end(photo, PhotoFailure(code="UNKNOWN_ERROR", text=text))
            return
        under_way = sum(one.package == app.package for one in self._pending.values())
        granted = app.registration.permissions
        failure = refusal(granted, camera_of(self.place), under_way, PHOTOS_UNDER_WAY)
        if failure is not None:
            self._refuse(app, photo, failure)
            return
        self._pending[request.request_id] = photo
        photo.life = self.place.errands.begin(partial(self._follow, photo), name="photo")

    def photo_response(self, message: PhotoResponse) -> bool:
        """What came of a photo. It concerns the app that asked, and nobody else."""
        photo = self._pending.pop(message.request_id, None)
        if photo is None:
            ignore_glasses(self.place, "a photo_response that nobody waits for")
            return True
        photo.life.cancel("answered")
        self._tell_if_asked_for(photo.package, message)
        self._end(photo, _failure_in(message))
        return True

    def button_pressed(self) -> str | None:
        """The id of a photo that the phone shall take by itself, since no app wants the button.

        ``None`` where one does, or where the glasses are known to have no camera (1.6).
        """
        wanted = any(awaited(app, BUTTON_PRESS) for app in self.place.apps())
        if wanted or camera_of(self.place).missing:
            return None
        return f"photo_req_{self.place.surroundings.environment.new_token()}"

    # -- hooks -----------------------------------------------------------------------

    def app_over(self, package: PackageName) -> None:
        """Nobody waits for the photos of an app that was stopped."""
        for request, photo in list(self._pending.items()):
            if photo.package == package:
                del self._pending[request]
                photo.life.cancel("app stopped")

    # -- one photo -------------------------------------------------------------------

    async def _follow(self, photo: _Photo) -> None:
        """Ask the phone, and wait until its answer is late. An answer cancels this."""
        failure = PhotoFailure(code=NOT_REACHED, text=PHONE_AWAY.text)
        with trio.move_on_after(PHOTO_S) as limit:
            url = await self._current_url(photo)
            if self._ask_phone(photo, url):
                await trio.sleep_forever()
        if limit.cancelled_caught:
            failure = late(PHOTO_S, phone=self.place.eyepiece.attached)
        del self._pending[photo.request.request_id]  # who takes it out otherwise, cancels this
        self._end(photo, failure)

    def _ask_phone(self, photo: _Photo, url: str) -> bool:
        request = photo.request
        return self.place.eyepiece.send(
            to_glasses.PhotoRequest(
                session_id=self.place.user,
                request_id=request.request_id,
                app_id=photo.package,
                webhook_url=request.custom_webhook_url or url + UPLOAD_PATH,
                auth_token=request.auth_token,
                size=request.size or DEFAULT_SIZE,
                compress=request.compress or DEFAULT_COMPRESSION,
                save_to_gallery=bool(request.save_to_gallery),
                timestamp=self.place.timestamp(),
            )
        )

    async def _current_url(self, photo: _Photo) -> str:
        """Where the app's server is now: it may have moved since the app was started."""
        try:
            found = await self.place.surroundings.store.app(photo.package)
        except StoreFailed:
            found = None
        return photo.known_url if found is None else found.url

    # -- telling the app -------------------------------------------------------------

    def _refuse(self, app: AppSession, photo: _Photo, failure: PhotoFailure) -> None:
        if failure.code == Obstacle.NO_PERMISSION.value:
            deny(app, "photo_request", CAMERA, failure.text)
        self._end(photo, failure)

    def _end(self, photo: _Photo, failure: PhotoFailure | None) -> None:
        """Report what has become of ``photo``, and tell an SDK that waits for a failed one."""
        self.place.surroundings.telemetry.emit(
            PhotoEnded(
                user=self.place.user,
                package=photo.package,
                problem=known_code(failure.code) if failure is not None else "",
                seconds=trio.current_time() - photo.began,
            )
        )
        if failure is None or not photo.awaited:
            return
        if self._telling[photo.package] >= PHOTO_ERRORS_UNDER_WAY:
            self._drop(photo.package, "too many photos have failed at the same time")
            return
        self._telling[photo.package] += 1
        self.place.errands.begin(partial(self._tell, photo, failure), name="photo error")

    async def _tell(self, photo: _Photo, failure: PhotoFailure) -> None:
        """Reject the request at the app's server. Where that fails, the SDK's own limit is left."""
        try:
            with trio.move_on_after(PHOTO_ERROR_S):
                call = AppCall(
                    url=await self._current_url(photo),
                    path=UPLOAD_PATH,
                    body=error_body(photo.request.request_id, failure),
                    answer_s=PHOTO_ERROR_S,
                )
                await self.place.surroundings.webhooks.post(call)
        except WebhookFailed:
            self._drop(photo.package, "the app's server could not be told of a failed photo")
        finally:
            self._telling -= Counter([photo.package])  # leaves no zero behind

    def _tell_if_asked_for(self, package: PackageName, message: PhotoResponse) -> None:
        """SDK 2.1.29 only warns of a ``photo_response``; who subscribes to it gets its own."""
        owner = self.place.app(package)
        if owner is not None:
            environment = self.place.surroundings.environment
            fan_out([owner], PHOTO_RESPONSE, encode(message), environment)

    def _drop(self, package: PackageName, why: str) -> None:
        self.place.surroundings.telemetry.emit(
            FrameDropped(endpoint="app", peer=f"{package} of {self.place.user}", reason=why)
        )

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType({from_app.PhotoRequest: photo_request})
    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType({PhotoResponse: photo_response})


def _failure_in(message: PhotoResponse) -> PhotoFailure | None:
    """Newer phones send an error object, older ones flat fields, some a mere text."""
    told: Mapping[str, Any] = {}
    if isinstance(message.error, PhotoError):
        told = {"code": message.error.code, "message": message.error.message}
    return reported_failure(
        message.success,
        message.error if isinstance(message.error, str) else None,
        told.get("code") or message.error_code,
        told.get("message") or message.error_message,
    )
