"""One user's session of an app written in Python: what the author of the app works with."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import attrs
import trio

from ..concurrency.bulkhead import contain
from ..concurrency.oneshot import OneShot
from ..domain.close_reasons import CloseReason
from ..domain.errors import LinkClosed
from ..wire import from_app, from_glasses, to_app
from ..wire.codec import encode
from ..wire.message import Message, Unrecognized
from ..wire.parts import ClearView, DoubleTextWall, Layout, ReferenceCard, TextWall
from ..wire.to_app import PermissionErrorDetail
from .dialing import ClientLink
from .events import (
    MissedMessages,
    Reconnected,
    Transcription,
    Translation,
    decode_event,
)
from .inbox import Inbox

log: Final = logging.getLogger(__name__)

Handler = Callable[[Any], Awaitable[object] | None]
"""Is called with each event of a stream, one event at a time; may be ``async``."""

FromServer = to_app.ToApp | Unrecognized | bytes
"""What the server sends to an app: a message, or a frame of audio."""

WARNINGS_AT_ONCE: Final = 20

AUDIO: Final = "audio_chunk"
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@attrs.define(eq=False)
class AppSession:
    """One user of the app, from the webhook until the session is stopped or lost.

    It survives reconnects: handlers stay, and what they want is asked for again. Registering a
    handler subscribes to its stream; the function returned unregisters it.

    Attributes:
        user, session_id, package: as the webhook named them.
        settings: the user's settings of this app, by key.
        mentraos_settings: the user's MentraOS settings, camelCase.
        capabilities: what the glasses can do; ``None`` while that is not known.
        device_state: what is known of the glasses, as the wire names it.
        nursery: for tasks of the author that shall end with the session. A crash in one of
            them ends this session, and no other.
        crashes: what the handlers raised; the session goes on after it.
    """

    user: str
    session_id: str
    package: str
    settings: Mapping[str, Any] = NOTHING
    mentraos_settings: Mapping[str, Any] = NOTHING
    capabilities: Mapping[str, Any] | None = None
    device_state: Mapping[str, Any] = NOTHING
    _crashed: Callable[[BaseException], None] = attrs.field(
        default=lambda error: None, repr=False, kw_only=True
    )
    """Is told as well of what is added to ``crashes``."""
    reconnect_token: str = attrs.field(default="", init=False, repr=False)
    """From the latest ack: shows the server, once, that this session was there before."""
    crashes: list[BaseException] = attrs.field(factory=list, init=False)
    acked: OneShot[bool] = attrs.field(factory=OneShot, init=False)
    ready: OneShot[bool] = attrs.field(factory=OneShot, init=False)
    ended: OneShot[bool] = attrs.field(factory=OneShot, init=False)
    end_reason: OneShot[str] = attrs.field(factory=OneShot, init=False)
    changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _order: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    """Held while something is sent: a list that is on its way is not overtaken."""
    life: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    nursery: trio.Nursery = attrs.field(init=False)
    _link: ClientLink[FromServer] | None = attrs.field(default=None, init=False)
    _handlers: dict[str, list[Handler]] = attrs.field(factory=dict, init=False)
    _listeners: dict[str, list[Handler]] = attrs.field(factory=dict, init=False)
    _reconnected: list[Handler] = attrs.field(factory=list, init=False)
    _work: Inbox[FromServer | Reconnected] = attrs.field(factory=Inbox, init=False)

    # --- streams ---

    def on_transcription(
        self, handler: Callable[[Transcription], Awaitable[object] | None], language: str = "en-US"
    ) -> Callable[[], None]:
        """Hear what is said in ``language``, such as ``de-DE``; ``auto`` detects it."""
        return self.on_stream(f"transcription:{language}", handler)

    def on_translation(
        self,
        handler: Callable[[Translation], Awaitable[object] | None],
        *,
        source: str,
        target: str,
    ) -> Callable[[], None]:
        """Hear what is said in ``source``, in ``target``."""
        return self.on_stream(f"translation:{source}-to-{target}", handler)

    def on_button_press(
        self, handler: Callable[[from_glasses.ButtonPress], Awaitable[object] | None]
    ) -> Callable[[], None]:
        """A button of the glasses is pressed."""
        return self.on_stream("button_press", handler)

    def on_head_position(
        self, handler: Callable[[from_glasses.HeadPosition], Awaitable[object] | None]
    ) -> Callable[[], None]:
        """The wearer looks up or down."""
        return self.on_stream("head_position", handler)

    def on_touch(
        self,
        handler: Callable[[from_glasses.TouchEvent], Awaitable[object] | None],
        gesture: str | None = None,
    ) -> Callable[[], None]:
        """A gesture on the touch pad: any, or only ``gesture``."""
        return self.on_stream(f"touch_event:{gesture}" if gesture else "touch_event", handler)

    def on_location(
        self, handler: Callable[[from_glasses.LocationUpdate], Awaitable[object] | None]
    ) -> Callable[[], None]:
        """The user has moved."""
        return self.on_stream("location_update", handler)

    def on_battery(
        self, handler: Callable[[from_glasses.GlassesBatteryUpdate], Awaitable[object] | None]
    ) -> Callable[[], None]:
        """The glasses' battery changes."""
        return self.on_stream("glasses_battery_update", handler)

    def on_audio(self, handler: Callable[[bytes], Awaitable[object] | None]) -> Callable[[], None]:
        """A piece of microphone audio: 16 kHz, 16-bit little-endian mono."""
        return self.on_stream(AUDIO, handler)

    def on_stream(self, stream: str, handler: Handler) -> Callable[[], None]:
        """Any stream, by the name of its subscription (protocol.md 4.1)."""
        self._handlers.setdefault(stream, []).append(handler)
        self._ask()

        def off() -> None:
            handlers = self._handlers[stream]
            handlers.remove(handler)
            if not handlers:
                del self._handlers[stream]
                self._ask()

        return off

    def on_message(self, message_type: str, handler: Handler) -> Callable[[], None]:
        """A message that is no stream, such as ``settings_update`` or ``permission_error``.

        The session's own attributes are already up to date when the handler is called.
        """
        self._listeners.setdefault(message_type, []).append(handler)
        return partial(self._listeners[message_type].remove, handler)

    def on_reconnected(
        self, handler: Callable[[Reconnected], Awaitable[object] | None]
    ) -> Callable[[], None]:
        """The connection was lost and is there again; what was lost meanwhile, ``on_missed``."""
        self._reconnected.append(handler)
        return partial(self._reconnected.remove, handler)

    def on_missed(
        self, handler: Callable[[MissedMessages], Awaitable[object] | None]
    ) -> Callable[[], None]:
        """Messages were lost while this session was away: too many came, or they got too old."""

        async def told(message: to_app.CustomMessage) -> None:
            if message.action == to_app.MISSED and isinstance(message.payload, Mapping):
                result = handler(MissedMessages.from_payload(message.payload))
                if inspect.isawaitable(result):
                    await result

        return self.on_message("custom_message", told)

    @property
    def subscriptions(self) -> list[str]:
        """The streams that have a handler, in the order in which they got one."""
        return list(self._handlers)

    # --- the glasses ---

    async def show_text(self, text: str, *, duration_ms: int | None = None) -> bool:
        """Show ``text`` on the glasses until something else is shown, or for ``duration_ms``.

        Returns:
            ``False`` if there was no connection: then nothing is kept for later.
        """
        return await self.show(TextWall(text=text), duration_ms=duration_ms)

    async def show_two_texts(
        self, top: str, bottom: str, *, duration_ms: int | None = None
    ) -> bool:
        """Show two texts, one above the other; otherwise as ``show_text``."""
        layout = DoubleTextWall(top_text=top, bottom_text=bottom)
        return await self.show(layout, duration_ms=duration_ms)

    async def show_card(self, title: str, text: str, *, duration_ms: int | None = None) -> bool:
        """Show a title and a text; otherwise as ``show_text``."""
        return await self.show(ReferenceCard(title=title, text=text), duration_ms=duration_ms)

    async def clear(self) -> bool:
        """Show nothing; otherwise as ``show_text``."""
        return await self.show(ClearView())

    async def show(
        self, layout: Layout, *, view: str = "main", duration_ms: int | None = None
    ) -> bool:
        """Show any layout of protocol.md 5.1; otherwise as ``show_text``."""
        return await self.send(
            from_app.DisplayEvent(
                package_name=self.package,
                session_id=self.session_id,
                view=view,
                layout=layout,
                duration_ms=duration_ms,
            )
        )

    async def send(self, message: Message) -> bool:
        """Send any message of ``wire.from_app``; ``False`` if there is no connection.

        What was asked for before is asked for first: whoever sees the effect of this message
        may rely on it.
        """
        await trio.lowlevel.checkpoint()
        if self._link is None:
            return False
        link = self._link
        try:
            async with self._order:
                await self._tell_streams(link)
                await link.send(encode(message))
        except LinkClosed:
            return False
        return True

    async def tell_streams(self, link: ClientLink[FromServer]) -> None:
        """Send the whole list over ``link`` if it was not sent since it changed.

        Raises:
            LinkClosed: the connection is over; the next one is told again after its ack.
        """
        async with self._order:
            await self._tell_streams(link)

    async def _tell_streams(self, link: ClientLink[FromServer]) -> None:
        if self.changed.is_set():
            self.changed = trio.Event()
            await link.send(
                encode(
                    from_app.SubscriptionUpdate(
                        package_name=self.package,
                        session_id=self.session_id,
                        subscriptions=self.subscriptions,
                    )
                )
            )

    async def release(self, reason: str = "clean_shutdown") -> None:
        """Tell the server not to bring this session back when it ends (protocol.md 2.10)."""
        await self.send(
            from_app.OwnershipRelease(
                package_name=self.package, session_id=self.session_id, reason=reason
            )
        )

    def end(self, reason: str) -> None:
        """End the session; the app's ``on_stop`` gets ``reason``. Idempotent."""
        if self.end_reason.settle(reason):
            self.life.cancel(reason)

    # --- the connection ---

    @property
    def connected(self) -> bool:
        """Whether there is an acknowledged connection now."""
        return self._link is not None

    def cut(self) -> None:
        """Lose the connection, as in a network failure; the session will reconnect."""
        if self._link is not None:
            self._link.cut()

    async def close(self, reason: CloseReason) -> None:
        """Close the connection; whether the session reconnects depends on the code, as always."""
        if self._link is not None:
            await self._link.close(reason.code, reason.text)
        await trio.lowlevel.checkpoint()

    def attach(self, link: ClientLink[FromServer] | None) -> None:
        """Use ``link`` from now on; ``None``: there is none."""
        self._link = link

    def accept(self, message: FromServer) -> None:
        """Take in what the server sent: attributes at once, handlers in turn."""
        match message:
            case to_app.TpaConnectionAck():
                self.settings = _by_key(message.settings)
                self.mentraos_settings = message.mentraos_settings
                self.capabilities = message.capabilities
                self.reconnect_token = message.reconnect_token or ""
                if not self.acked.settle(True):
                    self._work.put(_reconnected(message))
                self._ask()  # an ack is always answered with the list (protocol.md 2.4)
            case to_app.SettingsUpdate():
                self.settings = _by_key(message.settings)
            case to_app.AugmentosSettingsUpdate():
                self.mentraos_settings = message.settings
            case to_app.CapabilitiesUpdate():
                self.capabilities = message.capabilities
            case to_app.DeviceStateUpdate():
                self.device_state = {**self.device_state, **message.state}
            case to_app.PermissionError():
                self._warn_of(message.details)
        self._work.put(message)

    async def handle_events(self) -> None:
        """Call handlers, one event after the other, until cancelled."""
        while True:
            message = await self._work.take()
            stream, handlers = self._handlers_of(message)
            for handler in handlers:
                with contain(self._note_crash):
                    result = handler(_event_of(stream, message))
                    if inspect.isawaitable(result):
                        await result

    def _handlers_of(self, message: FromServer | Reconnected) -> tuple[str, Sequence[Handler]]:
        match message:
            case Reconnected():
                return "", tuple(self._reconnected)
            case bytes():
                return AUDIO, tuple(self._handlers.get(AUDIO, ()))
            case to_app.DataStream():
                # Streams are told apart by the exact string that was subscribed (4.8).
                return message.stream_type, tuple(self._handlers.get(message.stream_type, ()))
            case Unrecognized():
                return message.type, tuple(self._listeners.get(message.type, ()))
            case _:
                name = str(message.__struct_config__.tag)
                return name, tuple(self._listeners.get(name, ()))

    def _warn_of(self, details: Sequence[PermissionErrorDetail]) -> None:
        """A stream without its permission stays silent: the author should learn of it."""
        for detail in details[:WARNINGS_AT_ONCE]:
            log.warning(
                "%s gets nothing of %r: its registration lacks the permission %s",
                self.package,
                detail.stream,
                detail.required_permission,
            )

    def _ask(self) -> None:
        self.changed.set()

    def _note_crash(self, error: BaseException) -> None:
        self.crashes.append(error)
        self._crashed(error)
        log.error("a handler of %s failed", self.package, exc_info=error)


def _reconnected(ack: to_app.TpaConnectionAck) -> Reconnected:
    return Reconnected(resurrected=bool(ack.resurrected), subscriptions=ack.subscriptions)


def _event_of(stream: str, message: FromServer | Reconnected) -> Any:
    if isinstance(message, to_app.DataStream):
        return decode_event(stream, message.data)
    return message


def _by_key(settings: Sequence[Any]) -> dict[str, Any]:
    """Settings as the wire lists them, by key; a default stands in for a missing value."""
    return {
        entry["key"]: entry.get("value", entry.get("defaultValue"))
        for entry in settings
        if isinstance(entry, Mapping) and isinstance(entry.get("key"), str)
    }
