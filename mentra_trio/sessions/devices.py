"""The state of the glasses: from whatever way it comes in, to every app (protocol.md 6.10)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import trio

from ..domain.device_state import (
    CONNECTED,
    DISCONNECTED,
    MODEL_NAME,
    TIMESTAMP,
    URGENT,
    checked_state,
)
from ..domain.errors import SettingRefused
from ..domain.timings import DEVICE_STATE_DELAY_S
from ..domain.user_settings import DEFAULT_WEARABLE
from ..wire.codec import encode
from ..wire.from_glasses import GlassesBatteryUpdate, GlassesConnectionState
from ..wire.to_app import CapabilitiesUpdate, DeviceStateUpdate
from .errands import Errand
from .ignored import ignore_glasses
from .subsystem import GlassesHandlers, Subsystem

if TYPE_CHECKING:
    from .app_session import AppSession


@attrs.define(eq=False, repr=False)
class Devices(Subsystem):
    """Tells apps what has changed about the glasses, once, and what they can do.

    Whether they are there, and which they are, is told at once; what else changes waits a moment
    for more, and is told together. What has changed back meanwhile is not told at all.
    """

    _untold: dict[str, Any] = attrs.field(factory=dict, init=False)
    """Keys that have changed since apps were told, with the values that they were told."""
    _news: Errand = attrs.field(init=False)
    _wearable: object = attrs.field(default=None, init=False)
    """The user's ``default_wearable``, as it was last."""

    def __attrs_post_init__(self) -> None:
        self._news = Errand(self.place.errands, self._tell_soon, "device state")

    def opened(self) -> None:
        """Which glasses the user has may be known before they are there."""
        if self._untold:
            self._news.begin()
        self._wearable = self.place.settings().get(DEFAULT_WEARABLE)
        if self.place.device.model_name is None:
            self._wear(self._wearable)

    def apply(self, news: Mapping[str, Any]) -> None:
        """Take note of ``news``: some keys of GlassesInfo, from the phone.

        Raises:
            SettingRefused: a value is of the wrong kind; nothing was taken note of.
        """
        self._take(checked_state(news))

    def _take(self, known: Mapping[str, Any], *, by_phone: bool = True) -> None:
        before = self.place.device.snapshot
        changed = self.place.device.apply(known, by_phone=by_phone)
        if not changed:
            return
        for key in changed:
            self._untold.setdefault(key, before.get(key))
        self.place.device_changed()
        if URGENT & changed.keys():
            self._tell()
        else:
            self._news.begin()
        if changed.get(CONNECTED):
            self.place.device_connected()
        if MODEL_NAME in changed or changed.get(CONNECTED):
            self._tell_capabilities()
            self.place.fit()

    def app_attached(self, app: AppSession) -> None:
        """What waits is told now: the app has it in its snapshot, and may not miss its end."""
        self._tell()

    def settings_changed(self, settings: Mapping[str, Any]) -> None:
        """The glasses that the user chose are the current ones, also before they are there."""
        wearable = settings.get(DEFAULT_WEARABLE)
        if wearable != self._wearable:
            self._wearable = wearable
            self._wear(wearable)

    def _wear(self, wearable: object) -> None:
        if wearable is None or isinstance(wearable, str):
            known = {MODEL_NAME: wearable, CONNECTED: self.place.device.connected}
            self._apply(known, by_phone=False)

    def connection_state(self, message: GlassesConnectionState) -> None:
        """The glasses came to, or went from, the phone."""
        news: dict[str, Any] = {CONNECTED: message.status.upper() != DISCONNECTED}
        if message.model_name:
            news[MODEL_NAME] = message.model_name
        if message.wifi is not None:
            news["wifiConnected"] = message.wifi.connected
            news["wifiSsid"] = message.wifi.ssid
        again = news[CONNECTED] and self.place.device.connected
        self._apply(news)
        if again:
            self.place.device_connected()

    def battery(self, message: GlassesBatteryUpdate) -> None:
        """How full the battery of the glasses is."""
        news = {"batteryLevel": message.level, "charging": message.charging}
        self._apply({key: value for key, value in news.items() if value is not None})

    def _apply(self, news: Mapping[str, Any], *, by_phone: bool = True) -> None:
        try:
            self._take(checked_state(news), by_phone=by_phone)
        except SettingRefused as error:
            ignore_glasses(self.place, str(error))

    async def _tell_soon(self) -> None:
        """Once for all that changes within a moment."""
        await trio.sleep(DEVICE_STATE_DELAY_S)
        self._tell()

    def _tell(self) -> None:
        """Tell every attached app the keys that differ from what it was told."""
        state, untold = self.place.device.snapshot, self._untold
        self._untold = {}
        changed = {key: state[key] for key, told in untold.items() if state[key] != told}
        if changed.keys() - {TIMESTAMP}:
            update = DeviceStateUpdate(state=changed, timestamp=self.place.timestamp())
            self.place.tell(encode(update))

    def _tell_capabilities(self) -> None:
        device = self.place.device
        update = CapabilitiesUpdate(
            capabilities=device.capabilities,
            model_name=device.model_name,
            timestamp=self.place.timestamp(),
        )
        self.place.tell(encode(update))

    FROM_GLASSES: ClassVar[GlassesHandlers] = MappingProxyType(
        {GlassesConnectionState: connection_state, GlassesBatteryUpdate: battery}
    )
