"""What an app can hear, by name: everything that the phone tells, and the settings."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from ..wire import from_glasses, to_app
from .ears import AUDIO, Ears, Off
from .events import MissedMessages, Reconnected, Transcription, Translation

E = TypeVar("E")
Hears: TypeAlias = Callable[[E], Awaitable[object] | None]
"""Is called with each event, one at a time; may be ``async``."""

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

RECONNECTED: Final = "(reconnected)"
"""What the session itself notices has a name that no message has."""


def of_setting(key: str) -> str:
    """The name under which a change of the app's setting ``key`` is noticed."""
    return f"(setting) {key}"


def of_mentraos_setting(key: str) -> str:
    """The same for a MentraOS setting."""
    return f"(mentraos setting) {key}"


@attrs.define(eq=False)
class Hearing(Ears):
    """Handlers by name. Registering one subscribes to its stream; what is returned ends that."""

    # --- what is said ---

    def on_transcription(self, handler: Hears[Transcription], language: str = "en-US") -> Off:
        """Hear what is said in ``language``, such as ``de-DE``; ``auto`` detects it."""
        return self.on_stream(f"transcription:{language}", handler)

    def on_translation(self, handler: Hears[Translation], *, source: str, target: str) -> Off:
        """Hear what is said in ``source``, in ``target``."""
        return self.on_stream(f"translation:{source}-to-{target}", handler)

    def on_voice_activity(self, handler: Hears[from_glasses.Vad]) -> Off:
        """Somebody begins to speak, or stops."""
        return self.on_stream("VAD", handler)

    def on_audio(self, handler: Hears[bytes]) -> Off:
        """A piece of microphone audio: 16 kHz, 16-bit little-endian mono."""
        return self.on_stream(AUDIO, handler)

    # --- what is done ---

    def on_button_press(self, handler: Hears[from_glasses.ButtonPress]) -> Off:
        """A button of the glasses is pressed."""
        return self.on_stream("button_press", handler)

    def on_head_position(self, handler: Hears[from_glasses.HeadPosition]) -> Off:
        """The wearer looks up or down."""
        return self.on_stream("head_position", handler)

    def on_touch(self, handler: Hears[from_glasses.TouchEvent], gesture: str | None = None) -> Off:
        """A gesture on the touch pad: any, or only ``gesture``."""
        return self.on_stream(f"touch_event:{gesture}" if gesture else "touch_event", handler)

    # --- what is the case ---

    def on_location(self, handler: Hears[from_glasses.LocationUpdate]) -> Off:
        """The user has moved; how exactly that is watched: ``session.location.watch``."""
        return self.on_stream("location_update", handler)

    def on_vps(self, handler: Hears[from_glasses.VpsCoordinates]) -> Off:
        """A position from visual positioning."""
        return self.on_stream("vps_coordinates", handler)

    def on_battery(self, handler: Hears[from_glasses.GlassesBatteryUpdate]) -> Off:
        """The glasses' battery changes."""
        return self.on_stream("glasses_battery_update", handler)

    def on_phone_battery(self, handler: Hears[from_glasses.PhoneBatteryUpdate]) -> Off:
        """The phone's battery changes."""
        return self.on_stream("phone_battery_update", handler)

    def on_glasses(self, handler: Hears[from_glasses.GlassesConnectionState]) -> Off:
        """The glasses are found by their phone, or lost."""
        return self.on_stream("glasses_connection_state", handler)

    def on_calendar_event(self, handler: Hears[from_glasses.CalendarEvent]) -> Off:
        """An entry of the user's calendar, those known before at first."""
        return self.on_stream("calendar_event", handler)

    def on_notification(self, handler: Hears[from_glasses.PhoneNotification]) -> Off:
        """A notification on the phone."""
        return self.on_stream("phone_notification", handler)

    def on_notification_dismissed(
        self, handler: Hears[from_glasses.PhoneNotificationDismissed]
    ) -> Off:
        """The user has dismissed a notification."""
        return self.on_stream("phone_notification_dismissed", handler)

    def on_photo_taken(self, handler: Hears[from_glasses.PhotoTaken]) -> Off:
        """The user has taken a photo that no app asked for."""
        return self.on_stream("photo_taken", handler)

    # --- what the server tells without a subscription ---

    def on_setting(self, key: str, handler: Hears[Any]) -> Off:
        """The user has changed a setting of this app; the handler gets its new value."""
        return self.listen(of_setting(key), handler)

    def on_settings(self, handler: Hears[to_app.SettingsUpdate]) -> Off:
        """The settings of this app were told; they are in ``settings`` already."""
        return self.on_message("settings_update", handler)

    def on_mentraos_setting(self, key: str, handler: Hears[Any]) -> Off:
        """A MentraOS setting has changed, such as ``metricSystemEnabled``; its new value."""
        return self.listen(of_mentraos_setting(key), handler)

    def on_capabilities(self, handler: Hears[to_app.CapabilitiesUpdate]) -> Off:
        """Other glasses are worn, or none; see ``capabilities``."""
        return self.on_message("capabilities_update", handler)

    def on_device_state(self, handler: Hears[to_app.DeviceStateUpdate]) -> Off:
        """Something about the glasses has changed; see ``device_state``."""
        return self.on_message("device_state_update", handler)

    def on_permission_error(self, handler: Hears[to_app.PermissionError]) -> Off:
        """Streams or requests were rejected: the app's registration lacks a permission."""
        return self.on_message("permission_error", handler)

    def on_custom_message(self, action: str, handler: Hears[Any]) -> Off:
        """A message without a type of its own; the handler gets its payload."""

        async def told(message: to_app.CustomMessage) -> None:
            if message.action == action:
                result = handler(message.payload)
                if inspect.isawaitable(result):
                    await result

        return self.on_message("custom_message", told)

    def on_datetime(self, handler: Hears[Any]) -> Off:
        """The phone has told its date and time: a payload with ``datetime`` (ISO 8601).

        It is kept by the server and told to whoever asks for it, so it comes at first as well.
        """
        off = self.on_custom_message("update_datetime", handler)
        unsubscribe = self.on_stream("custom_message", _nobody)

        def both_off() -> None:
            off()
            unsubscribe()

        return both_off

    def on_reconnected(self, handler: Hears[Reconnected]) -> Off:
        """The connection was lost and is there again; what was lost meanwhile, ``on_missed``."""
        return self.listen(RECONNECTED, handler)

    def on_missed(self, handler: Hears[MissedMessages]) -> Off:
        """Messages were lost while this session was away: too many came, or they got too old."""

        def told(payload: Any) -> Awaitable[object] | None:
            if isinstance(payload, Mapping):
                return handler(MissedMessages.from_payload(payload))
            return None

        return self.on_custom_message(to_app.MISSED, told)


def _nobody(event: object) -> None:
    """Hears a stream only so that it is subscribed to."""
