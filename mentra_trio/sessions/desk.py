"""What the apps of one user share: the glasses, the display, the device, and every subsystem.

The list of subsystems is here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from inspect import isfunction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs

from ..concurrency.watched import Watched
from ..domain.ids import PackageName
from ..domain.moments import parse_moment
from ..domain.samples import SAMPLE_BYTES, whole_samples
from ..domain.streams import Subscription
from ..wire.message import Message
from .audio_out import AudioOut
from .calendars import Calendars
from .camera_streams import CameraStreams
from .clock import Clock
from .dashboard import Dashboard
from .device import Device
from .devices import Devices
from .eyepiece import Eyepiece
from .leds import Leds
from .locations import Locations
from .messaging import Messaging
from .microphone import Microphone
from .photos import Photos
from .screen import Screen
from .settings import Settings
from .speech import Speech
from .subsystem import Subsystem, Workplace
from .wifi_setup import WifiSetup

if TYPE_CHECKING:
    from .app_session import AppSession

S = TypeVar("S", bound=Subsystem)

SUBSYSTEMS: Final[tuple[type[Subsystem], ...]] = (
    Devices,  # first: others look at what is known of the glasses
    Settings,
    Dashboard,
    Screen,
    AudioOut,
    Leds,
    WifiSetup,
    Locations,
    Calendars,
    Clock,
    Microphone,
    Speech,
    Photos,
    CameraStreams,
    Messaging,
)
"""What apps can ask for. Hooks are called in this order."""

_OF_APPS: Final[Mapping[type[Message], tuple[type[Subsystem], Callable[..., None]]]] = (
    MappingProxyType(
        {kind: (part, take) for part in SUBSYSTEMS for kind, take in part.FROM_APP.items()}
    )
)
_Takers: TypeAlias = tuple[tuple[type[Subsystem], Callable[..., Any], bool], ...]
"""Who takes a kind of message of the glasses, how, and whether it wants the text as well."""


def _takers(kind: type[Message]) -> _Takers:
    return tuple(
        (part, table[kind], as_written)
        for part in SUBSYSTEMS
        for table, as_written in ((part.FROM_GLASSES, False), (part.AS_WRITTEN, True))
        if kind in table
    )


_OF_GLASSES: Final[Mapping[type[Message], _Takers]] = MappingProxyType(
    {kind: _takers(kind) for part in SUBSYSTEMS for kind in (*part.FROM_GLASSES, *part.AS_WRITTEN)}
)


def is_taken(kind: type[Message]) -> bool:
    """Whether some subsystem wants to know what glasses say in messages of that kind."""
    return kind in _OF_GLASSES


def _those_with(hook: str) -> tuple[type[Subsystem], ...]:
    """The subsystems for which that hook does anything: only they are called."""
    nothing = getattr(Subsystem, hook)
    return tuple(part for part in SUBSYSTEMS if getattr(part, hook) is not nothing)


_OF_HOOK: Final = MappingProxyType(
    {
        name: _those_with(name)
        for name, one in vars(Subsystem).items()
        if isfunction(one) and not name.startswith("_")
    }
)


@attrs.define(eq=False, repr=False)
class Desk:
    """Given to every app session of a user; it knows no app by itself.

    ``here`` is whether the user is: with glasses that are attached. ``announce`` has the phone
    told that something about the apps changed; it is coalesced behind that. ``admits`` says
    whether an app may go on with the present glasses, and stops it if not.
    """

    place: Workplace
    announce: Callable[[], None]
    admits: Callable[[AppSession], bool]
    here: Watched[bool] = attrs.field(factory=lambda: Watched(False), init=False)
    _parts: dict[type[Subsystem], Subsystem] = attrs.field(init=False)
    _ears: tuple[Subsystem, ...] = attrs.field(init=False)
    """Those of them that are told of audio."""
    _half_sample: bytes = attrs.field(default=b"", init=False)
    """What the latest piece of audio began and did not end."""

    def __attrs_post_init__(self) -> None:
        begin = (kind for kind in SUBSYSTEMS if kind.is_needed_at_once(self.place))
        self._parts = {kind: kind(self.place) for kind in begin}
        self._ears = tuple(self._present("audio"))

    @property
    def eyepiece(self) -> Eyepiece:
        """The glasses."""
        return self.place.eyepiece

    @property
    def device(self) -> Device:
        """What is known of the glasses."""
        return self.place.device

    def part(self, kind: type[S]) -> S:
        """The subsystem of that kind."""
        part = self._parts.get(kind)
        if part is None:
            part = self._parts[kind] = kind(self.place)
            self._ears = tuple(self._present("audio"))
        assert isinstance(part, kind)
        return part

    def _present(self, hook: str) -> list[Subsystem]:
        """Those with ``hook`` that there are: to the others nothing has been said yet."""
        parts = self._parts
        return [parts[kind] for kind in _OF_HOOK[hook] if kind in parts]

    # -- messages --------------------------------------------------------------------

    def app_says(self, app: AppSession, message: Message) -> bool:
        """Have a message of an app acted on; ``False`` if nobody here takes that kind."""
        found = _OF_APPS.get(type(message))
        if found is None:
            return False
        kind, take = found
        take(self.part(kind), app, message)
        return True

    def glasses_say(self, message: Message, frame: str) -> bool:
        """Have a message of the glasses acted on; ``True`` if it is not for the apps as well.

        ``frame`` is its text as they wrote it.
        """
        takers = _OF_GLASSES.get(type(message))
        if takers is None:
            return False
        taken = False
        for kind, take, as_written in takers:
            part = self.part(kind)
            said = take(part, message, frame) if as_written else take(part, message)
            taken = said is True or taken
        return taken

    def audio(self, frame: bytes) -> None:
        """Have those told who listen: of whole samples, and never of nothing (protocol.md 4.9)."""
        if self._half_sample or len(frame) % SAMPLE_BYTES:
            frame, self._half_sample = whole_samples(self._half_sample, frame)
        if frame:
            for part in self._ears:
                part.audio(frame)

    # -- hooks: see ``Subsystem`` ----------------------------------------------------

    def opened(self) -> None:
        """The session begins."""
        for part in self._present("opened"):
            part.opened()

    def glasses_attached(self) -> None:
        """Glasses are linked, and were greeted."""
        self._half_sample = b""
        self.here.set(True)
        for part in self._present("glasses_attached"):
            part.glasses_attached()

    def glasses_detached(self) -> None:
        """The glasses' link is gone."""
        self.here.set(False)
        for part in self._present("glasses_detached"):
            part.glasses_detached()

    def apps_changed(self) -> None:
        """An app's state or subscriptions may have changed."""
        self.announce()
        for part in self._present("apps_changed"):
            part.apps_changed()

    def app_called(self, app: AppSession) -> None:
        """The server of ``app`` is about to be called."""
        for part in self._present("app_called"):
            part.app_called(app)

    def app_attached(self, app: AppSession) -> None:
        """``app`` has a link and was greeted."""
        for part in self._present("app_attached"):
            part.app_attached(app)

    def app_listed(self, app: AppSession, added: Collection[Subscription]) -> None:
        """``app`` asks for ``added`` for the first time in the life of its runtime."""
        for part in self._present("app_listed"):
            part.app_listed(app, added)

    def app_rests(self, package: PackageName) -> None:
        """The app is away and nobody waits for it."""
        for part in self._present("app_rests"):
            part.app_rests(package)

    def app_over(self, package: PackageName) -> None:
        """The app was stopped."""
        for part in self._present("app_over"):
            part.app_over(package)

    def device_connected(self) -> None:
        """The phone has found its glasses."""
        for part in self._present("device_connected"):
            part.device_connected()

    def device_changed(self) -> None:
        """What is known of the glasses has changed."""
        for part in self._present("device_changed"):
            part.device_changed()

    def time_told(self, text: str) -> None:
        """It is ``text`` where the user is.

        Raises:
            ValueError: that is no date and time in ISO 8601.
        """
        if parse_moment(text) is None:
            raise ValueError("datetime must be an ISO 8601 date and time")
        for part in self._present("time_told"):
            part.time_told(text)

    def settings_changed(self, settings: Mapping[str, Any]) -> None:
        """The user's settings have changed."""
        for part in self._present("settings_changed"):
            part.settings_changed(settings)
