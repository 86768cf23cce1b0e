"""The LEDs of the glasses, as apps switch them (protocol.md 6.5)."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import attrs
import trio

from ..domain.hops import PHONE_AWAY, TOO_MANY, Obstacle, obstacle, said_by_phone
from ..domain.ids import PackageName, app_session_id
from ..domain.requests import Requests
from ..domain.timings import LED_ANSWER_S
from ..wire import from_app as asked
from ..wire import from_glasses as said
from ..wire import to_app, to_glasses
from ..wire.codec import encode
from .replies import Replying, complain
from .subsystem import AppHandlers, GlassesHandlers

if TYPE_CHECKING:
    from .app_session import AppSession

COMMANDS_PER_APP: Final = 64
"""So many commands of one app may be unanswered."""


@attrs.define(eq=False, repr=False)
class Leds(Replying):
    """Hands commands on to the phone. SDK 2.1.29 awaits no answer, but others may."""

    _requests: Requests = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._requests = Requests(seconds=LED_ANSWER_S, per_app=COMMANDS_PER_APP)

    ON_DEMAND: ClassVar[bool] = True

    def control(self, app: AppSession, message: asked.RgbLedControl) -> None:
        """Have the phone switch the LED, or tell the app at once why it cannot."""
        eyepiece, device = self.place.eyepiece, self.place.device
        problem = obstacle("light", attached=eyepiece.attached, capabilities=device.capabilities)
        if problem is None:
            problem = self._forward(app, message)
        if problem is not None:
            self._answer(app.package, message.request_id, success=False, error=problem.text)
            complain(app, problem)

    def _forward(self, app: AppSession, message: asked.RgbLedControl) -> Obstacle | None:
        now = trio.current_time()
        self._requests.take_expired(now)
        new_name = self.place.surroundings.environment.new_token
        request = self._requests.enter(app.package, message.request_id, now, new_name=new_name)
        if request is None:
            return TOO_MANY
        command = to_glasses.RgbLedControl(
            session_id=self.place.user,
            request_id=request.name,
            package_name=app.package,
            app_id=app.package,
            action=message.action,
            color=message.color,
            ontime=message.ontime,
            offtime=message.offtime,
            count=message.count,
            timestamp=self.place.timestamp(),
        )
        if self.place.eyepiece.send(command):
            return None
        self._requests.take(request.name)
        return PHONE_AWAY

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType({asked.RgbLedControl: control})

    def answered(self, message: said.RgbLedControlResponse) -> bool:
        """Give the answer to the app that asked, and to nobody else."""
        self._requests.take_expired(trio.current_time())
        request = self._requests.take(message.request_id)
        if request is not None:
            error = said_by_phone(message.error) if message.error else None
            self._answer(request.package, request.own_name, success=message.success, error=error)
        return True

    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType(
        {said.RgbLedControlResponse: answered}
    )

    def _answer(
        self, package: PackageName, own_name: str, *, success: bool, error: str | None
    ) -> None:
        answer = to_app.RgbLedControlResponse(
            session_id=app_session_id(self.place.user, package),
            request_id=own_name,
            success=success,
            error=error,
            timestamp=self.place.timestamp(),
        )
        self._replies.give(package, encode(answer))

    def app_over(self, package: PackageName) -> None:
        """Nobody waits any more."""
        self._requests.forget(package)
        super().app_over(package)
