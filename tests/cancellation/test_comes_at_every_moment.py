"""An app that comes while its session ends, rests or is called is served, whatever the moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from every_moment import act_at_every_moment
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.timings import Lifecycle
from mentra_trio.testing.household import APP, Household, open_one_app
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.trouble import REFUSED


@attrs.define(eq=False)
class Scene:
    """A wearer's household, the links of glasses and app, and those of the app that comes."""

    house: Household
    glasses: MemoryLink
    app: MemoryLink
    comers: list[MemoryLink] = attrs.field(factory=list)

    def the_app_comes(self) -> None:
        self.comers.append(self.house.app())


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    """Nobody comes because of a call, and what is lost is given up soon."""
    lifecycle = Lifecycle(resurrection_budget_s=2)
    async with open_one_app(lifecycle=lifecycle) as (house, glasses, app):
        house.webhooks.plan(APP, WebhookScript(failure=REFUSED))
        yield Scene(house, glasses, app)


async def release(scene: Scene) -> None:
    scene.app.say({"type": "ownership_release", "reason": "moving"})
    await wait_all_tasks_blocked()
    scene.app.hang_up(1005)
    await wait_all_tasks_blocked()


async def lose(scene: Scene) -> None:
    scene.app.cut()
    await trio.sleep(9)
    assert scene.comers or scene.house.state() == "evicted"


async def leave(scene: Scene) -> None:
    scene.app.cut()
    scene.glasses.cut()
    await trio.sleep(6)
    await scene.house.attached_glasses()
    await trio.sleep(0.1)


@pytest.mark.parametrize("happens", [release, lose, leave])
async def test_no_attach_is_lost(
    happens: Callable[[Scene], Awaitable[None]], autojump_clock: MockClock
) -> None:
    async def check(scene: Scene) -> None:
        await wait_all_tasks_blocked()
        [link] = scene.comers
        assert link.of_type("tpa_connection_ack"), (link.closed_with, scene.house.state())

    moments = await act_at_every_moment(scene, happens, Scene.the_app_comes, check)
    assert moments > 5
