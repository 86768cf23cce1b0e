"""What keeps an app session connected: init, ack, subscriptions, and coming back."""

from __future__ import annotations

import ssl
from typing import Final

import attrs
import trio

from ..domain.close_reasons import LINK_LOST, STALE_TOKEN, CloseReason
from ..domain.errors import DecodeError, LinkClosed
from ..wire import from_app, to_app
from ..wire.codec import decode_to_app, encode
from ..wire.message import Unrecognized
from .app_session import AppSession, FromServer
from .dialing import ClientLink, Dial, open_websocket
from .reconnecting import Comeback, Ending
from .refusals import UpgradeRefused

ACK_S: Final = 5.0
"""How long an attempt waits for the ack of its init (protocol.md 2.1)."""


@attrs.define(eq=False, kw_only=True)
class AppConnection:
    """Connects ``session`` to ``url``, again and again as long as the SDK would.

    Attributes:
        api_key: presented in every init.
        comeback: when to try again.
        dial: how to connect; ``None`` is TCP.
        ssl_context: for ``wss``; ``None`` is the system's trust.
    """

    session: AppSession
    url: str
    api_key: str = attrs.field(repr=False)
    comeback: Comeback = attrs.field(factory=Comeback)
    dial: Dial | None = None
    ssl_context: ssl.SSLContext | None = None

    async def run(self) -> CloseReason:
        """Stay connected; returns why the session is over for good."""
        while True:
            ending = await self._attempt()
            if ending.reason == STALE_TOKEN and self.session.reconnect_token:
                self.session.reconnect_token = ""  # an ack got lost: say only who we are
                continue
            delay = self.comeback.delay(ending)
            if delay is None:
                return ending.reason
            await trio.sleep(delay)

    async def _attempt(self) -> Ending:
        """One connection, to its end."""
        try:
            async with open_websocket(
                self.url, decode=_decode, dial=self.dial, ssl_context=self.ssl_context
            ) as link:
                acked = await self._introduce(link)
                if acked:
                    await self._serve(link)
                reason = link.close_reason or LINK_LOST
        except UpgradeRefused as refused:
            return Ending(acked=False, reason=LINK_LOST, asked_s=refused.retry_after_s)
        except (OSError, trio.TooSlowError):
            return Ending(acked=False, reason=LINK_LOST)
        return Ending(acked=acked, reason=reason)

    async def _introduce(self, link: ClientLink[FromServer]) -> bool:
        """Say who we are; whether that was acknowledged in time."""
        init = from_app.TpaConnectionInit(
            package_name=self.session.package,
            session_id=self.session.session_id,
            api_key=self.api_key,
            reconnect=self.session.acked.settled or None,
            reconnect_token=self.session.reconnect_token or None,
        )
        with trio.move_on_after(ACK_S):
            try:
                await link.send(encode(init))
                while not isinstance(message := await link.receive(), to_app.TpaConnectionAck):
                    self.session.accept(message)  # a snapshot may come before the ack
            except LinkClosed:
                return False
            self.session.attach(link)
            self.session.accept(message)
            return True
        return False

    async def _serve(self, link: ClientLink[FromServer]) -> None:
        """Use an acknowledged connection until it is over."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._ask_for_streams, link)
                await self._read(link)
                nursery.cancel_scope.cancel("connection over")
        finally:
            self.session.attach(None)

    async def _read(self, link: ClientLink[FromServer]) -> None:
        try:
            while True:
                self.session.accept(await link.receive())
        except LinkClosed:
            return

    async def _ask_for_streams(self, link: ClientLink[FromServer]) -> None:
        """Send the whole list after the ack and after every change; a burst is one message."""
        try:
            while True:
                await self.session.changed.wait()
                await self.session.tell_streams(link)
        except LinkClosed:
            return


def _decode(frame: str | bytes) -> FromServer:
    if isinstance(frame, bytes):
        return frame
    try:
        return decode_to_app(frame)
    except DecodeError:
        return Unrecognized(type="unreadable")
