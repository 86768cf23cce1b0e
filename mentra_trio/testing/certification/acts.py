"""What the cloud does in a script. Each act is a value; ``str`` of it is for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import trio

from ...domain.close_reasons import APP_STOPPED, CloseReason
from ...domain.wording import counted
from .cast import Greeting, Person
from .stage import Stage

STOP_S: Final = 5.0
"""How long the answer to a stop webhook is awaited before the cloud goes on."""


def expect_anew(stage: Stage, person: Person) -> None:
    """From now on only connections that are yet to come count as new."""
    person.since = len(stage.sockets)


@attrs.frozen(kw_only=True)
class CallWebhook:
    """Ask the app for a session; ``times`` at the same moment."""

    who: int = 0
    times: int = 1

    def __str__(self) -> str:
        """For people."""
        return "the cloud calls the webhook" + (f" {self.times} times" if self.times > 1 else "")

    async def play(self, stage: Stage) -> None:
        """Send the calls; their answers may come later."""
        await trio.lowlevel.checkpoint()
        person = stage.people[self.who]
        expect_anew(stage, person)
        for _ in range(self.times):
            stage.call(person)


@attrs.frozen(kw_only=True)
class StopSession:
    """End the session as a user does: stop webhook, ``app_stopped`` and close at once."""

    who: int = 0
    reason: str = "user_disabled"

    def __str__(self) -> str:
        """For people."""
        return "the user stops the app"

    async def play(self, stage: Stage) -> None:
        """Say it in both ways; that the app answers late is worth a note."""
        person = stage.people[self.who]
        for socket in stage.live(person):
            stage.stopped(socket, APP_STOPPED)
        with trio.move_on_after(STOP_S) as patience:
            failed = await stage.stop(person, self.reason)
            if failed is not None:
                stage.notes.append(f"the stop webhook was not answered with success: {failed}")
        if patience.cancelled_caught:
            stage.notes.append(f"the stop webhook was not answered within {STOP_S:g} s")
        expect_anew(stage, person)


@attrs.frozen(kw_only=True)
class CallStop:
    """Call only the stop webhook, whatever connections there are."""

    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return "the cloud calls the stop webhook"

    async def play(self, stage: Stage) -> None:
        """Call, and wait for the answer for a while."""
        with trio.move_on_after(STOP_S):
            await stage.stop(stage.people[self.who])


@attrs.frozen(kw_only=True)
class Cut:
    """The network resets every connection of the user's app."""

    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return "the connection is cut"

    async def play(self, stage: Stage) -> None:
        """Reset them."""
        await trio.lowlevel.checkpoint()
        person = stage.people[self.who]
        expect_anew(stage, person)
        for socket in stage.of(person):
            if socket.end is None:
                stage.cut(socket)


@attrs.frozen(kw_only=True)
class Stall:
    """The network goes dead without telling anybody."""

    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return "the connection goes dead, and nobody tells the app"

    async def play(self, stage: Stage) -> None:
        """Read and answer no more."""
        await trio.lowlevel.checkpoint()
        person = stage.people[self.who]
        expect_anew(stage, person)
        for socket in stage.live(person):
            stage.stall(socket)


@attrs.frozen
class Close:
    """The cloud closes: every connection of the app, or all ``but_newest``."""

    reason: CloseReason
    stopped: bool = attrs.field(default=False, kw_only=True)
    """Whether ``app_stopped`` goes before it."""
    but_newest: bool = attrs.field(default=False, kw_only=True)
    who: int = attrs.field(default=0, kw_only=True)

    def __str__(self) -> str:
        """For people."""
        which = "every connection but the newest" if self.but_newest else "the connection"
        return f"the cloud closes {which}: {self.reason}"

    async def play(self, stage: Stage) -> None:
        """Close them."""
        await trio.lowlevel.checkpoint()
        person = stage.people[self.who]
        expect_anew(stage, person)
        sockets = [socket for socket in stage.of(person) if socket.end is None]
        for socket in sockets[: len(sockets) - self.but_newest]:
            if self.stopped:
                stage.stopped(socket, self.reason)
            else:
                stage.close(socket, self.reason)


@attrs.frozen
class ShutDoor:
    """The cloud is down: connections are refused."""

    def __str__(self) -> str:
        """For people."""
        return "the cloud is down: connections are refused"

    async def play(self, stage: Stage) -> None:
        """Listen no more."""
        await stage.shut_door()
        stage.tell("cloud", "is down")


@attrs.frozen
class OpenDoor:
    """The cloud is there again, at the same address."""

    def __str__(self) -> str:
        """For people."""
        return "the cloud is up again"

    async def play(self, stage: Stage) -> None:
        """Listen again."""
        await stage.open_door()
        stage.tell("cloud", "is up again")


@attrs.frozen
class Greet:
    """From now on, do this with an init."""

    greeting: Greeting
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        greeting = self.greeting
        if greeting.farewell is not None:
            return f"from now on the cloud refuses an init: {greeting.farewell}"
        if greeting.cut:
            return "from now on the connection is cut as soon as the app has introduced itself"
        if not greeting.ack:
            return "from now on the cloud does not answer an init"
        return "from now on the cloud accepts an init" + (
            f" after {greeting.after_s:g} s" if greeting.after_s else ""
        )

    async def play(self, stage: Stage) -> None:
        """Arrange it."""
        await trio.lowlevel.checkpoint()
        stage.people[self.who].greeting = self.greeting


@attrs.frozen
class SayWithNextAck:
    """An event comes together with the next ack: it was kept while the app was away."""

    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return "something is said while the app is away, and sent as soon as it is back"

    async def play(self, stage: Stage) -> None:
        """Arrange it."""
        await trio.lowlevel.checkpoint()
        stage.people[self.who].greeting = Greeting(words=stage.new_words())


@attrs.frozen
class Pause:
    """Some time passes, up to ``jitter_s`` more of it as the seed has it."""

    seconds: float
    jitter_s: float = 0.0

    def __str__(self) -> str:
        """For people."""
        return f"{self.seconds:g} s pass"

    async def play(self, stage: Stage) -> None:
        """Wait."""
        await trio.sleep(self.seconds + self.jitter_s * stage.random.random())


@attrs.frozen
class Send:
    """The cloud sends frames as they are, in the order that the seed has."""

    what: str
    frames: Sequence[str | bytes]
    who: int = 0

    def __str__(self) -> str:
        """For people."""
        return f"the cloud sends {self.what} ({counted(len(self.frames), 'frame')})"

    async def play(self, stage: Stage) -> None:
        """Send them on every live connection."""
        await trio.lowlevel.checkpoint()
        frames = list(self.frames)
        stage.random.shuffle(frames)
        for socket in stage.live(stage.people[self.who]):
            stage.tell("cloud", f"sends {self.what} on socket {socket.number}")
            for frame in frames:
                stage.push(socket, frame)
