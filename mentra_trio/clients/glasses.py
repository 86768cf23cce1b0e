"""A phone with glasses, as the server sees them: sends events and audio, receives displays."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode, urlsplit

import attrs
import msgspec
import trio

from ..domain.close_reasons import CloseReason
from ..domain.errors import DecodeError, LinkClosed
from ..wire import to_glasses
from ..wire.codec import decode_to_glasses
from ..wire.message import Message, Unrecognized
from ..wire.parts import (
    BitmapAnimation,
    BitmapView,
    DashboardCard,
    DoubleTextWall,
    Layout,
    ReferenceCard,
    TextWall,
)
from .answering import Answering
from .dialing import ClientLink, Dial, open_websocket
from .http_calls import RestDoor, field_of, http_base
from .inbox import INBOX_MAX
from .phone import Phone

M = TypeVar("M", bound=Message)

ACK_S = 10.0
"""How long the ``connection_ack`` is awaited."""


@attrs.frozen
class Unreadable:
    """A frame that is no message; ``problem`` names the path."""

    problem: str


Received: TypeAlias = to_glasses.ToGlasses | Unrecognized | Unreadable | bytes
"""What the server has sent: a message, or a binary frame."""


@asynccontextmanager
async def open_glasses(
    url: str,
    token: str,
    *,
    dial: Dial | None = None,
    ssl_context: ssl.SSLContext | None = None,
    token_in_query: bool = False,
    inbox_max: int = INBOX_MAX,
) -> AsyncGenerator[Glasses]:
    """Glasses that are attached to the server for as long as the block runs.

    Args:
        url: of the server, such as ``ws://127.0.0.1:8002``; with a path, that one is used
            instead of ``/glasses-ws``.
        token: a core token; sent as a header, or in the query if ``token_in_query``.
        dial: how to connect; ``None`` is TCP.
        ssl_context: for ``wss``; ``None`` is the system's trust.
        inbox_max: messages kept while nobody takes them.

    Raises:
        OSError: nothing answers there.
        UpgradeRefused: the token was not accepted (401), or this is no glasses endpoint (404).
        LinkClosed: the server closed the connection instead of acknowledging it.
        trio.TooSlowError: no connection in time, or no ``connection_ack`` within ``ACK_S``.
    """
    address = url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/glasses-ws"
    headers = [("Authorization", f"Bearer {token}")]
    if token_in_query:
        headers, address = [], f"{address}?{urlencode({'token': token})}"
    failure: Exception | None = None
    async with open_websocket(
        address,
        decode=_decode,
        headers=headers,
        dial=dial,
        ssl_context=ssl_context,
        inbox_max=inbox_max,
    ) as link:
        door = RestDoor(base=http_base(url), bearer=token, dial=dial, ssl_context=ssl_context)
        glasses = Glasses(link, door)
        try:
            with trio.fail_after(ACK_S):
                glasses.ack = await glasses.next(to_glasses.ConnectionAck)
        except (LinkClosed, trio.TooSlowError) as error:
            failure = error  # raised outside the nursery, so that it does not come in a group
        else:
            yield glasses
    if failure is not None:
        raise failure


@attrs.define(eq=False)
class Glasses(Phone):
    """Attached glasses. What the server sends is kept until it is taken, up to a bound.

    ``async for message in glasses`` takes everything in order until the connection ends. Every
    sending method raises ``LinkClosed`` when the connection is over.

    Attributes:
        door: the server's HTTP routes, as the phone uses them.
        ack: the ``connection_ack``.
        answer: what to say when something was asked for, such as a photo.
    """

    _link: ClientLink[Received]
    door: RestDoor = attrs.field(repr=False)
    ack: to_glasses.ConnectionAck = attrs.field(init=False)
    answer: Answering = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.answer = Answering(self)

    # --- what the phone says ---

    async def send_text(self, text: str) -> None:
        """Send a text frame as it is, message or not."""
        await self._link.send(text)

    async def send_audio(self, pcm: bytes) -> None:
        """Send microphone audio: 16 kHz, 16-bit little-endian mono (protocol.md 0.3)."""
        await self._link.send(pcm)

    async def device_state(self, **state: Any) -> Any:
        """Tell what has changed about the glasses, over HTTP: ``modelName="Mentra Live"`` ...

        Returns:
            What the server knows of them now.

        Raises:
            RequestFailed: the server could not be asked, or refused. So do the next two.
        """
        answer = await self.door.call("POST", "/api/client/device/state", state)
        return field_of(answer, "appliedState")

    async def settings(self) -> dict[str, Any]:
        """The user's MentraOS settings, by the names that phones use."""
        answer = await self.door.call("GET", "/api/client/user/settings")
        return dict(field_of(answer, "data"))

    async def change_settings(self, **settings: Any) -> dict[str, Any]:
        """Change some of them; all of them, afterwards."""
        answer = await self.door.call("POST", "/api/client/user/settings", settings)
        return dict(field_of(answer, "data"))

    # --- what the server sends ---

    async def next(self, kind: type[M]) -> M:
        """The oldest message of that class (of ``wire.to_glasses``) not taken yet.

        Raises:
            LinkClosed: the connection is over, and there is none.
        """
        message = await self._link.inbox.take(lambda one: isinstance(one, kind))
        assert isinstance(message, kind)
        return message

    async def expect(self, message_type: str) -> Received:
        """The oldest message whose ``type`` that is; raises as ``next``."""
        return await self._link.inbox.take(lambda one: type_of(one) == message_type)

    async def next_display(self) -> to_glasses.DisplayEvent:
        """The oldest display not taken yet; raises as ``next``."""
        return await self.next(to_glasses.DisplayEvent)

    async def until_shown(self, text: str, *, package: str | None = None) -> None:
        """Take displays until one (of ``package``, if given) has ``text`` in it."""
        while True:
            display = await self.next_display()
            if package in {None, display.package_name} and text in text_of(display.layout):
                return

    def __aiter__(self) -> Glasses:
        return self

    async def __anext__(self) -> Received:
        try:
            return await self._link.receive()
        except LinkClosed:
            raise StopAsyncIteration from None

    def received(self) -> list[Received]:
        """What has come and was not taken, oldest first; takes nothing."""
        return list(self._link.inbox)

    @property
    def dropped(self) -> int:
        """How many messages were forgotten because nobody took them."""
        return self._link.inbox.dropped

    # --- the connection ---

    @property
    def close_reason(self) -> CloseReason | None:
        """Why the connection is over; ``None`` while it is not."""
        return self._link.close_reason

    @property
    def last_heard(self) -> float:
        """When the server last gave a sign of life, its pings included; Trio time."""
        return self._link.last_heard

    async def until_closed(self) -> CloseReason:
        """Why the connection is over, as soon as it is."""
        return await self._link.until_closed()

    async def close(self, code: int = 1000, text: str = "") -> None:
        """Close in order. Leaving the block does the same."""
        await self._link.close(code, text)

    def cut(self) -> None:
        """Lose the connection, as if the phone had left the network and come back."""
        self._link.cut()


def type_of(message: Received) -> str | None:
    """The ``type`` of a message on the wire; ``None`` for what has none."""
    match message:
        case bytes() | Unreadable():
            return None
        case Unrecognized():
            return message.type
        case msgspec.Struct():
            return str(message.__struct_config__.tag)


def text_of(layout: Layout) -> str:
    """The words a layout shows, line by line; empty for pictures and the empty view."""
    match layout:
        case TextWall():
            return layout.text
        case DoubleTextWall():
            return f"{layout.top_text}\n{layout.bottom_text}"
        case ReferenceCard():
            return f"{layout.title}\n{layout.text}"
        case DashboardCard():
            return f"{layout.left_text}\n{layout.right_text}"
        case BitmapView() | BitmapAnimation():
            return ""
    return ""


def _decode(frame: str | bytes) -> Received:
    if isinstance(frame, bytes):
        return frame
    try:
        return decode_to_glasses(frame)
    except DecodeError as error:
        return Unreadable(error.problem)
