"""A cloud that does to each connection what a test has laid down, and notes what it sees."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

ACK: dict[str, Any] = {
    "type": "tpa_connection_ack",
    "settings": [],
    "mentraosSettings": {},
    "capabilities": None,
}
OPEN_S = 5.0


@attrs.frozen
class Seen:
    """Something that was seen ``at`` seconds after the scenario began.

    ``what`` is ``dialled``, ``said`` or ``closed``; ``of`` is the message, or code and text.
    """

    at: float
    connection: int
    what: str
    of: Any = None

    @property
    def untimed(self) -> tuple[int, str, Any]:
        """What must be the same whenever it happens."""
        return self.connection, self.what, self.of


@attrs.define(eq=False)
class CloudSide:
    """The cloud's end of one connection, as its treatment uses it."""

    websocket: WebSocketConnection
    stream: trio.SocketStream
    ended_it: bool = attrs.field(default=False, init=False)

    async def say(self, message: dict[str, Any]) -> None:
        """Send a message."""
        await self.websocket.send_message(json.dumps(message))

    async def close(self, code: int | None, text: str = "") -> None:
        """Close it; ``None``: without a code."""
        self.ended_it = True
        await self.websocket.aclose(code, text or None)  # type: ignore[arg-type]

    def reset(self) -> None:
        """Lose it."""
        self.ended_it = True
        reset(self.stream)


Treatment = Callable[[CloudSide], Awaitable[None]]
"""What is done to a connection that was upgraded; ``None`` in its place: it is reset at once."""


def reset(stream: trio.SocketStream) -> None:
    """Let a connection end in a TCP reset."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


@attrs.define(eq=False)
class Case:
    """What happens to the connections of one URL: the last treatment goes for all later ones."""

    treatments: Sequence[Treatment | None]
    began: float = attrs.field(factory=trio.current_time)
    seen: list[Seen] = attrs.field(factory=list)
    dialled: int = 0
    open: int = 0

    def note(self, connection: int, what: str, of: Any = None) -> None:
        """Add to what was seen."""
        self.seen.append(Seen(trio.current_time() - self.began, connection, what, of))


@attrs.define(eq=False)
class ScriptedCloud:
    """``cases`` by the name in the URL."""

    port: int = attrs.field(default=0, init=False)
    cases: dict[str, Case] = attrs.field(factory=dict, init=False)

    def url(self, name: str) -> str:
        """Where an app of that case is to connect to."""
        return f"ws://127.0.0.1:{self.port}/s/{name}/app-ws"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(trio.serve_listeners, self._treat, listeners))
            task_status.started()

    async def _treat(self, stream: trio.SocketStream) -> None:
        case = None
        try:
            async with trio.open_nursery() as nursery:
                with trio.fail_after(OPEN_S):
                    request = await wrap_server_stream(nursery, stream)
                case = self.cases[request.path.split("/")[2]]
                case.dialled += 1
                case.open += 1
                number = case.dialled
                case.note(number, "dialled")
                treatment = case.treatments[min(number, len(case.treatments)) - 1]
                if treatment is None:
                    reset(stream)
                else:
                    side = CloudSide(await request.accept(), stream)
                    nursery.start_soon(treatment_of, treatment, side)
                    await read(side, partial(case.note, number))
                nursery.cancel_scope.cancel()
        finally:
            if case is not None:
                case.open -= 1
            await trio.aclose_forcefully(stream)


async def treatment_of(treatment: Treatment, side: CloudSide) -> None:
    """Carry it out; the app may be gone before its end."""
    try:
        await treatment(side)
    except (ConnectionClosed, trio.ClosedResourceError):
        return


async def read(side: CloudSide, note: Callable[..., None]) -> None:
    """Note what is said until the end, and the end if it is the app's doing."""
    try:
        while True:
            message = json.loads(await side.websocket.get_message())
            assert message.pop("timestamp")
            note("said", message)
    except ConnectionClosed as closed:
        reason = closed.reason
        if not side.ended_it:
            note("closed", (int(reason.code), reason.reason or "") if reason else (1006, ""))


# ---- treatments --------------------------------------------------------------------------


async def greet(side: CloudSide) -> None:
    """Acknowledge, and leave it alone."""
    await side.say(ACK)


async def ignore(side: CloudSide) -> None:
    """Never acknowledge."""
    await trio.lowlevel.checkpoint()


def lose(after_s: float = 0.2, *, greeted: bool = True) -> Treatment:
    """Acknowledge, and lose the connection after a while."""

    async def treat(side: CloudSide) -> None:
        if greeted:
            await side.say(ACK)
        await trio.sleep(after_s)
        side.reset()

    return treat


def close(
    code: int | None, text: str = "", *, after_s: float = 0.2, greeted: bool = True
) -> Treatment:
    """Close the connection after a while, acknowledged or not."""

    async def treat(side: CloudSide) -> None:
        if greeted:
            await side.say(ACK)
        await trio.sleep(after_s)
        await side.close(code, text)

    return treat


def stop(after_s: float = 0.2) -> Treatment:
    """As a cloud that ends the app at the word of the user."""

    async def treat(side: CloudSide) -> None:
        await side.say(ACK)
        await trio.sleep(after_s)
        await side.say({"type": "app_stopped"})
        await side.close(1000, "App stopped")

    return treat


def greet_late(after_s: float, then: Treatment | None = None) -> Treatment:
    """Acknowledge only after a while."""

    async def treat(side: CloudSide) -> None:
        await trio.sleep(after_s)
        await (then or greet)(side)

    return treat


def greet_twice(after_s: float = 0.3) -> Treatment:
    """Acknowledge, and once more after a while."""

    async def treat(side: CloudSide) -> None:
        await side.say(ACK)
        await trio.sleep(after_s)
        await side.say(ACK)

    return treat
