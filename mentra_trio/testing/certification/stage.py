"""The cloud of one lifecycle: its door, the connections that came, what it says and hears."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any, Final

import attrs
import trio

from ...concurrency.race import race
from ...domain.close_reasons import APP_STOPPED, LINK_LOST, CloseReason
from ...domain.errors import DecodeError, LinkClosed, WebhookFailed
from ...domain.facts import Crashed, Fact
from ...domain.hosts import authority
from ...domain.ids import AppSessionId, UserId
from ...domain.timings import Limits
from ...transport.port import Port
from ...transport.tcp import bound_address
from ...transport.upgrade import Upgrade
from ...wire.codec import decode_from_app, encode
from ...wire.from_app import FromApp, OwnershipRelease, SubscriptionUpdate, TpaConnectionInit
from ...wire.message import Unrecognized
from ...wire.to_app import AppStopped, DeviceStateUpdate, TpaConnectionAck
from .app_socket import AppSocket, Heard, Wire
from .calling import AppCalls
from .cast import Call, Greeting, Ground, Person, Portrait
from .events import event
from .rest import answer_rest
from .script import Transcript

LEAVE_S: Final = 3.0
"""How long the stop webhook at the end may take."""
CLOSE_S: Final = 1.0
NOBODY: Final = "com.example.unknown"
"""Part of the first session id, when the app's name is not known yet."""


