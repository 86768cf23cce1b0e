"""Where the user is: how exactly the phone watches it, and who is told (protocol.md 4.4, 6.8)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs
import msgspec
import trio

from ..domain.demand import location_tier
from ..domain.ids import PackageName
from ..domain.location import FRESH_S, Asked, Polls, accuracy_of, is_finer, is_on_earth
from ..domain.permissions import holds
from ..domain.streams import LOCATION_UPDATE, LOCATIONS, Subscription
from ..domain.timings import LOCATION_HOLD_S, LOCATION_SHARE_S, LOCATION_WAIT_S
from ..wire.codec import encode
from ..wire.from_app import LocationPollRequest
from ..wire.from_glasses import LocationUpdate
from ..wire.to_app import DataStream
from ..wire.to_glasses import RequestSingleLocation, SetLocationTier
from .delivery import deliver
from .ignored import ignore_glasses
from .replies import Replying, deny
from .subsystem import AppHandlers, GlassesHandlers

if TYPE_CHECKING:
    from .app_session import AppSession

PERMISSION: Final = "LOCATION"
CHARACTERS_MAX: Final = 4_096
"""Of a longer message only what the protocol names is remembered."""


@attrs.define(eq=False, repr=False)
class Locations(Replying):
    """The latest location, the questions for one, and the tier that the phone was told.

    An answer to a question goes to those who asked, and is remembered like any other location.
    """

    _polls: Polls = attrs.field(init=False)
    _told: str | None = attrs.field(default=None, init=False)
    """The tier that the present phone was told last."""
    _lowering: trio.CancelScope | None = attrs.field(default=None, init=False)
    """Of the task that is about to tell it a coarser one."""
    _latest: Mapping[str, Any] | None = attrs.field(default=None, init=False)
    _heard_at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._polls = Polls(wait_s=LOCATION_WAIT_S, share_s=LOCATION_SHARE_S)

    # -- how exactly -----------------------------------------------------------------

    def apps_changed(self) -> None:
        """Follow what the apps want: up at once, down after a moment."""
        if self._told is None:
            return  # there is no phone; the next one is told
        wanted = self._wanted
        if is_finer(self._told, wanted):
            if self._lowering is None:
                self._lowering = self.place.errands.begin(self._lower, name="location tier")
            return
        self._stay()
        if wanted != self._told:
            self._tell_tier(wanted)

    @property
    def _wanted(self) -> str:
        return location_tier(app.subscriptions for app in self.place.apps())

    async def _lower(self) -> None:
        await trio.sleep(LOCATION_HOLD_S)
        self._lowering = None
        self._tell_tier(self._wanted)

    def _stay(self) -> None:
        if self._lowering is not None:
            self._lowering.cancel("it is wanted again")
            self._lowering = None

    def _tell_tier(self, tier: str) -> None:
        message = SetLocationTier(
            session_id=self.place.user, tier=tier, timestamp=self.place.timestamp()
        )
        if self.place.eyepiece.send(message):
            self._told = tier

    def glasses_attached(self) -> None:
        """A phone that has come knows nothing: neither the tier nor who waits for a location."""
        self._tell_tier(self._wanted)
        for asked in self._polls.unanswered(trio.current_time()):
            self._request(asked)

    def glasses_detached(self) -> None:
        """The next phone is told anew."""
        self._stay()
        self._told = None

    # -- questions for one location --------------------------------------------------

    def poll(self, app: AppSession, message: LocationPollRequest) -> None:
        """Answer from memory if that is fresh enough, else ask the phone (protocol.md 6.8).

        While there is no phone, any location is better than none; where there is none either,
        the phone is asked should it come before the app gives up.
        """
        if not holds(PERMISSION, app.granted):
            self._refuse(app)
            return
        accuracy, now = accuracy_of(message.accuracy), trio.current_time()
        attached = self.place.eyepiece.attached
        age = now - self._heard_at
        if self._latest is not None and (not attached or age <= FRESH_S[accuracy]):
            self._give(app.package, message.correlation_id, self._latest)
            return
        asked = self._polls.ask(
            app.package,
            message.correlation_id,
            accuracy,
            now,
            new_name=self.place.surroundings.environment.new_token,
        )
        if asked is not None:
            self._request(asked)

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType({LocationPollRequest: poll})

    def _request(self, asked: Asked) -> None:
        self.place.eyepiece.send(
            RequestSingleLocation(
                session_id=self.place.user,
                accuracy=asked.accuracy,
                correlation_id=asked.name,
                timestamp=self.place.timestamp(),
            )
        )

    def _refuse(self, app: AppSession) -> None:
        problem = f"app: a location needs the {PERMISSION} permission"
        deny(app, LOCATION_UPDATE, PERMISSION, problem)

    def _give(self, package: PackageName, own_name: str, location: Mapping[str, Any]) -> None:
        """Answer one question of ``package``, which knows it as ``own_name``."""
        app = self.place.app(package)
        if app is not None:
            answer = {**location, "correlationId": own_name}
            self._replies.give(package, self._frame(app, LOCATION_UPDATE, answer))

    # -- locations -------------------------------------------------------------------

    def heard(self, message: LocationUpdate, frame: str) -> bool:
        """Remember the location; answer whoever asked. What answers a question is not relayed."""
        if not is_on_earth(message.lat, message.lng):
            ignore_glasses(self.place, "a location that is not on Earth")
            return True
        self._remember(message, frame)
        if not message.correlation_id:
            return False
        assert self._latest is not None
        for asker in self._polls.answered(message.correlation_id, trio.current_time()):
            self._give(asker.package, asker.own_name, self._latest)
        return True

    AS_WRITTEN: ClassVar[GlassesHandlers] = MappingProxyType({LocationUpdate: heard})

    def _remember(self, message: LocationUpdate, frame: str) -> None:
        text = frame if len(frame) <= CHARACTERS_MAX else encode(message)
        latest: dict[str, Any] = msgspec.json.decode(text)
        latest.pop("correlationId", None)
        self._latest, self._heard_at = latest, trio.current_time()

    def _frame(self, app: AppSession, stream: str, location: Mapping[str, Any]) -> str:
        data = msgspec.Raw(msgspec.json.encode(location))
        timestamp = self.place.timestamp()
        return encode(
            DataStream(
                session_id=app.session_id, stream_type=stream, data=data, timestamp=timestamp
            )
        )

    # -- hooks about apps ------------------------------------------------------------

    def app_listed(self, app: AppSession, added: Collection[Subscription]) -> None:
        """Who is new to locations learns the latest one (protocol.md 4.11)."""
        if self._latest is not None:
            for one in added:
                if one.stream in LOCATIONS:
                    deliver(app, one.text, self._frame(app, one.text, self._latest))

    def app_over(self, package: PackageName) -> None:
        """Nobody waits any more."""
        self._polls.forget(package)
        super().app_over(package)
