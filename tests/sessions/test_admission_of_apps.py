"""Who may attach, and with which close the others are sent away (protocol.md 2.5, 2.8, 2.9).

After a 1008 an app that had an ack takes itself for alive and never comes back. So it is used
only where this runtime cannot have had one, or must not come back.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from mentra_trio.domain.close_reasons import (
    APP_STOPPED,
    NOT_HERE_YET,
    NOT_STARTED,
    NOT_YET,
    RESTARTING,
    USER_SESSION_ENDED,
)
from mentra_trio.domain.ids import PackageName, UserId
from mentra_trio.domain.timings import Lifecycle
from mentra_trio.storage.memory_store import MemoryStore
from mentra_trio.testing.household import (
    APP,
    USER,
    open_household,
    open_one_app,
    open_wearer,
    token_of,
)

FROM_BEFORE = "token-of-the-server-before-us"


class SlowStore(MemoryStore):
    """A store whose reads take their time."""

    slow_s = 0.0

    async def wanted_apps(self, user: UserId) -> Sequence[PackageName]:
        await trio.sleep(self.slow_s)
        return await super().wanted_apps(user)

    async def app_settings(self, user: UserId, package: PackageName) -> dict[str, object]:
        await trio.sleep(self.slow_s)
        return dict(await super().app_settings(user, package))


async def test_while_draining_an_app_is_told_to_come_back(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, _app):
        house.directory.drain()
        assert await house.app(token="t1").closed() == RESTARTING
        assert await house.app().closed() == RESTARTING


async def test_an_app_of_the_server_before_us_waits_for_its_user(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    async with open_household(store=store) as house:
        await house.add_app()
        await store.set_wanted(USER, APP, wanted=True)
        assert await house.app(token=FROM_BEFORE).closed() == NOT_HERE_YET
        store.slow_s = 2.0
        await house.attached_glasses()
        assert await house.app(token=FROM_BEFORE).closed() == NOT_HERE_YET
        await trio.sleep(2.5)
        store.slow_s = 0.0
        await house.app(token=FROM_BEFORE).expect("tpa_connection_ack")
        assert house.state() == "running"


async def test_an_app_of_the_server_before_us_that_nobody_wants_is_stopped(
    autojump_clock: MockClock,
) -> None:
    async with open_wearer() as (house, _glasses):
        await wait_all_tasks_blocked()
        assert await house.app(token=FROM_BEFORE).closed() == APP_STOPPED
        assert await house.app().closed() == NOT_STARTED


async def test_the_token_of_another_app_opens_nothing(autojump_clock: MockClock) -> None:
    async with open_one_app() as (house, _glasses, app):
        other = await house.add_app("com.t.b", kind="background")
        await house.running_app(package=other)
        token = token_of(house.webhooks.starts[1])
        assert await house.app(token=token).closed() == NOT_STARTED
        assert app.is_open


async def test_after_the_end_of_the_user_session_its_apps_are_told_so(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app(lifecycle=Lifecycle(user_grace_s=2)) as (house, glasses, app):
        token = token_of(house.webhooks.starts[0])
        app.cut()
        glasses.cut()
        await trio.sleep(3)
        assert await house.app(token=token).closed() == USER_SESSION_ENDED


async def test_an_app_that_cannot_be_acked_in_time_is_told_to_try_again(
    autojump_clock: MockClock,
) -> None:
    store = SlowStore()
    async with open_one_app(store=store) as (house, _glasses, app):
        store.slow_s = 60.0
        app.cut()
        await trio.sleep(1)
        began = trio.current_time()
        assert await house.app().closed() == NOT_YET
        assert trio.current_time() - began == pytest.approx(4)
        store.slow_s = 0.0
        await house.app().expect("tpa_connection_ack")


async def test_a_connection_that_ends_while_it_is_offered_is_not_used(
    autojump_clock: MockClock,
) -> None:
    async with open_one_app() as (house, _glasses, app):
        app.cut()
        await trio.sleep(1)
        with trio.CancelScope() as connection:
            async with trio.open_nursery() as nursery:
                link = house.app(name="withdrawn")

                async def withdraw() -> None:
                    link.cut()
                    connection.cancel()

                nursery.start_soon(withdraw)
        await trio.sleep(0.1)
        assert house.telemetry.crashes == []
        await house.app().expect("tpa_connection_ack")
        assert house.state() == "running"
