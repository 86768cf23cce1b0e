"""What sessions cost that nobody uses: memory and tasks for each user, and nothing once they end.

The figures are bounds with a margin of a few percent, for the sessions and their links in memory
together: who makes sessions or links leaner lowers them.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

import attrs
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.clients.inbox import Inbox
from mentra_trio.domain.facts import Fact
from mentra_trio.domain.ids import UserId, user_id
from mentra_trio.domain.lifecycle import StopCause
from mentra_trio.testing.household import APP, Household, open_household, token_of
from mentra_trio.testing.links import MemoryLink, WebhookScript
from mentra_trio.testing.recording import RecordingTelemetry

USERS: Final = 200

USER_BYTES_MAX: Final = 21_000
USER_TASKS_MAX: Final = 2
"""The session's own, and those of its connection and link."""
APP_BYTES_MAX: Final = 24_000
APP_TASKS_MAX: Final = 2
TRIO_FORGETS_S: Final = 1_000
"""Trio remembers the deadlines of scopes that are over until they would have come."""
LEFT_BYTES_MAX: Final = 500
"""Of each user who came and went: names of attempts are remembered for a while."""


@attrs.define(eq=False)
class Unwatched(MemoryLink):
    """A link in no ledger, so that nothing but the server can keep it alive; it keeps nothing."""

    def __attrs_post_init__(self) -> None:
        pass

    def _record(self, frame: str | bytes) -> None:
        pass


@attrs.define(eq=False)
class Forgetful(RecordingTelemetry):
    """Remembers nothing: what it keeps would be taken for what sessions cost."""

    def emit(self, fact: Fact) -> None:
        """See ``ports.Telemetry``."""


@contextmanager
def measured() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


async def now(after_s: float = 5) -> tuple[int, int]:
    """Bytes that are in use, and tasks, once nothing is under way.

    ``after_s`` seconds of virtual time: what is announced, held or written down a moment later
    is over by then.
    """
    await trio.sleep(after_s)
    await wait_all_tasks_blocked()
    gc.collect()
    return tracemalloc.get_traced_memory()[0], trio.lowlevel.current_statistics().tasks_living


async def come(house: Household, users: Sequence[UserId]) -> None:
    for user in users:
        serve = partial(house.directory.serve_glasses, user)
        house._connections.start_soon(Unwatched("glasses").lend, serve)
    await wait_all_tasks_blocked()


async def start_apps(house: Household, users: Sequence[UserId]) -> None:
    links: list[MemoryLink] = []

    async def start(user: UserId) -> None:
        assert (await house.directory.start_app(user, APP)).success

    house.webhooks.plan(
        APP,
        WebhookScript(
            on_delivered=lambda call: links.append(
                house.app(call.user, call.package, token=token_of(call), link=Unwatched("app"))
            )
        ),
    )
    async with trio.open_nursery() as nursery:
        for user in users:
            nursery.start_soon(start, user)
    assert len(links) == len(users)
    for link in links:
        link.say({"type": "subscription_update", "subscriptions": ["button_press"]})
    await wait_all_tasks_blocked()


async def go(house: Household, users: Sequence[UserId]) -> None:
    for user in users:
        await house.directory.stop_app(user, APP)
        house.directory._users[user].end(StopCause.USER_SESSION_ENDED)
    await wait_all_tasks_blocked()
    house.webhooks.starts.clear()
    house.webhooks.stops.clear()
    house.webhooks._new_starts, house.webhooks._new_stops = Inbox(), Inbox()


def users_of(round_: str, count: int = USERS) -> list[UserId]:
    return [user_id(f"{round_}-{number}@x.org") for number in range(count)]


async def test_who_does_nothing_costs_little(autojump_clock: MockClock) -> None:
    async with open_household(telemetry=Forgetful()) as house:
        await house.add_app()
        await come(house, users_of("first", 20))
        await start_apps(house, users_of("first", 20))
        users = users_of("idle")
        with measured():
            bytes_before, tasks_before = await now()
            await come(house, users)
            bytes_idle, tasks_idle = await now()
            await start_apps(house, users)
            bytes_with_app, tasks_with_app = await now()
    assert (tasks_idle - tasks_before) / USERS <= USER_TASKS_MAX
    assert (tasks_with_app - tasks_idle) / USERS <= APP_TASKS_MAX
    assert (bytes_idle - bytes_before) / USERS <= USER_BYTES_MAX
    assert (bytes_with_app - bytes_idle) / USERS <= APP_BYTES_MAX


async def test_who_has_gone_costs_nothing(autojump_clock: MockClock) -> None:
    async with open_household(telemetry=Forgetful()) as house:
        await house.add_app()
        users = users_of("guest", 50)
        with measured():
            figures = []
            for _ in range(6):
                await come(house, users)
                await start_apps(house, users)
                await go(house, users)
                figures.append(await now(TRIO_FORGETS_S))
    (_, tasks_before), (bytes_before, _), (bytes_after, tasks_after) = figures[-3:]
    assert tasks_after == tasks_before
    assert (bytes_after - bytes_before) / len(users) <= LEFT_BYTES_MAX
