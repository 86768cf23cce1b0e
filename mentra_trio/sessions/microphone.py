"""Whether the glasses listen: what all apps together need, sent when it changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import trio

from ..concurrency.milestone import Milestone
from ..domain.demand import MicrophoneState, microphone_demand
from ..domain.timings import (
    MICROPHONE_OFF_HOLD_S,
    MICROPHONE_PAUSE_S,
    MICROPHONE_REPEAT_S,
    UNASKED_AUDIO_S,
)
from ..wire.to_glasses import MicrophoneStateChange
from .errands import Errand
from .fan_out import fan_out_audio
from .subsystem import Subsystem

OFF: Final = MicrophoneState()


@attrs.define(eq=False, repr=False)
class Microphone(Subsystem):
    """Keeps the glasses' microphone as the apps need it, and gives them its audio (6.1, 4.9).

    What is needed is computed from the subscriptions of the moment, so it cannot be stale.
    """

    _state: MicrophoneState = attrs.field(default=OFF, init=False)
    """As the glasses were told, or will be once they are here."""
    _told_at: float | None = attrs.field(default=None, init=False)
    _changed_at: float | None = attrs.field(default=None, init=False)
    """When they were told something else than before."""
    _unasked_until: float | None = attrs.field(default=None, init=False)
    """Until then audio that nobody asked for is not answered."""
    _changed: Milestone = attrs.field(factory=Milestone, init=False)
    _following: Errand = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._following = Errand(self.place.errands, self.run, "microphone")

    def apps_changed(self) -> None:
        """Some app's subscriptions, or the set of apps, may have changed."""
        if self._following.under_way:
            self._changed.set()
        elif self._wanted() != self._state:
            self._following.begin()

    def settings_changed(self, settings: Mapping[str, Any]) -> None:
        """The user may want silence to be sent as well, or no more."""
        self.apps_changed()

    def glasses_attached(self) -> None:
        """Tell them, whatever those before them knew."""
        self._unasked_until = None
        self._tell(self._state)

    def device_connected(self) -> None:
        """Tell those that the phone has found, too."""
        self._tell(self._state)

    def audio(self, frame: bytes) -> None:
        """Give it to the apps that listen; tell glasses that nobody has asked."""
        if not self._state.enabled:
            self._answer_unasked()
        fan_out_audio(self.place.apps(), frame)

    def _answer_unasked(self) -> None:
        now = trio.current_time()
        answered = self._unasked_until is not None and now < self._unasked_until
        if not answered and not self._wanted().enabled:
            self._unasked_until = now + UNASKED_AUDIO_S
            self._tell(self._state)

    async def run(self) -> None:
        """Follow the demand for as long as the glasses have to listen, or have to be told."""
        while self._state.enabled or self._wanted() != self._state:
            changed = await self._until_due()
            wanted = self._wanted()
            if self._state.enabled and not wanted.enabled:
                wanted = await self._hold()
            if wanted != self._state:
                self._changed_at = trio.current_time()
                self._tell(wanted)
            elif not changed:
                self._tell(wanted)

    async def _until_due(self) -> bool:
        """Until there is something else to tell; ``False``: an "on" must be repeated."""
        with trio.CancelScope() as repeat:
            if self._state.enabled and self._told_at is not None:
                repeat.deadline = self._told_at + MICROPHONE_REPEAT_S
            while self._wanted() == self._state:
                self._changed = Milestone()
                await self._changed.wait()
            if self._changed_at is not None and self._wanted().enabled:  # an "off" waits anyway
                await trio.sleep_until(self._changed_at + MICROPHONE_PAUSE_S)
            return True
        return False

    async def _hold(self) -> MicrophoneState:
        """Keep it on for a while: an app that reconnects lists nothing for a moment."""
        with trio.move_on_after(MICROPHONE_OFF_HOLD_S):
            while not self._wanted().enabled:
                self._changed = Milestone()
                await self._changed.wait()
        return self._wanted()

    def _wanted(self) -> MicrophoneState:
        unfiltered = self.place.settings().get("bypassVad") is True
        sets = (app.subscriptions for app in self.place.apps())
        return microphone_demand(sets, unfiltered=unfiltered).state

    def _tell(self, state: MicrophoneState) -> None:
        self._state, self._told_at = state, trio.current_time()
        self.place.eyepiece.send(
            MicrophoneStateChange(
                session_id=self.place.user,
                is_microphone_enabled=state.enabled,
                required_data=state.required_data,
                bypass_vad=state.bypass_vad,
                timestamp=self.place.timestamp(),
            )
        )
