"""The display of one user: what the rules decide is sent, and the one task that sends late."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from ..domain.display import Sending, decide
from ..domain.display_state import DisplayState, Request, Starting, Tick
from ..domain.ids import PackageName
from ..wire.parts import Layout, ReferenceCard, TextWall
from ..wire.to_glasses import DisplayEvent
from .errands import Errand, Errands
from .eyepiece import Eyepiece


@attrs.define(eq=False, repr=False)
class Display:
    """What all apps of a user, and the dashboard, draw on.

    A frame that may go out goes out in the turn in which it is asked for; ``run`` is for those
    that have to wait, and for what ends by itself. It is under way only while there is any.
    """

    errands: Errands
    eyepiece: Eyepiece
    dashboard: PackageName
    timestamp: Callable[[], str]
    _state: DisplayState = attrs.field(init=False)
    _wake_at: float | None = attrs.field(default=None, init=False)
    _asleep: trio.CancelScope | None = attrs.field(default=None, init=False)
    """Of ``run``, while it waits; it never sleeps longer than until ``wake_at``."""
    _sending: Errand = attrs.field(init=False)

    @_state.default
    def _nothing_yet(self) -> DisplayState:
        return DisplayState(dashboard=self.dashboard)

    @_sending.default
    def _make_sending(self) -> Errand:
        return Errand(self.errands, self.run, "display")

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
        self._wake_at = decision.wake_at
        if self._wake_at is None:
            return
        if self._asleep is None:
            self._sending.begin()
        elif self._wake_at < self._asleep.deadline:
            self._asleep.deadline = self._wake_at

    async def run(self) -> None:
        """Send what has to wait, when its time has come, until nothing waits any more."""
        while self._wake_at is not None:
            with trio.move_on_at(self._wake_at) as self._asleep:
                await trio.sleep_forever()
            if self._wake_at is not None and self._wake_at <= trio.current_time():
                self.tell(Tick())
        self._asleep = None

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
