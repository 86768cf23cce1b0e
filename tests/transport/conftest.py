"""What most tests of the transport begin with: a rig, and a doorman behind its admission."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import cast

import pytest
import trio

from mentra_trio.environment import Environment
from mentra_trio.ports import Store
from mentra_trio.sessions.directory import Directory
from mentra_trio.transport.admission import Admission

from .carriers import MemoryWire, Wire
from .doorman import NOW, SECRET, Doorman, OneAppStore
from .raw_peer import Facts, Rig, facts_without_crashes


@pytest.fixture
def facts() -> Iterator[Facts]:
    with facts_without_crashes() as facts:
        yield facts


@pytest.fixture
def wire() -> Callable[[], Wire]:
    """What carries connections; modules whose tests run over every kind have one of their own."""
    return MemoryWire


@pytest.fixture
async def rig(nursery: trio.Nursery, facts: Facts, wire: Callable[[], Wire]) -> AsyncIterator[Rig]:
    rig = Rig(nursery, facts, wire=wire)
    yield rig
    rig.discard()


@pytest.fixture
def store() -> OneAppStore:
    return OneAppStore()


@pytest.fixture
async def doorman(rig: Rig, facts: Facts, store: OneAppStore) -> Doorman:
    doorman = Doorman()
    rig.websockets = Admission(
        cast("Directory", doorman),
        cast("Store", store),
        SECRET,
        rig.limits,
        facts,
        Environment(utcnow=lambda: NOW),
    )
    return doorman
