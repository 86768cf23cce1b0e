"""An app asks the user to connect the glasses to a network."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

import attrs

from ..domain.hops import PHONE_AWAY, obstacle
from ..wire.from_app import RequestWifiSetup
from ..wire.to_glasses import ShowWifiSetup
from .replies import complain
from .subsystem import AppHandlers, Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession


@attrs.define(eq=False, repr=False)
class WifiSetup(Subsystem):
    """Hands the request on to the phone, which shows the dialog; there is no answer."""

    ON_DEMAND: ClassVar[bool] = True

    def show(self, app: AppSession, message: RequestWifiSetup) -> None:
        """Have the phone show it, or tell the app at once why it cannot."""
        eyepiece, device = self.place.eyepiece, self.place.device
        problem = obstacle("wifi", attached=eyepiece.attached, capabilities=device.capabilities)
        if problem is None:
            request = ShowWifiSetup(
                session_id=self.place.user,
                reason=message.reason,
                app_package_name=app.package,
                timestamp=self.place.timestamp(),
            )
            problem = None if eyepiece.send(request) else PHONE_AWAY
        if problem is not None:
            complain(app, problem)

    FROM_APP: ClassVar[AppHandlers] = MappingProxyType({RequestWifiSetup: show})
