"""A tour of everything that can be said: legs that say something and await its effect."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import attrs
import trio
from wiretap import Kind

from mentra_trio.clients.app import App, AppServer
from mentra_trio.clients.app_session import AppSession
from mentra_trio.clients.glasses import Glasses
from mentra_trio.clients.inbox import Inbox
from mentra_trio.clients.questions import RequestFailed
from mentra_trio.domain.facts import AppStateChanged, FrameIgnored, SubscriptionsChanged
from mentra_trio.testing.live_streams import ScriptedStreams
from mentra_trio.testing.scripted_transcriber import ScriptedTranscriber
from mentra_trio.testing.scripted_voice import ScriptedVoice
from mentra_trio.testing.world import AppProcess, World, open_world

TOURIST: Final = "com.t.tourist"
GUEST: Final = "com.t.guest"
"""An app that comes and goes, and has no permission for anything."""
BOARD: Final = "system.augmentos.dashboard"
ADA: Final = "ada@x.org"
BEN: Final = "ben@x.org"
SETTINGS: Final = [{"key": "size", "type": "text", "defaultValue": "small"}]
PATIENCE_S: Final = 60.0
EVICTED_S: Final = 600.0
"""Later than that a lost app is not brought back any more."""


@attrs.define(eq=False, kw_only=True)
class Tour:
    """A world with two users of one app, of whom Ada also has two more.

    Attributes:
        tourist: the app that both have.
        session, bens: of the tourist.
        board: of the system dashboard app.
        glasses, bens_glasses: what they wear.
        guest: the app that comes and goes, started by nobody yet.
    """

    world: World
    transcriber: ScriptedTranscriber
    voice: ScriptedVoice
    streams: ScriptedStreams
    glasses: Glasses
    bens_glasses: Glasses
    tourist: AppProcess[AppServer]
    session: AppSession
    bens: AppSession
    board: AppSession
    guest: AppProcess[AppServer]
    nursery: trio.Nursery

    async def listen(self, session: AppSession, *streams: str) -> Inbox[Any]:
        """What ``session`` hears of ``streams`` once the server knows that it wants to."""
        inbox: Inbox[Any] = Inbox()
        for stream in streams:
            session.on_stream(stream, inbox.put)
        while True:
            fact = await self.world.telemetry.next(SubscriptionsChanged)
            of_session = (fact.user, fact.package) == (session.user, session.package)
            if of_session and set(streams) <= set(fact.streams):
                return inbox

    def messages(self, session: AppSession, message_type: str) -> Inbox[Any]:
        """The messages of that type that ``session`` gets from now on."""
        inbox: Inbox[Any] = Inbox()
        session.on_message(message_type, inbox.put)
        return inbox

    async def ignored(self) -> str:
        """What the server says of the next frame that it cannot use."""
        return (await self.world.telemetry.next(FrameIgnored)).problem

    async def until(self, package: str, state: str) -> None:
        """Until an app of Ada has gone into that state, since this was last asked."""
        while True:
            fact = await self.world.telemetry.next(AppStateChanged)
            if (fact.user, fact.package, fact.new.value) == (ADA, package, state):
                return

    async def start(self, user: str, package: str) -> None:
        """Start an app, whatever was started before."""
        result = await self.world.server.start_app(user, package)
        assert result.success, result

    async def guest_session(self) -> AppSession:
        """The guest's session, which Ada starts."""
        await self.start(ADA, GUEST)
        session = await self.guest.server.next_session()
        assert await session.ready.wait()
        return session

    @property
    def app(self) -> App:
        """The tourist, to be given more abilities before ``restart_tourist``."""
        app = self.tourist.app
        assert isinstance(app, App)
        return app

    async def restart_tourist(self) -> None:
        """Have its sessions stopped, and its server started again."""
        for user in (ADA, BEN):
            await self.world.server.stop_app(user, TOURIST)
        await self.tourist.stop()
        await self.tourist.start()

    async def tourist_session(self) -> AppSession:
        """Another session of the tourist, which Ada starts."""
        await self.start(ADA, TOURIST)
        session = await self.tourist.server.next_session()
        assert await session.ready.wait()
        return session

    def failing(self, ask: Callable[[], Awaitable[Any]]) -> Inbox[RequestFailed]:
        """How ``ask`` fails, once it has."""
        failure: Inbox[RequestFailed] = Inbox()

        async def put() -> None:
            try:
                await ask()
            except RequestFailed as failed:
                failure.put(failed)

        self.nursery.start_soon(put)
        return failure

    def asking(self, ask: Callable[[], Awaitable[Any]]) -> Inbox[Any]:
        """What ``ask`` returns, once it has: to answer it meanwhile."""
        answer: Inbox[Any] = Inbox()

        async def put() -> None:
            answer.put(await ask())

        self.nursery.start_soon(put)
        return answer


Leg: TypeAlias = Callable[[Tour], Awaitable[None]]
LEGS: Final[dict[Leg, frozenset[Kind]]] = {}
"""All of them, and which messages cannot be missed in each."""


def leg(*kinds: Kind) -> Callable[[Leg], Leg]:
    """Decorator: a part of the tour that fails if one of ``kinds`` does not arrive."""

    def added(function: Leg) -> Leg:
        LEGS[function] = frozenset(kinds)
        return function

    return added


def plain_app(package: str) -> App:
    """An app that does nothing by itself."""
    return App(package, api_key="key")


@asynccontextmanager
async def open_tour() -> AsyncGenerator[Tour]:
    """A world in which everybody has arrived, while the block runs. Wants virtual time."""
    transcriber, streams = ScriptedTranscriber(), ScriptedStreams(live_after=1.0)
    voice = ScriptedVoice()
    async with (
        open_world(transcriber=transcriber, live_streams=streams, voice=voice) as world,
        trio.open_nursery() as nursery,
    ):
        tourist = await world.add(plain_app(TOURIST), settings=SETTINGS)
        board = await world.add(plain_app(BOARD), kind="system_dashboard")
        guest = await world.add(plain_app(GUEST), permissions=(), kind="background")
        async with world.glasses(ADA) as glasses, world.glasses(BEN) as bens_glasses:
            sessions = {}
            for user in (ADA, BEN):
                result = await world.server.start_app(user, TOURIST)
                assert result.success, result
                sessions[user] = await tourist.server.next_session()
                assert await sessions[user].ready.wait()
            of_ada = [one for one in board.server.sessions if one.user == ADA]
            assert await of_ada[0].ready.wait()
            yield Tour(
                world=world,
                transcriber=transcriber,
                voice=voice,
                streams=streams,
                glasses=glasses,
                bens_glasses=bens_glasses,
                tourist=tourist,
                session=sessions[ADA],
                bens=sessions[BEN],
                board=of_ada[0],
                guest=guest,
                nursery=nursery,
            )
        nursery.cancel_scope.cancel("the tour is over")
