"""One connection of a simulated app: what is said waits in order, and nobody waits for it."""

from __future__ import annotations

import json
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs
import trio

from ..clients.dialing import CLOSE_S, NO_STATUS, ClientLink, Dial, open_websocket
from ..clients.refusals import UpgradeRefused
from ..domain.close_reasons import LINK_LOST, CloseReason
from ..domain.errors import LinkClosed
from .sdk_rules import PATIENCE_S

Incoming: TypeAlias = Mapping[str, Any] | bytes
"""A JSON object, as it stood on the wire, or audio. What is neither is an empty object."""

PART_S: Final = 2 * CLOSE_S


@attrs.define(eq=False, kw_only=True)
class SdkSocket:
    """A connection to ``url``, from the attempt to its end.

    Attributes:
        number: which one of its session it is, from 1.
    """

    number: int
    url: str
    dial: Dial | None
    ssl_context: ssl.SSLContext | None
    _life: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _link: ClientLink[Incoming] | None = attrs.field(default=None, init=False)
    _waiting: deque[str] = attrs.field(factory=deque, init=False)
    _more: trio.Event = attrs.field(factory=trio.Event, init=False)
    over: trio.Event = attrs.field(factory=trio.Event, init=False)

    @property
    def is_open(self) -> bool:
        """Whether something can be said: the handshake is over, and the connection is not."""
        return self._link is not None and self._link.close_reason is None

    def say(self, frame: str) -> None:
        """Send a frame behind those that wait; lost if the connection is."""
        self._waiting.append(frame)
        self._more.set()

    def leave(self) -> None:
        """Close the connection without a code, once everything is sent that waits."""
        self._life.cancel("left")

    def vanish(self) -> None:
        """End the connection as the end of a process does: without a close."""
        self.cut()
        self._life.cancel("vanished")

    def cut(self) -> None:
        """Lose the connection, as in a network failure."""
        if self._link is not None:
            self._link.cut()

    async def run(
        self, *, opened: Callable[[], None], received: Callable[[Incoming], None]
    ) -> CloseReason:
        """Connect and stay connected; how it ended. Cancelling closes without a code."""
        reason = LINK_LOST
        try:
            with self._life:
                reason = await self._connect(opened, received)
        except (UpgradeRefused, OSError, trio.TooSlowError):
            pass
        finally:
            self._link = None
            self.over.set()
        return reason

    async def _connect(
        self, opened: Callable[[], None], received: Callable[[Incoming], None]
    ) -> CloseReason:
        async with open_websocket(
            self.url,
            decode=_decode,
            dial=self.dial,
            ssl_context=self.ssl_context,
            patience_s=PATIENCE_S,
        ) as link:
            self._link = link
            opened()
            try:
                await self._converse(link, received)
            finally:
                with trio.move_on_after(PART_S, shield=True):
                    await self._part(link)
            return link.close_reason or LINK_LOST

    async def _converse(
        self, link: ClientLink[Incoming], received: Callable[[Incoming], None]
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, link)
            try:
                while True:
                    received(await link.receive())
            except LinkClosed:
                nursery.cancel_scope.cancel("connection over")

    async def _write(self, link: ClientLink[Incoming]) -> None:
        """Send what waits. A frame is forgotten only when it is on its way."""
        try:
            while True:
                await self._more.wait()
                self._more = trio.Event()
                await self._empty(link)
        except LinkClosed:
            return

    async def _empty(self, link: ClientLink[Incoming]) -> None:
        while self._waiting:
            await link.send(self._waiting[0])
            self._waiting.popleft()

    async def _part(self, link: ClientLink[Incoming]) -> None:
        try:
            await self._empty(link)
        except LinkClosed:
            return
        await link.close(NO_STATUS)


def _decode(frame: str | bytes) -> Incoming:
    if isinstance(frame, bytes):
        return frame
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
