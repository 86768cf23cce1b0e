"""What the glasses show: the last frame of each view wins, at a rate that glasses can take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
import trio

from ..domain.display import Frame, expired, wait_before_next
from ..domain.ids import PackageName
from ..domain.timings import DISPLAY_THROTTLE_S
from ..wire.parts import Layout, TextWall
from ..wire.to_glasses import DisplayEvent
from .eyepiece import Eyepiece

CLEARED: Final = TextWall(text="")
"""An empty wall, not ``clear_view``: what glasses of every age understand (protocol.md 5.3)."""


@attrs.define(eq=False, repr=False)
class Screen:
    """The display of one user, as far as it is shared by the user's apps.

    A frame goes out at once if the last one of its view is old enough; otherwise it waits, and
    a newer one takes its place. ``run`` is the only task that sends late.
    """

    eyepiece: Eyepiece
    dashboard: PackageName
    timestamp: Callable[[], str]
    _pending: dict[str, Frame] = attrs.field(factory=dict, init=False)
    _shown: dict[str, Frame] = attrs.field(factory=dict, init=False)
    _sent_at: dict[str, float] = attrs.field(factory=dict, init=False)
    _asked: trio.Event = attrs.field(factory=trio.Event, init=False)

    def show(self, frame: Frame) -> None:
        """Show ``frame``, or have it wait its turn."""
        self._pending[frame.view] = frame
        if self._wait(frame.view) <= 0:
            self._send(frame.view)
        else:
            self._asked.set()

    def request(
        self, package: PackageName, view: str, layout: Layout, duration_ms: float | None
    ) -> None:
        """Show an app's ``layout``; ``duration_ms`` 0 or ``None`` means until replaced."""
        self.show(
            Frame(
                package=package,
                view=view,
                layout=layout,
                duration_ms=duration_ms or None,
                shown_at=trio.current_time(),
            ),
        )

    def remove(self, package: PackageName) -> None:
        """Forget what ``package`` wanted to show, and clear what it does show."""
        for view in [v for v, frame in self._pending.items() if frame.package == package]:
            del self._pending[view]
        for view, frame in list(self._shown.items()):
            if frame.package == package and view not in self._pending:
                self.request(self.dashboard, view, CLEARED, None)

    def resend(self) -> None:
        """Show what is current again, for glasses that have just been attached."""
        now = trio.current_time()
        for view in {**self._shown, **self._pending}:
            frame = self._pending.pop(view, None) or self._shown[view]
            if not expired(frame, now):
                self._pending[view] = frame
                self._send(view)

    async def run(self) -> None:
        """Send the frames that had to wait, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            while self._pending:
                view = min(self._pending, key=self._wait)
                await trio.sleep(self._wait(view))
                # Meanwhile it may have been removed, replaced, or sent to glasses that returned.
                if view in self._pending and self._wait(view) <= 0:
                    self._send(view)

    def _wait(self, view: str) -> float:
        return wait_before_next(trio.current_time(), self._sent_at.get(view), DISPLAY_THROTTLE_S)

    def _send(self, view: str) -> None:
        frame = self._pending.pop(view)
        self._shown[view] = frame
        self._sent_at[view] = trio.current_time()
        self.eyepiece.send(
            DisplayEvent(
                package_name=frame.package,
                view=frame.view,
                layout=frame.layout,
                duration_ms=frame.duration_ms,
                timestamp=self.timestamp(),
            )
        )
