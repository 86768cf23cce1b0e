"""A simulated app on the SDK, and a cloud that a test serves by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs
import trio
from stub_cloud import SESSION, Caller, StubCloud, open_cloud

from mentra_trio.domain.errors import LinkClosed
from mentra_trio.testing.app_server import SdkApp, SdkAppServer
from mentra_trio.testing.sdk_diary import Dialled, Stopped
from mentra_trio.testing.sdk_rules import AS_2_1_29, SdkQuirks
from mentra_trio.testing.sdk_script import (
    Script,
    Subscribe,
)

BUTTON, HEAD = Subscribe("button_press"), Subscribe("head_position")
ONE = Script(steps=(BUTTON,))
OVERRIDING = Script(steps=(BUTTON,), overrides_stop=True)
LOST = "Connection permanently lost: Maximum reconnection attempts exceeded"
SUCCESS = (200, {"status": "success"})
FAILURE = (500, {"status": "error", "message": "Failed to connect"})


@attrs.define(eq=False)
class Rig:
    """A served app, and a cloud that asks it for sessions."""

    cloud: StubCloud
    server: SdkAppServer
    nursery: trio.Nursery
    answers: list[Any] = attrs.field(factory=list)

    async def call(self) -> None:
        self.answers.append(await self.cloud.request_session("app"))

    async def started(self) -> Caller:
        """A session that is acknowledged; its side of the cloud."""
        self.nursery.start_soon(self.call)
        caller = await self.cloud.next()
        await caller.greet()
        await trio.sleep(0.01)
        return caller

    async def lose(self, caller: Caller) -> float:
        """Lose the connection; when that was."""
        self.cloud.cut()
        caller.leave()
        at = trio.current_time()
        await trio.sleep(0.001)
        return at

    def dialled(self, since: float) -> list[float]:
        return [round(one.at - since, 1) for one in self.server.diary.of(Dialled)[1:]]

    def stopped(self, since: float) -> list[float]:
        return [round(one.at - since, 1) for one in self.server.diary.of(Stopped)]

    async def stop(self, reason: str = "user_disabled") -> Any:
        body = {"type": "stop_request", "sessionId": SESSION, "userId": "u-1@x.org"}
        return await self.cloud.post("app", "/webhook", body | {"reason": reason})


@asynccontextmanager
async def rigged(script: Script = ONE, quirks: SdkQuirks = AS_2_1_29) -> AsyncGenerator[Rig]:
    async with open_cloud() as cloud, trio.open_nursery() as nursery:
        app = SdkApp("com.t.a", "secret", script=script, quirks=quirks)
        listeners = [cloud.network.listen("app", 80)]
        async with app.serve("app", 80, listeners=listeners, dial=cloud.network.dial) as server:
            yield Rig(cloud, server, nursery)
            assert not server.crashes
        nursery.cancel_scope.cancel("test over")


async def hear_all(caller: Caller) -> list[Any]:
    """What is there to hear now: of lists the streams, of others the type."""
    heard = []
    with trio.move_on_after(0.5), suppress(LinkClosed):
        while True:
            message = await caller.hear()
            heard.append(message.get("subscriptions", message["type"]))
    return heard
