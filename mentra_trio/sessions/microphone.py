"""Whether the glasses listen: what all apps together need, sent when it changes."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from ..domain.demand import MicrophoneDemand
from ..domain.ids import UserId
from ..domain.timings import MICROPHONE_DELAY_S, MICROPHONE_OFF_HOLD_S, MICROPHONE_REPEAT_S
from ..wire.to_glasses import MicrophoneStateChange
from .eyepiece import Eyepiece

OFF = MicrophoneDemand(pcm=False, transcription=False)


@attrs.define(eq=False, repr=False)
class Microphone:
    """Keeps the glasses' microphone as the apps need it (protocol.md 6.1).

    ``needed`` computes the demand from the subscriptions of the moment, so it cannot be stale.
    """

    user: UserId
    eyepiece: Eyepiece
    needed: Callable[[], MicrophoneDemand]
    timestamp: Callable[[], str]
    _current: MicrophoneDemand = attrs.field(default=OFF, init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)

    def subscriptions_changed(self) -> None:
        """Some app's subscriptions, or the set of apps, may have changed."""
        self._changed.set()

    def resend(self) -> None:
        """Tell glasses that have just been attached."""
        self._send()

    async def run(self) -> None:
        """Follow the demand until cancelled."""
        while True:
            await self._until_due()
            needed = self.needed()
            if self._current.enabled and not needed.enabled:
                needed = await self._hold()
            if needed != self._current or needed.enabled:
                self._current = needed
                self._send()

    async def _until_due(self) -> None:
        """Until something changed and settled, or an "on" must be repeated."""
        with trio.CancelScope() as repeat:
            if self._current.enabled:
                repeat.deadline = trio.current_time() + MICROPHONE_REPEAT_S
            while True:
                await self._changed.wait()
                await trio.sleep(MICROPHONE_DELAY_S)
                self._changed = trio.Event()
                if self.needed() != self._current:
                    return

    async def _hold(self) -> MicrophoneDemand:
        """Keep it on for a while: an app that reconnects lists nothing for a moment."""
        with trio.move_on_after(MICROPHONE_OFF_HOLD_S):
            while True:
                await self._changed.wait()
                self._changed = trio.Event()
                if (needed := self.needed()).enabled:
                    return needed
        return self.needed()

    def _send(self) -> None:
        self.eyepiece.send(
            MicrophoneStateChange(
                session_id=self.user,
                is_microphone_enabled=self._current.enabled,
                required_data=list(self._current.required_data),
                bypass_vad=self._current.bypass_vad,
                timestamp=self.timestamp(),
            )
        )
