"""The scripted server, and the app that it calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
import trio
from app_rig import Rig
from stub_cloud import StubCloud, open_cloud


@pytest.fixture
async def cloud() -> AsyncGenerator[StubCloud]:
    async with open_cloud() as opened:
        yield opened


@pytest.fixture
async def rig(cloud: StubCloud, nursery: trio.Nursery) -> AsyncGenerator[Rig]:
    rig = Rig(cloud, nursery)
    network = cloud.network
    listeners = [network.listen("app", 80)]
    async with rig.app.serve("app", 80, listeners=listeners, dial=network.dial) as rig.server:
        yield rig
    assert rig.server.crashes == []
    assert rig.server.sessions == []
