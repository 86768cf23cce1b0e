"""What is known of the user's glasses, and what of it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..domain.capabilities import capabilities_of
from ..domain.device_state import CONNECTED, MODEL_NAME, changes_in


@attrs.define(eq=False, repr=False)
class Device:
    """The state of the glasses in the wire's words (GlassesInfo of protocol.md 6.10)."""

    _state: dict[str, Any] = attrs.field(factory=lambda: {CONNECTED: False}, init=False)
    _told: bool = attrs.field(default=False, init=False)  # whether the phone spoke of them

    @property
    def snapshot(self) -> dict[str, Any]:
        """Everything known, as a copy."""
        return dict(self._state)

    @property
    def connected(self) -> bool:
        """Whether the phone says that the glasses are there."""
        return bool(self._state[CONNECTED])

    @property
    def at_phone(self) -> bool | None:
        """Whether the phone has its glasses; ``None`` while it has not said so to this server."""
        return self.connected if self._told else None

    @property
    def model_name(self) -> str | None:
        """The model, where it is known."""
        model = self._state.get(MODEL_NAME)
        return model if isinstance(model, str) else None

    @property
    def capabilities(self) -> Mapping[str, Any] | None:
        """What this model can do; ``None`` for an unknown model."""
        return capabilities_of(self.model_name)

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What was known before; whether the glasses are there is for them to say."""
        self._state.update(saved)
        self._state[CONNECTED] = False

    def apply(self, news: Mapping[str, Any], *, by_phone: bool = True) -> dict[str, Any]:
        """Take note of ``news``, which ``checked_state`` has made; returns what changed.

        ``by_phone`` is whether the phone says so, or it only follows from the user's settings.
        """
        self._told = self._told or (by_phone and CONNECTED in news)
        changed = changes_in(self._state, news)
        self._state.update(changed)
        return changed
