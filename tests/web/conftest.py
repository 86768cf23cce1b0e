"""The site that most tests of routes ask."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .site_under_test import Site, open_site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with open_site() as site:
        yield site
