"""The light of the glasses. As with the SDK nothing is awaited: what comes of it is told later."""

from __future__ import annotations

from typing import Final

from ..wire import from_app, to_app
from .ability import Ability, new_id
from .ears import Off
from .hearing import Hears

COLORS: Final = ("red", "green", "blue", "orange", "white")


class Leds(Ability):
    """The glasses' LED. Every method returns ``False`` if there is no connection."""

    async def turn_on(
        self,
        color: str = "red",
        *,
        on_ms: int = 1_000,
        off_ms: int = 0,
        count: int = 1,
    ) -> bool:
        """Light up ``count`` times: ``on_ms`` milliseconds each, and dark ``off_ms`` after it.

        Raises:
            ValueError: the color is none of ``COLORS``.
        """
        if color not in COLORS:
            raise ValueError(f"{color!r} is not one of {', '.join(COLORS)}")
        return await self.tell(
            from_app.RgbLedControl,
            request_id=new_id("led_req"),
            action="on",
            color=color,
            ontime=on_ms,
            offtime=off_ms,
            count=count,
        )

    async def turn_off(self) -> bool:
        """Be dark."""
        return await self.tell(from_app.RgbLedControl, request_id=new_id("led_req"), action="off")

    def on_response(self, handler: Hears[to_app.RgbLedControlResponse]) -> Off:
        """What the glasses, or the server, say of what was asked for."""
        return self.session.on_message("rgb_led_control_response", handler)
