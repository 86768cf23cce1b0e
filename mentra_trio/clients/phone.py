"""What a phone says, beside what it is asked: everything that its user does and that it notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..wire import from_glasses
from ..wire.codec import encode
from ..wire.message import Message, Number
from ..wire.parts import StreamStats


class Phone:
    """The saying half of ``Glasses``. Every method raises ``LinkClosed`` once that is over."""

    async def send_text(self, text: str) -> None:
        """Send a text frame as it is, message or not."""
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        """Send any message of ``wire.from_glasses``."""
        await self.send_text(encode(message))

    # --- what the user does ---

    async def start_app(self, package: str) -> None:
        """Start an app; ``app_state_change`` follows when something has come of it."""
        await self.send(from_glasses.StartApp(package_name=package))

    async def stop_app(self, package: str) -> None:
        """Stop an app."""
        await self.send(from_glasses.StopApp(package_name=package))

    async def say(self, text: str, *, language: str = "en-US", final: bool = True) -> None:
        """Speak: what the phone recognised of it is sent, ``final`` or in between."""
        await self.send(
            from_glasses.LocalTranscription(
                text=text,
                is_final=final,
                start_time=0,
                end_time=0,
                speaker_id=0,
                transcribe_language=language,
                provider="local",
            )
        )

    async def voice(self, active: bool) -> None:
        """Begin to speak, or stop (protocol.md 6.2)."""
        await self.send(from_glasses.Vad(status=active))

    async def press_button(self, button: str = "main", *, press: str = "short") -> None:
        """Press a button, ``short`` or ``long``."""
        await self.send(from_glasses.ButtonPress(button_id=button, press_type=press))

    async def touch(self, gesture: str, *, model: str = "Simulated Glasses") -> None:
        """Make a gesture, such as ``double_tap`` (protocol.md 4.3)."""
        await self.send(from_glasses.TouchEvent(gesture_name=gesture, device_model=model))

    async def head(self, position: str) -> None:
        """Look ``up`` or ``down``."""
        await self.send(from_glasses.HeadPosition(position=position))

    # --- what is the case ---

    async def location(
        self,
        lat: float,
        lng: float,
        *,
        accuracy: float | None = None,
        correlation_id: str | None = None,
    ) -> None:
        """Be somewhere; ``accuracy`` in metres. With the id of a question this answers it."""
        await self.send(
            from_glasses.LocationUpdate(
                lat=lat, lng=lng, accuracy=accuracy, correlation_id=correlation_id
            )
        )

    async def battery(self, level: int, *, charging: bool = False) -> None:
        """Tell the glasses' battery level, 0 to 100."""
        await self.send(from_glasses.GlassesBatteryUpdate(level=level, charging=charging))

    async def phone_battery(self, level: int, *, charging: bool = False) -> None:
        """Tell the phone's battery level, 0 to 100."""
        await self.send(from_glasses.PhoneBatteryUpdate(level=level, charging=charging))

    async def connection_state(
        self,
        model_name: str,
        *,
        status: str = "CONNECTED",
        wifi: from_glasses.WifiState | None = None,
    ) -> None:
        """Tell that the phone has found, or lost, glasses of that model (protocol.md 6.10)."""
        await self.send(
            from_glasses.GlassesConnectionState(model_name=model_name, status=status, wifi=wifi)
        )

    async def core_status(self, status: Mapping[str, Any]) -> None:
        """Tell the phone's own state, its settings included (protocol.md 6.9)."""
        await self.send(from_glasses.CoreStatusUpdate(status=status))

    async def vps(self, x: float, y: float, z: float, *, confidence: float | None = None) -> None:
        """Tell a position from visual positioning."""
        await self.send(from_glasses.VpsCoordinates(x=x, y=y, z=z, confidence=confidence))

    # --- what the phone knows ---

    async def calendar_event(
        self,
        event_id: str,
        title: str,
        start: str,
        end: str | None = None,
        *,
        timezone: str | None = None,
    ) -> None:
        """Tell an entry of the calendar; times in ISO 8601."""
        await self.send(
            from_glasses.CalendarEvent(
                event_id=event_id, title=title, dt_start=start, dt_end=end, timezone=timezone
            )
        )

    async def notify(
        self,
        title: str,
        content: str = "",
        *,
        app: str = "messages",
        notification_id: str | None = None,
        priority: str = "normal",
    ) -> None:
        """Get a notification of one of the phone's own apps."""
        await self.send(
            from_glasses.PhoneNotification(
                notification_id=notification_id or title,
                app=app,
                title=title,
                content=content,
                priority=priority,
            )
        )

    async def dismiss(self, notification_id: str, *, key: str | None = None) -> None:
        """Have the user dismiss a notification."""
        await self.send(
            from_glasses.PhoneNotificationDismissed(
                notification_id=notification_id, notification_key=key or notification_id
            )
        )

    async def ask_for_settings(self) -> None:
        """Ask for the MentraOS settings; ``settings_update`` answers it."""
        await self.send(from_glasses.RequestSettings())

    async def stream_status(
        self,
        status: str,
        *,
        stream_id: str | None = None,
        error: str | None = None,
        bitrate: Number | None = None,
    ) -> None:
        """Tell how the camera's stream is: ``active``, ``stopped``, ``error`` (protocol.md 6.6)."""
        stats = StreamStats(bitrate=bitrate) if bitrate is not None else None
        await self.send(
            from_glasses.RtmpStreamStatus(
                status=status, stream_id=stream_id, error_details=error, stats=stats
            )
        )
