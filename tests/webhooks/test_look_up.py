"""Look-ups: a name server that hangs holds up its own names only."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from mentra_trio.webhooks.look_up import LookUp

ANSWER = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))


@attrs.define(eq=False)
class NameServer:
    """Answers at once, but for names that begin with ``silent``."""

    awake: threading.Event = attrs.field(factory=threading.Event)
    asked: Counter[str] = attrs.field(factory=Counter)

    def __call__(self, host: str, port: int, *, type: int, flags: int = 0) -> list[Any]:  # noqa: A002
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "not numeric")
        self.asked[host] += 1
        if host.startswith("silent"):
            assert self.awake.wait(20)
        return [ANSWER, ANSWER]


@contextmanager
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    try:
        yield server
    finally:
        server.awake.set()


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not condition():
            await wait_all_tasks_blocked(0.01)


async def test_a_silent_name_server_holds_up_its_own_name_only() -> None:
    with name_server() as server:
        look_up = LookUp(server)
        async with trio.open_nursery() as callers:
            for _ in range(100):
                callers.start_soon(look_up, "silent.example", 80)
            await until(lambda: server.asked["silent.example"] == 4)
            assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            with trio.fail_after(5):
                assert await look_up("app.example", 80) == [(socket.AF_INET, ("192.0.2.1", 80))]
            callers.cancel_scope.cancel()
        with trio.fail_after(5):  # the threads are still busy, their callers are gone
            await look_up("app.example", 80)
        with trio.move_on_after(0.05):
            await look_up("silent.example", 80)
        assert server.asked["silent.example"] == 4
        server.awake.set()
        with trio.fail_after(5):
            assert await look_up("silent.example", 80)


async def test_there_is_a_bound_for_all_names_together() -> None:
    with name_server() as server:
        look_up = LookUp(server)
        async with trio.open_nursery() as callers:
            for number in range(100):
                callers.start_soon(look_up, f"silent{number}.example", 80)
            await until(lambda: server.asked.total() == 64)
            await wait_all_tasks_blocked(0.05)
            assert server.asked.total() == 64
            server.awake.set()
        assert server.asked.total() == 100


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "2130706433"])
async def test_a_number_needs_no_thread(host: str, autojump_clock: object) -> None:
    found = await LookUp()(host, 80)
    assert [address[1][0] for address in found] in (["127.0.0.1"], ["::1"])


async def test_what_is_no_name(autojump_clock: object) -> None:
    with pytest.raises(ValueError):
        await LookUp()("a..b", 80)
