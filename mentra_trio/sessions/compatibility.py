"""Which apps the present glasses can serve (protocol.md 2.13, 6.10).

An app that lacks what it requires is not started, and is stopped where it runs. It stays wanted:
it was not the user who stopped it. So it comes back with glasses that have what it needs, in this
session or in a later one, unless the user stops it or another app takes the foreground meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from ..domain.apps import AppRegistration
from ..domain.facts import HardwareMissing
from ..domain.hardware import missing, required_but_missing, what_is_lacking
from ..domain.ids import PackageName
from ..domain.lifecycle import OVER, AppState, StopCause
from ..domain.starting import StartResult, StartStage, failed
from .app_session import AppSession

if TYPE_CHECKING:
    from .roster import Roster


@attrs.define(eq=False, repr=False)
class Compatibility:
    """Compares the apps of ``roster`` with the glasses."""

    roster: Roster
    _waiting: dict[PackageName, AppRegistration] = attrs.field(factory=dict, init=False)
    """Stopped because the glasses lack something, and still wanted."""

    @property
    def waiting(self) -> frozenset[PackageName]:
        """The apps that come back with other glasses."""
        return frozenset(self._waiting)

    def lacks(self, registration: AppRegistration) -> str | None:
        """What these glasses lack that the app requires, in words; ``None``: nothing known."""
        if not registration.hardware:
            return None
        device = self.roster.desk.device
        lacking = required_but_missing(registration.hardware, device.capabilities)
        return what_is_lacking(lacking, device.model_name) if lacking else None

    def refuse(self, registration: AppRegistration) -> StartResult | None:
        """Why these glasses cannot serve the app; ``None`` if they can, as far as is known."""
        lacks = self.lacks(registration)
        if lacks is None:
            return None
        return failed(StartStage.HARDWARE_CHECK, f"App {registration.package}: {lacks}")

    def admit(self, app: AppSession) -> bool:
        """Whether ``app`` may go on with these glasses; if not, it is stopped, or its start fails.

        Everybody who waits for it has then been told why.
        """
        if app.registration is None:
            return True
        refused = self.refuse(app.registration)
        if refused is None:
            self._warn(app, app.registration)
            return True
        self._waiting[app.package] = app.registration
        app.settle_outcome(refused)
        called = app.attempt is not None
        if called or app.state is not AppState.CONNECTING:  # a start fails by itself, and tells it
            app.stop(StopCause.HARDWARE, self.lacks(app.registration) or "")
            self.roster.start_failed(refused.message)
        return False

    def glasses_changed(self) -> None:
        """Stop the apps that these glasses cannot serve, and begin those that waited for them."""
        for app in list(self.roster.apps.values()):
            if app.state not in OVER:
                self.admit(app)
        self.begin_waiting()

    def begin_waiting(self) -> None:
        """Begin what waited for such glasses as these are."""
        for package, registration in list(self._waiting.items()):
            gone = package not in self.roster.packages
            if gone and self.refuse(registration) is None:
                del self._waiting[package]
                self.roster.begin(
                    package, AppState.DISCONNECTED, "the glasses have what it needs again"
                )

    def forget(self, package: PackageName) -> None:
        """The app is not wanted any more, or was asked for anew."""
        self._waiting.pop(package, None)

    def _warn(self, app: AppSession, registration: AppRegistration) -> None:
        """Say what an app has to do without."""
        device = self.roster.desk.device
        needs = registration.hardware
        lacking = missing(needs, device.capabilities) if needs else ()
        if lacking:
            self.roster.surroundings.telemetry.emit(
                HardwareMissing(
                    user=app.user,
                    package=app.package,
                    problem=what_is_lacking(lacking, device.model_name),
                )
            )
