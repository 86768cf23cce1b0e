"""What apps have the glasses play (protocol.md 6.4).

The phone downloads and plays the sound by itself, so a phone whose link is lost goes on playing,
and answers over its next link. What nobody answers is answered here, before the SDK gives up.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import attrs
import trio

from ..domain.facts import SoundAnswered
from ..domain.hops import PHONE_AWAY, TOO_MANY, Obstacle, said_by_phone
from ..domain.ids import PackageName, app_session_id
from ..domain.lifecycle import StopCause
from ..domain.requests import Requests
from ..domain.timings import AUDIO_ANSWER_S
from ..wire import from_app as asked
from ..wire import from_glasses as said
from ..wire import to_app, to_glasses
from ..wire.codec import encode
from .replies import Replying
from .subsystem import AppHandlers, GlassesHandlers

if TYPE_CHECKING:
    from .app_session import AppSession

SOUNDS_PER_APP: Final = 32
"""So many sounds of one app may be unanswered."""
SILENT: Final = f"phone: no answer within {AUDIO_ANSWER_S:g} s"
_CODES: Final = MappingProxyType(
    {PHONE_AWAY.text: PHONE_AWAY.code, TOO_MANY.text: TOO_MANY.code, SILENT: "NO_ANSWER"}
)


@attrs.define(eq=False, repr=False)
class AudioOut(Replying):
    """Hands requests on to the phone, and each answer to the app that asked.

    What is ``playing`` may be over; it is what an app has begun and nobody has stopped.
    """

    _requests: Requests = attrs.field(init=False)
    _playing: set[PackageName] = attrs.field(factory=set, init=False)
    _watch: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Of the task that answers for a silent phone; there is one while anybody waits."""

    def __attrs_post_init__(self) -> None:
        self._requests = Requests(seconds=AUDIO_ANSWER_S, per_app=SOUNDS_PER_APP)

    ON_DEMAND: ClassVar[bool] = True

    # -- apps ------------------------------------------------------------------------

    def play(self, app: AppSession, message: asked.AudioPlayRequest) -> None:
        """Have the phone play it, or tell the app at once why it cannot.

        Glasses without a speaker are no obstacle: the phone plays it itself then.
        """
        problem = None if self.place.eyepiece.attached else PHONE_AWAY
        if problem is None:
            problem = self._forward(app, message)
        if problem is not None:
            self._answer(app.package, message.request_id, success=False, error=problem.text)

    def _forward(self, app: AppSession, message: asked.AudioPlayRequest) -> Obstacle | None:
        """Hand the request on; what keeps it from that, if anything."""
        idle = not len(self._requests)
        request = self._requests.enter(
            app.package,
            message.request_id,
            trio.current_time(),
            new_name=self.place.surroundings.environment.new_token,
        )
        if request is None:
            return TOO_MANY
        forwarded = to_glasses.AudioPlayRequest(
            session_id=self.place.user,
            request_id=request.name,
            package_name=app.package,
            app_id=app.package,
            audio_url=message.audio_url,
            volume=message.volume,
            stop_other_audio=message.stop_other_audio,
            track_id=message.track_id,
            timestamp=self.place.timestamp(),
        )
        if not self.place.eyepiece.send(forwarded):
            self._requests.take(request.name)
            return PHONE_AWAY
        self._playing.add(app.package)
        if idle:
            self._watch = self.place.errands.begin(self._answer_for_phone, name="sounds")
        return None

    def stop(self, app: AppSession, message: asked.AudioStopRequest) -> None:
        """Have the phone stop one track of the app, or all of them."""
        self._stop(app.package, message.track_id)

    def _stop(self, package: PackageName, track: float | None = None) -> None:
        if track is None:
            self._playing.discard(package)
        self.place.eyepiece.send(
            to_glasses.AudioStopRequest(
                session_id=self.place.user,
                app_id=package,
                track_id=track,
                timestamp=self.place.timestamp(),
            )
        )

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType(
        {asked.AudioPlayRequest: play, asked.AudioStopRequest: stop}
    )

    # -- answers ---------------------------------------------------------------------

    def answered(self, message: said.AudioPlayResponse) -> bool:
        """Give the answer to the app that asked, and to nobody else."""
        request = self._requests.take(message.request_id)
        if request is not None:
            self._answer(
                request.package,
                request.own_name,
                success=message.success,
                error=said_by_phone(message.error) if message.error else None,
                duration=message.duration,
            )
            self._rest_if_idle()
        return True

    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType({said.AudioPlayResponse: answered})

    async def _answer_for_phone(self) -> None:
        """Tell apps of a phone that does not answer, while there are sounds without an answer."""
        while (due := self._requests.next_until) is not None:
            await trio.sleep_until(due)
            for request in self._requests.take_expired(trio.current_time()):
                self._answer(request.package, request.own_name, success=False, error=SILENT)

    def _rest_if_idle(self) -> None:
        if not len(self._requests):
            self._watch.cancel("every sound is answered")

    def _answer(
        self,
        package: PackageName,
        own_name: str,
        *,
        success: bool,
        error: str | None = None,
        duration: float | None = None,
    ) -> None:
        answer = to_app.AudioPlayResponse(
            session_id=app_session_id(self.place.user, package),
            request_id=own_name,
            success=success,
            error=error,
            duration=duration,
            timestamp=self.place.timestamp(),
        )
        self._replies.give(package, encode(answer))
        problem = "" if success else _CODES.get(error or "", "REPORTED")
        self.place.surroundings.telemetry.emit(
            SoundAnswered(user=self.place.user, package=package, problem=problem)
        )

    # -- hooks -----------------------------------------------------------------------

    def app_over(self, package: PackageName) -> None:
        """An app that is stopped is not heard any more, and nobody waits for answers."""
        self._requests.forget(package)
        self._rest_if_idle()
        super().app_over(package)
        if package in self._playing and not self._server_restarts(package):
            self._stop(package)

    def _server_restarts(self, package: PackageName) -> bool:
        """Whether the app ends here only to go on at the server that comes next."""
        app = self.place.app(package)
        return app is not None and app.stop_cause is StopCause.SERVER_CLOSING
