"""What is known of the user's glasses, and what of it has changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..domain.capabilities import capabilities_of
from ..wire.from_glasses import GlassesBatteryUpdate, GlassesConnectionState


@attrs.define(eq=False, repr=False)
class Device:
    """The state of the glasses in the wire's words (GlassesInfo of protocol.md 6.10)."""

    _state: dict[str, Any] = attrs.field(factory=lambda: {"connected": False}, init=False)
    _told: bool = attrs.field(default=False, init=False)  # whether the phone spoke of them

    @property
    def snapshot(self) -> dict[str, Any]:
        """Everything known, as a copy."""
        return dict(self._state)

    @property
    def at_phone(self) -> bool | None:
        """Whether the phone has its glasses; ``None`` while it has not said so to this server."""
        return bool(self._state["connected"]) if self._told else None

    @property
    def model_name(self) -> str | None:
        """The model, where it is known."""
        model = self._state.get("modelName")
        return model if isinstance(model, str) else None

    @property
    def capabilities(self) -> Mapping[str, Any] | None:
        """What this model can do; ``None`` for an unknown model."""
        return capabilities_of(self.model_name)

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What was known before; whether the glasses are there is for them to say."""
        self._state.update(saved)
        self._state["connected"] = False

    def note_connection(self, message: GlassesConnectionState) -> dict[str, Any]:
        """Take note of a connection state; returns what changed."""
        news: dict[str, Any] = {"connected": message.status != "DISCONNECTED"}
        if message.model_name:
            news["modelName"] = message.model_name
        if message.wifi is not None:
            news["wifiConnected"] = message.wifi.connected
            news["wifiSsid"] = message.wifi.ssid
        return self._apply(news)

    def note_battery(self, message: GlassesBatteryUpdate) -> dict[str, Any]:
        """Take note of the glasses' battery; returns what changed."""
        return self._apply({"batteryLevel": message.level, "charging": message.charging})

    def _apply(self, news: Mapping[str, Any]) -> dict[str, Any]:
        self._told = self._told or "connected" in news
        changed = {key: value for key, value in news.items() if self._state.get(key) != value}
        self._state.update(changed)
        return changed
