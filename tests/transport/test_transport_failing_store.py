"""An app that comes while the store cannot be read is told to come again: it is nobody's crash."""

from __future__ import annotations

from typing import Any

import pytest

from mentra_trio.domain.errors import StoreFailed
from mentra_trio.domain.facts import ConnectionRefused

from .doorman import Doorman, OneAppStore
from .raw_peer import TEXT, Facts, Rig, upgrade_head
from .test_transport_admission import KEY_HEADERS, init, token_headers


@pytest.mark.parametrize("headers", [[], token_headers()], ids=["A", "B"])
async def test_a_socket_is_closed_for_later(
    rig: Rig,
    facts: Facts,
    store: OneAppStore,
    doorman: Doorman,
    headers: list[str],
    autojump_clock: Any,
) -> None:
    store.failure = StoreFailed("disk I/O error")
    peer = rig.connect()
    await peer.open("/app-ws", *headers)
    await peer.send(init())
    assert await peer.close_code() == (1013, "Registration cannot be read")
    (fact,) = facts.of(ConnectionRefused)
    assert fact.problem == "disk I/O error"
    store.failure = None
    peer = rig.connect()
    await peer.open("/app-ws")
    await peer.send(init())
    assert await peer.frame() == (TEXT, b"welcome")


async def test_key_headers_get_a_503(
    rig: Rig, facts: Facts, store: OneAppStore, doorman: Doorman, autojump_clock: Any
) -> None:
    store.failure = StoreFailed("disk I/O error")
    peer = rig.connect()
    await peer.send(upgrade_head("/app-ws", *KEY_HEADERS, "x-api-key: wrong"))
    answer = await peer.rest()
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1" in answer
    assert b"disk" not in answer
    assert [fact.problem for fact in facts.of(ConnectionRefused)] == ["disk I/O error"]
