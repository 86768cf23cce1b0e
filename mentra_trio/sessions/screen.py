"""What apps show on the glasses: their requests, and what of their lives the display must know."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from ..domain.apps import AppKind
from ..domain.display_state import (
    MAIN,
    VIEWS,
    Attached,
    Boot,
    BootOver,
    Detached,
    Gone,
    InForeground,
    Show,
)
from ..domain.ids import PackageName
from ..domain.lifecycle import OVER, AppState
from ..wire.from_app import DisplayEvent
from ..wire.parts import ClearView, Layout, TextWall
from .ignored import ignore
from .subsystem import AppHandlers, Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession

COMING: Final = frozenset({AppState.CONNECTING, AppState.RESURRECTING, AppState.RUNNING})
"""States from a start to its ack; in any other one the start has failed."""


@attrs.define(eq=False, repr=False)
class Screen(Subsystem):
    """Tells the display what the apps want, which of them is in front, and who starts or goes."""

    def display_event(self, app: AppSession, message: DisplayEvent) -> None:
        """Have the glasses show it; the socket says whose it is, not the message."""
        view = message.view or MAIN
        if view not in VIEWS:
            ignore(app, "a display_event for a view that glasses do not have, at $.view")
            return
        self.place.display.tell(
            Show(
                package=app.package,
                view=view,
                layout=message.layout,
                duration_ms=message.duration_ms,
                force=message.force_display is True,
                blank=is_blank(message.layout),
            )
        )

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType({DisplayEvent: display_event})

    def glasses_attached(self) -> None:
        """Show these glasses what is current."""
        self.place.display.tell(Attached())

    def glasses_detached(self) -> None:
        """Nobody sees anything meanwhile."""
        self.place.display.tell(Detached())

    def apps_changed(self) -> None:
        """Another app may be in the foreground; and a start may have failed."""
        display, apps = self.place.display, self.place.apps()
        foremost = _foremost(apps)
        if foremost != display.foreground:
            display.tell(InForeground(foremost))
        coming = {app.package for app in apps if app.state in COMING}
        for package in display.booting:
            if package not in coming:
                display.tell(BootOver(package, succeeded=False))

    def app_called(self, app: AppSession) -> None:
        """The boot screen is for those whom the user has started, and never for the dashboard."""
        by_user = app.state is AppState.CONNECTING or app.asked.is_set()
        if by_user and app.registration is not None and not self._is_dashboard(app):
            self.place.display.tell(Boot(app.package, app.registration.title))

    def app_attached(self, app: AppSession) -> None:
        """The ack ends the boot screen."""
        if app.package in self.place.display.booting:
            self.place.display.tell(BootOver(app.package, succeeded=True))

    def app_rests(self, package: PackageName) -> None:
        """Nobody is there who could draw it anew."""
        self.place.display.tell(Gone(package))

    def app_over(self, package: PackageName) -> None:
        """It has lost the screen in the turn in which it is stopped."""
        self.place.display.tell(Gone(package))

    def _is_dashboard(self, app: AppSession) -> bool:
        kind = app.registration.kind if app.registration is not None else None
        return kind is AppKind.SYSTEM_DASHBOARD or app.package == self.place.display.dashboard


def is_blank(layout: Layout) -> bool:
    """Whether nothing can be seen of ``layout``: an app that shows it wants no screen."""
    match layout:
        case ClearView():
            return True
        case TextWall(text=text):
            return not text
        case _:
            return False


def _foremost(apps: Collection[AppSession]) -> PackageName | None:
    """The standard app that is there: the foreground rule leaves one at most."""
    standard = [
        app.package
        for app in apps
        if app.state not in OVER
        and app.registration is not None
        and app.registration.kind is AppKind.STANDARD
    ]
    return standard[-1] if standard else None
