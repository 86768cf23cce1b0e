"""One user's session of an app written in Python: what the author of the app works with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs
import trio

from ..concurrency.oneshot import OneShot
from ..domain.close_reasons import CloseReason
from ..domain.errors import LinkClosed
from ..wire import from_app, to_app
from ..wire.codec import encode
from ..wire.message import Message, Number
from ..wire.parts import (
    BitmapAnimation,
    BitmapView,
    ClearView,
    DashboardCard,
    DoubleTextWall,
    Layout,
    ReferenceCard,
    TextWall,
)
from ..wire.to_app import PermissionErrorDetail
from .ability import Ability
from .audio_out import AudioOut
from .camera import Camera
from .dashboard import Dashboard
from .dialing import ClientLink
from .ears import FromServer as FromServer
from .ears import Handler as Handler
from .events import Reconnected
from .hearing import NOTHING, RECONNECTED, Hearing, of_mentraos_setting, of_setting
from .http_calls import RestDoor
from .leds import Leds
from .live_streams import LiveStreams
from .location import Location
from .messages import Messages
from .questions import Questions, not_connected
from .storage import Storage

log: Final = logging.getLogger(__name__)

WARNINGS_AT_ONCE: Final = 20


@attrs.define(eq=False)
class AppSession(Hearing):
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
        camera, streams, audio, leds, location, dashboard, storage, messages: what else can be
            asked for. What cannot be had raises ``RequestFailed``.
    """

    user: str
    session_id: str
    package: str
    settings: Mapping[str, Any] = NOTHING
    mentraos_settings: Mapping[str, Any] = NOTHING
    capabilities: Mapping[str, Any] | None = None
    device_state: Mapping[str, Any] = NOTHING
    _rest: RestDoor | None = attrs.field(default=None, repr=False, kw_only=True)
    reconnect_token: str = attrs.field(default="", init=False, repr=False)
    """From the latest ack: shows the server, once, that this session was there before."""
    acked: OneShot[bool] = attrs.field(factory=OneShot, init=False)
    ready: OneShot[bool] = attrs.field(factory=OneShot, init=False)
    ended: OneShot[bool] = attrs.field(factory=OneShot, init=False)
    end_reason: OneShot[str] = attrs.field(factory=OneShot, init=False)
    stop_reason: str | None = attrs.field(default=None, init=False, repr=False)
    """Why the server stops this session: it says so before it closes the connection."""
    questions: Questions = attrs.field(factory=Questions, init=False, repr=False)
    _order: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    """Held while something is sent: a list that is on its way is not overtaken."""
    life: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    nursery: trio.Nursery = attrs.field(init=False)
    _link: ClientLink[FromServer] | None = attrs.field(default=None, init=False)
    camera: Camera = attrs.field(init=False, repr=False)
    streams: LiveStreams = attrs.field(init=False, repr=False)
    audio: AudioOut = attrs.field(init=False, repr=False)
    leds: Leds = attrs.field(init=False, repr=False)
    location: Location = attrs.field(init=False, repr=False)
    dashboard: Dashboard = attrs.field(init=False, repr=False)
    storage: Storage = attrs.field(init=False, repr=False)
    messages: Messages = attrs.field(init=False, repr=False)
    _abilities: tuple[Ability, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.camera, self.streams = Camera(self), LiveStreams(self)
        self.audio, self.leds = AudioOut(self), Leds(self)
        self.location, self.dashboard = Location(self), Dashboard(self)
        self.storage, self.messages = Storage(self), Messages(self)
        listening = (self.camera, self.streams, self.audio, self.location)
        self._abilities = (*listening, self.dashboard, self.messages)

    def door(self) -> RestDoor:
        """The server's HTTP routes.

        Raises:
            RequestFailed: this session has no server.
        """
        if self._rest is None:
            raise not_connected()
        return self._rest

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

    async def show_columns(self, left: str, right: str, *, duration_ms: int | None = None) -> bool:
        """Show two texts, side by side; otherwise as ``show_text``."""
        layout = DashboardCard(left_text=left, right_text=right)
        return await self.show(layout, duration_ms=duration_ms)

    async def show_bitmap(self, data: str, *, duration_ms: int | None = None) -> bool:
        """Show a picture: a BMP file as base64 or hex; otherwise as ``show_text``."""
        return await self.show(BitmapView(data=data), duration_ms=duration_ms)

    async def show_animation(
        self, frames: Sequence[str], *, interval_ms: Number, repeat: bool = False
    ) -> bool:
        """Show pictures in turn, each for so long, once or on and on; otherwise as a picture."""
        layout = BitmapAnimation(frames=list(frames), interval=interval_ms, repeat=repeat)
        return await self.show(layout)

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

    async def request_wifi_setup(self, reason: str | None = None) -> bool:
        """Have the phone lead the user to connect the glasses to a network; as ``show_text``."""
        return await self.send(
            from_app.RequestWifiSetup(
                package_name=self.package, session_id=self.session_id, reason=reason
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
                        subscriptions=self.wire_subscriptions(),
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
            self.questions.end(reason)
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
                self._acknowledged(message)
            case to_app.SettingsUpdate():
                self._settings(_by_key(message.settings))
            case to_app.AugmentosSettingsUpdate():
                self._mentraos_settings(message.settings)
            case to_app.CapabilitiesUpdate():
                self.capabilities = message.capabilities
            case to_app.DeviceStateUpdate():
                self.device_state = {**self.device_state, **message.state}
            case to_app.AppStopped(reason=str() as reason):
                self.stop_reason = reason
            case to_app.PermissionError():
                self._warn_of(message.details)
        for ability in self._abilities:
            ability.take(message)
        self.put(message)

    def _acknowledged(self, ack: to_app.TpaConnectionAck) -> None:
        again = not self.acked.settle(True)
        self.stop_reason = None
        self._settings(_by_key(ack.settings), told=again)
        self._mentraos_settings(ack.mentraos_settings, told=again)
        self.capabilities = ack.capabilities
        self.reconnect_token = ack.reconnect_token or ""
        if again:
            reconnected = Reconnected(
                resurrected=bool(ack.resurrected), subscriptions=ack.subscriptions
            )
            self.notice(RECONNECTED, reconnected)
        self.ask()  # an ack is always answered with the list (protocol.md 2.4)

    def _settings(self, new: Mapping[str, Any], *, told: bool = True) -> None:
        old, self.settings = self.settings, new
        for key in _changed(old, new) if told else ():
            self.notice(of_setting(key), new.get(key))

    def _mentraos_settings(self, new: Mapping[str, Any], *, told: bool = True) -> None:
        old, self.mentraos_settings = self.mentraos_settings, new
        for key in _changed(old, new) if told else ():
            self.notice(of_mentraos_setting(key), new.get(key))

    def _warn_of(self, details: Sequence[PermissionErrorDetail]) -> None:
        """A stream without its permission stays silent: the author should learn of it."""
        for detail in details[:WARNINGS_AT_ONCE]:
            log.warning(
                "%s gets nothing of %r: its registration lacks the permission %s",
                self.package,
                detail.stream,
                detail.required_permission,
            )


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys under which there is another value now, or none any more."""
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def _by_key(settings: Sequence[Any]) -> dict[str, Any]:
    """Settings as the wire lists them, by key; a default stands in for a missing value."""
    return {
        entry["key"]: entry.get("value", entry.get("defaultValue"))
        for entry in settings
        if isinstance(entry, Mapping) and isinstance(entry.get("key"), str)
    }
