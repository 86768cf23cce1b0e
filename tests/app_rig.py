"""An app on the Python client, called by a scripted server, and all that it has noticed."""

from __future__ import annotations

from typing import Any

import trio
import trio.lowlevel
from stub_cloud import SESSION, Caller, StubCloud

from mentra_trio.clients.app import App, AppServer
from mentra_trio.clients.app_session import AppSession


class Rig:
    """An app on the host ``app``, and what it has noticed."""

    def __init__(self, cloud: StubCloud, nursery: trio.Nursery) -> None:
        self.cloud = cloud
        self.nursery = nursery
        self.app = App("com.t.a", api_key="secret")
        self.sessions: list[AppSession] = []
        self.stops: list[tuple[str, str]] = []
        self.answers: list[tuple[int, Any]] = []
        self.server: AppServer

        @self.app.session
        async def begin(session: AppSession) -> None:
            self.sessions.append(session)
            await self.set_up(session)

        @self.app.on_stop
        async def end(session: AppSession, reason: str) -> None:
            self.stops.append((session.user, reason))

    async def set_up(self, session: AppSession) -> None:
        await trio.lowlevel.checkpoint()

    async def request(self) -> None:
        self.answers.append(await self.cloud.request_session())

    async def start(self, **ack: Any) -> Caller:
        """A running session: the stub's side of its connection."""
        self.nursery.start_soon(self.request)
        caller = await self.cloud.next()
        await caller.greet(**ack)
        return caller

    async def session(self) -> tuple[Caller, AppSession]:
        """The same, and the app's side of it; what it asked for at first has been heard."""
        caller = await self.start()
        assert (await caller.hear())["type"] == "subscription_update"
        return caller, await self.server.next_session()


def stream(name: str, **data: Any) -> dict[str, Any]:
    return {"type": "data_stream", "sessionId": SESSION, "streamType": name, "data": data}
