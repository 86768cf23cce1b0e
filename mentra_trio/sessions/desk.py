"""What the apps of one user share: the glasses, the display, the device, and every subsystem.

The list of subsystems is here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import attrs

from ..concurrency.watched import Watched
from ..domain.ids import PackageName
from ..domain.streams import Subscription
from ..wire.message import Message
from .device import Device
from .eyepiece import Eyepiece
from .messaging import Messaging
from .screen import Screen
from .subsystem import Subsystem, Workplace

if TYPE_CHECKING:
    from .app_session import AppSession

S = TypeVar("S", bound=Subsystem)

SUBSYSTEMS: Final[tuple[type[Subsystem], ...]] = (Messaging,)
"""What apps can ask for. Hooks are called in this order."""

_OF_APPS: Final[Mapping[type[Message], tuple[type[Subsystem], Callable[..., None]]]] = (
    MappingProxyType(
        {kind: (part, take) for part in SUBSYSTEMS for kind, take in part.FROM_APP.items()}
    )
)
_Takers: TypeAlias = tuple[tuple[type[Subsystem], Callable[..., Any]], ...]
_OF_GLASSES: Final[Mapping[type[Message], _Takers]] = MappingProxyType(
    {
        kind: tuple(
            (part, part.FROM_GLASSES[kind]) for part in SUBSYSTEMS if kind in part.FROM_GLASSES
        )
        for kind in {kind for part in SUBSYSTEMS for kind in part.FROM_GLASSES}
    }
)


@attrs.define(eq=False, repr=False)
class Desk:
    """Given to every app session of a user; it knows no app by itself.

    ``here`` is whether the user is: with glasses that are attached. ``announce`` has the phone
    told that something about the apps changed; it is coalesced behind that.
    """

    place: Workplace
    screen: Screen
    announce: Callable[[], None]
    here: Watched[bool] = attrs.field(factory=lambda: Watched(False), init=False)
    _parts: dict[type[Subsystem], Subsystem] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._parts = {kind: kind(self.place) for kind in SUBSYSTEMS}

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
        part = self._parts[kind]
        assert isinstance(part, kind)
        return part

    # -- messages --------------------------------------------------------------------

    def app_says(self, app: AppSession, message: Message) -> bool:
        """Have a message of an app acted on; ``False`` if nobody here takes that kind."""
        found = _OF_APPS.get(type(message))
        if found is None:
            return False
        kind, take = found
        take(self._parts[kind], app, message)
        return True

    def glasses_say(self, message: Message) -> bool:
        """Have a message of the glasses acted on; ``True`` if it is not for the apps as well."""
        taken = False
        for kind, take in _OF_GLASSES.get(type(message), ()):
            taken = take(self._parts[kind], message) is True or taken
        return taken

    # -- hooks: see ``Subsystem`` ----------------------------------------------------

    def opened(self) -> None:
        """The session begins."""
        for part in self._parts.values():
            part.opened()

    def glasses_attached(self) -> None:
        """Glasses are linked, and were greeted."""
        self.here.set(True)
        for part in self._parts.values():
            part.glasses_attached()

    def glasses_detached(self) -> None:
        """The glasses' link is gone."""
        self.here.set(False)
        for part in self._parts.values():
            part.glasses_detached()

    def apps_changed(self) -> None:
        """An app's state or subscriptions may have changed."""
        self.announce()
        for part in self._parts.values():
            part.apps_changed()

    def app_attached(self, app: AppSession) -> None:
        """``app`` has a link and was greeted."""
        for part in self._parts.values():
            part.app_attached(app)

    def app_listed(self, app: AppSession, added: Collection[Subscription]) -> None:
        """``app`` asks for ``added`` for the first time in the life of its runtime."""
        for part in self._parts.values():
            part.app_listed(app, added)

    def app_lost(self, app: AppSession) -> None:
        """The link of ``app`` is gone; it is expected back."""
        for part in self._parts.values():
            part.app_lost(app)

    def app_rests(self, package: PackageName) -> None:
        """The app is away and nobody waits for it."""
        for part in self._parts.values():
            part.app_rests(package)

    def app_over(self, package: PackageName) -> None:
        """The app was stopped."""
        self.screen.remove(package)
        for part in self._parts.values():
            part.app_over(package)

    def settings_changed(self, settings: Mapping[str, Any]) -> None:
        """The user's settings have changed."""
        for part in self._parts.values():
            part.settings_changed(settings)