@attrs.define(eq=False, kw_only=True)
class Stage:
    """Everything that a script works with. Made by ``open_stage`` only.

    Attributes:
        ground, portrait: where we are, and whom we deal with.
        random: of the lifecycle's own seed.
        transcript, notes: what happened; what was odd without hurting anybody.
        people: the users, in order.
        sockets, calls: every connection, and every session webhook, in order.
    """

    ground: Ground
    portrait: Portrait
    random: Random
    transcript: Transcript = attrs.field(factory=Transcript)
    notes: list[str] = attrs.field(factory=list)
    people: list[Person] = attrs.field(factory=list)
    sockets: list[AppSocket] = attrs.field(factory=list)
    calls: list[Call] = attrs.field(factory=list)
    crashes: list[BaseException] = attrs.field(factory=list)
    nursery: trio.Nursery
    _app: AppCalls = attrs.field(init=False)
    _address: tuple[str, int] = attrs.field(init=False)
    _door: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _shut: trio.Event = attrs.field(factory=trio.Event, init=False)
    _wires: list[Wire] = attrs.field(factory=list, init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._address = (self.ground.host, self.ground.port)
        self._app = AppCalls(self.ground, self.portrait)

    # --- what happened ---

    async def until(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Whether ``condition`` comes to hold within so many seconds."""
        with trio.move_on_after(within_s):
            while not condition():
                await self._changed.wait()
            return True
        return condition()

    def tell(self, who: str, what: str) -> None:
        """Write something down, and have those look again who wait."""
        self.transcript.add(who, what)
        self._changed.set()
        self._changed = trio.Event()

    def of(self, person: Person) -> list[AppSocket]:
        """The user's connections, oldest first."""
        return [socket for socket in self.sockets if socket.person == person.number]

    def live(self, person: Person) -> list[AppSocket]:
        """Those over which something may pass."""
        return [socket for socket in self.of(person) if socket.live]

    def new_words(self) -> str:
        """Words that nobody has said yet."""
        return f"certify {self.random.randrange(1 << 32):08x}"

    def emit(self, fact: Fact) -> None:
        """What the port reports: an error of ours must not look like one of the app's."""
        if isinstance(fact, Crashed):
            self.crashes.append(fact.error)

    # --- the door ---

    async def open_door(self) -> None:
        """Accept connections, at the same address every time."""
        listeners = await self.ground.listen(*self._address)
        self._address = (self.ground.host, bound_address(listeners)[1])
        self._door, self._shut = trio.CancelScope(), trio.Event()
        await self.nursery.start(self._accept, listeners, name="door")

    async def shut_door(self) -> None:
        """Refuse connections from now on; those that are open stay."""
        self._door.cancel("door shut")
        await self._shut.wait()

    async def _accept(
        self,
        listeners: Sequence[trio.abc.Listener[Any]],
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        shut = self._shut
        accept = partial(trio.serve_listeners, self._serve, handler_nursery=self.nursery)
        try:
            with self._door:
                async with trio.open_nursery() as accepting:
                    await accepting.start(accept, list(listeners))
                    task_status.started()
        finally:
            shut.set()

    async def _serve(self, stream: trio.abc.Stream) -> None:
        wire = Wire(stream)
        self._wires.append(wire)
        port = Port(answer_rest, partial(self._admit, wire), Limits(close_s=CLOSE_S), self)
        await port.serve(wire)

    async def _admit(self, wire: Wire, upgrade: Upgrade) -> None:
        call = next((one for one in self.calls if f"/{one.token}/" in upgrade.path), None)
        if call is None:
            self.tell("app", f"asks for a WebSocket at {upgrade.path!r}, which nobody named: 404")
            await upgrade.reject(404, b'{"message":"not a URL of a webhook"}')
            return
        async with upgrade.accept() as link:
            socket = AppSocket(
                number=len(self.sockets) + 1, person=call.person, wire=wire, link=link
            )
            self.sockets.append(socket)
            self.tell(
                "app", f"connects by the URL of webhook {call.number}: socket {socket.number}"
            )
            reason = await race(partial(self._hear, socket), socket.farewell.wait)
            await link.close(reason)

    async def _hear(self, socket: AppSocket) -> CloseReason:
        """Take in what the app says, to the end of the connection."""
        try:
            while True:
                self._take(socket, await socket.link.receive())
        except LinkClosed as closed:
            if not socket.farewell.settled:
                socket.end = closed.reason
                self.tell("app", f"ends socket {socket.number}: {closed.reason}")
            return closed.reason

    def _take(self, socket: AppSocket, frame: str | bytes) -> None:
        where = f"on socket {socket.number}"
        try:
            message = decode_from_app(frame) if isinstance(frame, str) else None
        except DecodeError as error:
            self.tell("app", f"says something unreadable {where}: {error.problem}")
            return
        match message:
            case TpaConnectionInit():
                socket.init = message
                name = f"{message.package_name}, session {message.session_id}"
                self.tell("app", f"introduces itself {where}: {name}")
                self.nursery.start_soon(self._greet, socket, self.people[socket.person].greeting)
            case SubscriptionUpdate():
                socket.told(message)
                listed = ", ".join(sorted(socket.subscriptions or ())) or "nothing"
                self.tell("app", f"subscribes {where}: {listed}")
            case OwnershipRelease():
                self.tell("app", f"releases the session {where}: {message.reason}")
            case None:
                self.tell("app", f"sends {len(frame)} bytes {where}")
            case _:
                kind = _kind(message)
                socket.heard.append(Heard(trio.current_time(), kind, str(frame)))
                self.tell("app", f"says {kind} {where}")

    # --- what the cloud says ---

    async def _greet(self, socket: AppSocket, greeting: Greeting) -> None:
        """Do with an init what the script wants."""
        await trio.sleep(greeting.after_s)
        if socket.end is not None or socket.farewell.settled:
            return
        if greeting.cut:
            self.cut(socket)
        elif greeting.farewell is not None:
            self.close(socket, greeting.farewell)
        elif greeting.ack:
            self._accept_init(socket, greeting.words)

    def _accept_init(self, socket: AppSocket, words: str) -> None:
        person = self.people[socket.person]
        now = self.timestamp
        common: dict[str, Any] = {"session_id": person.session_id, "timestamp": now}
        state = {"connected": True, "modelName": "Simulated Glasses"}
        ack = TpaConnectionAck(
            settings=[],
            mentraos_settings={"metricSystemEnabled": True},
            augmentos_settings={"metricSystemEnabled": True},
            capabilities=None,
            **common,
        )
        self.push(socket, encode(DeviceStateUpdate(state=state, full_snapshot=True, **common)))
        self.push(socket, encode(ack))
        socket.acked = True
        self.tell("cloud", f"accepts socket {socket.number}")
        if words:
            self.say(person, socket, words)

    def say(self, person: Person, socket: AppSocket, words: str) -> None:
        """Send the event that the app is known to react to, if there is one."""
        if self.portrait.reaction is not None:
            person.words = words
            self.send_event(person, socket, self.portrait.reaction.stream, words)

    def send_event(self, person: Person, socket: AppSocket, stream: str, words: str) -> None:
        """Send an event of a stream of which we can make one."""
        frame = event(person.session_id, stream, words, self.timestamp)
        assert frame is not None, stream
        self.push(socket, frame)
        self.tell("cloud", f"sends {stream} on socket {socket.number}: {words!r}")

    def push(self, socket: AppSocket, frame: str | bytes) -> None:
        """Send a frame; on a connection that is over it is lost."""
        socket.link.push(frame)

    def cut(self, socket: AppSocket) -> None:
        """Let a connection die at once, without a close."""
        if socket.farewell.settle(LINK_LOST):
            socket.end = socket.end or LINK_LOST
            socket.wire.cut()
            self.tell("cloud", f"cuts socket {socket.number}")

    def stall(self, socket: AppSocket) -> None:
        """Let a connection go dead without the app being told."""
        socket.wire.stall()
        self.tell("cloud", f"is cut off from socket {socket.number}, and the app is not told")

    def close(self, socket: AppSocket, reason: CloseReason) -> None:
        """End a connection in order."""
        if socket.end is None and socket.farewell.settle(reason):
            socket.end = reason
            self.tell("cloud", f"closes socket {socket.number}: {reason}")

    def stopped(self, socket: AppSocket, reason: CloseReason) -> None:
        """Tell the app that its session is over, and close."""
        self.push(socket, encode(AppStopped(timestamp=self.timestamp)))
        self.close(socket, reason)

    # --- what the cloud calls ---

    @property
    def timestamp(self) -> str:
        """Now, as the wire writes it."""
        return self.ground.environment.timestamp()

    def call(self, person: Person) -> Call:
        """Ask the app by webhook to open a session; goes on in the background."""
        number = len(self.calls) + 1
        token = f"{person.number}-{number}-{self.random.randrange(1 << 32):08x}"
        call = Call(number=number, person=person.number, token=token)
        self.calls.append(call)
        self.tell("cloud", f"calls the webhook, call {number}: session_request")
        self.nursery.start_soon(self._call, person, call)
        return call

    async def _call(self, person: Person, call: Call) -> None:
        """Deliver a session webhook, and note its answer."""
        failed = await self._app.start(person, self.websocket_url(call))
        call.outcome.settle(failed)
        self.tell("app", f"answers webhook {call.number}: {failed or 'success'}")

    def websocket_url(self, call: Call) -> str:
        """Where the app is to connect; of one call only, and with the path that the SDK wants."""
        return f"ws://{authority(*self._address)}/{call.token}/app-ws"

    async def stop(self, person: Person, reason: str = "user_disabled") -> WebhookFailed | None:
        """Tell the app by webhook that the session is over; what that failed with."""
        self.tell("cloud", f"calls the webhook: stop_request, {reason}")
        failed = await self._app.stop(person, reason)
        self.tell("app", f"answers the stop: {failed or 'success'}")
        return failed

    async def leave(self) -> None:
        """End every session as a user would."""
        called = sorted({call.person for call in self.calls})
        async with trio.open_nursery() as nursery:
            for person in (self.people[number] for number in called):
                person.greeting = Greeting(farewell=APP_STOPPED)
                for socket in self.live(person):
                    self.stopped(socket, APP_STOPPED)
                nursery.start_soon(self.stop, person)

    def cut_all(self) -> None:
        """End every connection, whatever has become of it."""
        for wire in self._wires:
            wire.cut()


def _kind(message: FromApp | Unrecognized) -> str:
    """The type of a message, as on the wire."""
    if isinstance(message, Unrecognized):
        return message.type
    return str(message.__struct_config__.tag)


@asynccontextmanager
async def open_stage(
    ground: Ground, portrait: Portrait, *, name: str, seed: int, people: int = 2
) -> AsyncGenerator[Stage]:
    """The cloud of the lifecycle ``name`` for as long as the block runs.

    Raises:
        Whatever went wrong on our side while it ran.
    """
    random = Random(f"{seed} {name}")
    async with trio.open_nursery() as nursery:
        stage = Stage(ground=ground, portrait=portrait, random=random, nursery=nursery)
        for number in range(people):
            user = f"{name}-{'ab'[number]}-{seed}@certify.example"
            session_id = f"{user}-{portrait.package or NOBODY}"
            stage.people.append(
                Person(number=number, user=UserId(user), session_id=AppSessionId(session_id))
            )
        await stage.open_door()
        try:
            yield stage
        finally:
            with trio.move_on_after(LEAVE_S, shield=True):
                await stage.leave()
            stage.cut_all()
            nursery.cancel_scope.cancel("stage is left")
    for crash in stage.crashes:
        raise crash
