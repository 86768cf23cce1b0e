from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from stub_cloud import StubCloud, open_cloud


@pytest.fixture
async def cloud() -> AsyncGenerator[StubCloud]:
    async with open_cloud() as opened:
        yield opened
