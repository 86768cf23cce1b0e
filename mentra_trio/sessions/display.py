"""The display of one user: what the rules decide is sent, and the one task that sends late."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from ..concurrency.watched import Watched
from ..domain.display import Sending, decide
from ..domain.display_state import DisplayState, Request, Starting, Tick
from ..domain.ids import PackageName
from ..wire.parts import Layout, ReferenceCard, TextWall
from ..wire.to_glasses import DisplayEvent
from .eyepiece import Eyepiece


@attrs.define(eq=False, repr=False)
class Display:
    """What all apps of a user, and the dashboard, draw on.

    A frame that may go out goes out in the turn in which it is asked for; ``run`` is for those
    that have to wait, and for what ends by itself.
    """

    eyepiece: Eyepiece
    dashboard: PackageName
    timestamp: Callable[[], str]
    _state: DisplayState = attrs.field(init=False)
    _wake_at: Watched[float | None] = attrs.field(factory=lambda: Watched(None), init=False)

    @_state.default
    def _nothing_yet(self) -> DisplayState:
        return DisplayState(dashboard=self.dashboard)

    @property
    def booting(self) -> tuple[PackageName, ...]:
        """The apps whose start is under way, as far as the boot screen knows."""
        return tuple(name for name, one in self._state.booting.items() if one.over_at is None)

    @property
    def foreground(self) -> PackageName | None:
        """The app in the foreground, as far as the display knows."""
        return self._state.foreground

    def tell(self, request: Request) -> None:
        """Have the rules decide about ``request``, and do what they say."""
        decision = decide(trio.current_time(), self._state, request)
        self._state = decision.state
        for sending in decision.send:
            self._send(sending)
        self._wake_at.set(decision.wake_at)

    async def run(self) -> None:
        """Send what has to wait, when its time has come, until cancelled."""
        while True:
            wake_at = await self._wake_at.until(lambda at: at is not None)
            assert wake_at is not None
            with trio.move_on_at(wake_at) as asleep:
                await self._until_it_is_not(wake_at)
            if asleep.cancelled_caught:
                self.tell(Tick())

    async def _until_it_is_not(self, wake_at: float) -> None:
        await self._wake_at.until(lambda at: at != wake_at)

    def _send(self, sending: Sending) -> None:
        self.eyepiece.send(
            DisplayEvent(
                package_name=sending.package,
                view=sending.view,
                layout=_layout(sending.layout),
                duration_ms=sending.duration_ms,
                timestamp=self.timestamp(),
            )
        )


def _layout(layout: Layout | Starting | None) -> Layout:
    """What glasses are sent: an empty wall, not ``clear_view``, to clear a view (5.3)."""
    match layout:
        case None:
            return TextWall(text="")
        case Starting():
            return ReferenceCard(title=layout.title, text=layout.text)
        case _:
            return layout
