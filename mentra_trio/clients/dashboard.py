"""The app's words on the dashboard, which the wearer sees on looking up."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Sequence
from typing import Final

import attrs

from ..wire import from_app, to_app
from .ability import Ability
from .ears import FromServer, Off
from .hearing import Hears

MAIN: Final = "main"
EXPANDED: Final = "expanded"


@attrs.define(eq=False, repr=False)
class Dashboard(Ability):
    """The dashboard. Every ``async`` method returns ``False`` if there is no connection.

    Attributes:
        mode: ``main``, ``expanded`` or ``none``, as the server told it last.
    """

    mode: str = attrs.field(default=MAIN, init=False)

    async def write(self, text: str, modes: Sequence[str] = (MAIN,)) -> bool:
        """Show ``text`` of this app in these modes: ``main`` (beside others) or ``expanded``."""
        return await self.tell(from_app.DashboardContentUpdate, content=text, modes=list(modes))

    async def set_mode(self, mode: str) -> bool:
        """Change the mode, for all apps; heeded from the dashboard's own app only."""
        return await self.tell(from_app.DashboardModeChange, mode=mode)

    async def write_section(self, section: str, text: str) -> bool:
        """Write ``topLeft``, ``topRight``, ``bottomLeft`` or ``bottomRight``; likewise."""
        return await self.tell(from_app.DashboardSystemUpdate, section=section, content=text)

    def on_mode(self, handler: Hears[str]) -> Off:
        """The mode has changed; the handler gets the new one."""

        async def told(message: to_app.DashboardModeChanged) -> None:
            result: Awaitable[object] | None = handler(message.mode)
            if inspect.isawaitable(result):
                await result

        return self.session.on_message("dashboard_mode_changed", told)

    def take(self, message: FromServer) -> None:
        """Know the mode."""
        if isinstance(message, to_app.DashboardModeChanged):
            self.mode = message.mode
