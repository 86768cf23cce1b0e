"""What the subsystems of a user session have in common: what they are given, and when called.

A subsystem is one thing that apps can ask for: photos, sound, the dashboard ... None of them
knows another one. Each says by class tables which messages it takes; ``desk`` is their list.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

import attrs

from ..domain.ids import PackageName, UserId
from ..domain.streams import Subscription
from ..wire.message import Message
from .device import Device
from .display import Display
from .errands import Errands
from .eyepiece import Eyepiece
from .surroundings import Surroundings

if TYPE_CHECKING:
    from .app_session import AppSession

AppHandlers: TypeAlias = Mapping[type[Message], Callable[..., None]]
"""By kind of message: a method that is called with the app session and the message."""
GlassesHandlers: TypeAlias = Mapping[type[Message], Callable[..., Any]]
"""By kind of message: a method that is called with the message. Where it returns ``True``, the
message was for it alone, and is not relayed to the apps."""


class Home(Protocol):
    """The user session, as far as its subsystems know it."""

    @property
    def apps(self) -> Collection[AppSession]:
        """See ``Workplace.apps``."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """See ``Workplace.settings``."""
        ...

    def change_settings(self, stored: Mapping[str, Any], *, by_phone: bool = False) -> None:
        """See ``Workplace.settings_stored``."""
        ...

    def device_changed(self) -> None:
        """See ``Workplace``."""
        ...

    def device_connected(self) -> None:
        """See ``Workplace``."""
        ...

    def fit(self) -> None:
        """See ``Workplace``."""
        ...


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Workplace:
    """What every subsystem of one user is given. ``display`` is what everybody draws on."""

    user: UserId
    surroundings: Surroundings
    eyepiece: Eyepiece
    device: Device
    errands: Errands
    home: Home
    display: Display = attrs.field(init=False)

    @display.default
    def _make_display(self) -> Display:
        dashboard = PackageName(self.surroundings.dashboard_package)
        return Display(self.errands, self.eyepiece, dashboard, self.timestamp)

    def apps(self) -> Collection[AppSession]:
        """The app sessions that the user has at the moment, whatever state they are in."""
        return self.home.apps

    def settings(self) -> Mapping[str, Any]:
        """The user's MentraOS settings at the moment, all of them, in the apps' names."""
        return self.home.settings

    def settings_stored(self, stored: Mapping[str, Any]) -> None:
        """Take over what the phone has changed of the settings."""
        self.home.change_settings(stored, by_phone=True)

    def device_changed(self) -> None:
        """Have what is known of the glasses written down, and every subsystem told of it."""
        self.home.device_changed()

    def device_connected(self) -> None:
        """Have every subsystem told that the phone has found its glasses."""
        self.home.device_connected()

    def fit(self) -> None:
        """Have those apps stopped that these glasses cannot serve."""
        self.home.fit()

    def timestamp(self) -> str:
        """Now, as it stands in messages."""
        return self.surroundings.environment.timestamp()

    def app(self, package: PackageName) -> AppSession | None:
        """The session of ``package``, if there is one."""
        return next((app for app in self.apps() if app.package == package), None)

    def tell(self, frame: str) -> None:
        """Send ``frame`` to every attached app."""
        for app in self.apps():
            app.send(frame)


@attrs.define(eq=False, repr=False)
class Subsystem:
    """Every hook does nothing here; all are synchronous, and called in the order of the list.

    What takes time is begun with ``place.errands``.
    """

    place: Workplace

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType({})
    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType({})
    AS_WRITTEN: ClassVar[GlassesHandlers] = MappingProxyType({})
    """As ``FROM_GLASSES``, for methods that are also called with the text as the phone wrote it:
    there may be more in it than the message's class knows."""

    ON_DEMAND: ClassVar[bool] = False
    """Whether nothing matters to it that happens before somebody asks for anything."""

    @classmethod
    def is_needed_at_once(cls, place: Workplace) -> bool:
        """Whether it is made with the session, and not when somebody first has a message for it.

        One that comes later has not been told of what happened before.
        """
        return not cls.ON_DEMAND

    def opened(self) -> None:
        """The session begins: errands are run from now on."""

    def glasses_attached(self) -> None:
        """Glasses are linked, and were greeted: tell them what they must know."""

    def glasses_detached(self) -> None:
        """The glasses' link is gone; they may come back for as long as the session lives."""

    def audio(self, frame: bytes) -> None:
        """A piece of the glasses' audio: whole 16-bit samples, at least one (protocol.md 4.9)."""

    def apps_changed(self) -> None:
        """Some app's state or subscriptions may have changed."""

    def app_called(self, app: AppSession) -> None:
        """The server of ``app`` is about to be called, for whatever reason."""

    def app_attached(self, app: AppSession) -> None:
        """``app`` has a link and was greeted, for the first time or again."""

    def app_listed(self, app: AppSession, added: Collection[Subscription]) -> None:
        """``app`` asks for ``added`` for the first time in the life of its runtime."""

    def app_rests(self, package: PackageName) -> None:
        """The app is away and nobody waits for it: dormant or evicted. It may come back."""

    def app_over(self, package: PackageName) -> None:
        """The app was stopped: nothing of it remains."""

    def device_connected(self) -> None:
        """The phone has found its glasses, maybe others: they know nothing yet (6.10)."""

    def device_changed(self) -> None:
        """What is known of the glasses has changed, in whatever way the phone told it."""

    def time_told(self, text: str) -> None:
        """The phone says what time it is where the user is: ISO 8601 text."""

    def settings_changed(self, settings: Mapping[str, Any]) -> None:
        """The user's MentraOS settings have changed; all of them, in the apps' names."""
