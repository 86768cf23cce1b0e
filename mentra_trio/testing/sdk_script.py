"""What the author of a simulated app has written: scripts for ``onSession`` and ``onStop``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs
import trio

from ..wire.from_app import AppMessage, DisplayEvent
from ..wire.parts import TextWall

if TYPE_CHECKING:
    from .sdk_session import SdkSession


class AuthorError(Exception):
    """The author's code failed: a step of a script says so, or the session was not connected."""


class Step(Protocol):
    """One line of the author's code."""

    async def carry_out(self, session: SdkSession) -> None:
        """Do it.

        Raises:
            AuthorError: it fails; in ``onSession`` the webhook is then answered with 500.
        """
        ...


@attrs.frozen
class Subscribe:
    """Register a handler for ``stream``."""

    stream: str

    async def carry_out(self, session: SdkSession) -> None:
        """Never fails, connected or not."""
        session.add_handler(self.stream)
        await trio.lowlevel.checkpoint()


@attrs.frozen
class Unsubscribe:
    """Remove one handler of ``stream``, if there is one."""

    stream: str

    async def carry_out(self, session: SdkSession) -> None:
        """Never fails, connected or not."""
        session.remove_handler(self.stream)
        await trio.lowlevel.checkpoint()


@attrs.frozen
class SwitchLanguage:
    """Hear ``language`` instead of the one before (``onTranscriptionForLanguage``)."""

    language: str

    async def carry_out(self, session: SdkSession) -> None:
        """Never fails, connected or not."""
        session.switch_language(self.language)
        await trio.lowlevel.checkpoint()


@attrs.frozen
class Draw:
    """Show ``text`` on the glasses."""

    text: str

    async def carry_out(self, session: SdkSession) -> None:
        """Never fails: without a connection nothing is shown, and nobody is told."""
        event = DisplayEvent(session_id="", view="main", layout=TextWall(text=self.text))
        session.say(event)
        await trio.lowlevel.checkpoint()


@attrs.frozen
class Say:
    """Send any message of ``wire.from_app``; the package and the session are filled in."""

    message: AppMessage

    async def carry_out(self, session: SdkSession) -> None:
        """Fails without a connection, as ``sendMessage`` does."""
        await trio.lowlevel.checkpoint()
        if not session.say(self.message):
            raise AuthorError("WebSocket connection not established")


@attrs.frozen
class Pause:
    """Wait for ``seconds``."""

    seconds: float

    async def carry_out(self, session: SdkSession) -> None:
        """Never fails."""
        await trio.sleep(self.seconds)


@attrs.frozen
class Throw:
    """Fail with ``text``."""

    text: str = "the author's code failed"

    async def carry_out(self, session: SdkSession) -> None:
        """Always fails."""
        await trio.lowlevel.checkpoint()
        raise AuthorError(self.text)


@attrs.frozen
class Disconnect:
    """End the connection; with a ``reason``, the ownership is released first (2.10)."""

    reason: str | None = None

    async def carry_out(self, session: SdkSession) -> None:
        """Never fails, connected or not."""
        if self.reason is not None:
            await session.release(self.reason)
        session.disconnect()
        await trio.lowlevel.checkpoint()


@attrs.frozen(kw_only=True)
class Script:
    """What the author has written.

    Attributes:
        steps: ``onSession``. The webhook is answered when the last one is done.
        later: carried out after that, whatever has become of the session.
        overrides_stop: ``onStop`` is overridden and does not call ``super``, so that it leaves
            the session as it is.
        stop_takes_s: how long the author's part of ``onStop`` takes.
        stop_fails: whether it fails then.
        tool_reply: what ``onToolCall`` returns; ``None``: nothing.
    """

    steps: tuple[Step, ...] = ()
    later: tuple[Step, ...] = ()
    overrides_stop: bool = False
    stop_takes_s: float = 0.0
    stop_fails: bool = False
    tool_reply: str | None = None
